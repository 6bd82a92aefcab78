"""The proxy through which a backend is reached: its URL, and what the environment says. Pure.

The variables are curl's and httpx's: https_proxy, http_proxy, all_proxy and no_proxy, in small
letters or in capitals. https://everything.curl.dev/usingcurl/proxies/env.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}

# Names that lead nowhere but to a private network.
# https://www.rfc-editor.org/rfc/rfc6761  https://www.rfc-editor.org/rfc/rfc6762#appendix-G
_PRIVATE_ENDINGS = (
    ".localhost",
    ".local",
    ".internal",
    ".intranet",
    ".private",
    ".corp",
    ".home",
    ".lan",
    ".home.arpa",
)
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # of carriers, and of Tailscale


@dataclass(frozen=True, slots=True)
class OutboundProxy:
    """A proxy, as it may be shown: user name and password are no part of its text."""

    scheme: str  # http, https, socks5 or socks5h; the last two are alike: the proxy resolves names
    host: str  # IPv6 without brackets
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    @property
    def url(self) -> str:
        """Without user name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return self.url


def read_proxy_url(text: str) -> OutboundProxy:
    """A proxy's URL.

    Raises:
        ValueError: it is none; the message never repeats it.
    """
    if any(char.isspace() or not char.isprintable() for char in text):
        raise ValueError("contains a space or control character")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in _DEFAULT_PORTS or not host or port == 0:
        raise ValueError(
            "must be http://, https:// or socks5:// and a host, such as http://proxy:3128"
        )
    if parts.path.strip("/") or "?" in text or "#" in text:
        raise ValueError("must end with the host or port")
    return OutboundProxy(
        parts.scheme,
        host,
        port or _DEFAULT_PORTS[parts.scheme],
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def check_written(text: str) -> str:
    """A proxy's URL as the config file may hold it.

    Raises:
        ValueError: it may not; the message never repeats it.
    """
    proxy = read_proxy_url(text)
    if proxy.user is not None or proxy.password is not None:
        raise ValueError(
            "must not contain a user name or password; remove it and set such a proxy in "
            "HTTPS_PROXY, in the environment"
        )
    return text


def proxy_of_environment(url: str, environ: Mapping[str, str]) -> OutboundProxy | None:
    """Which proxy the environment names for a URL; None: it is reached directly.

    Never one for loopback and private addresses: what is near is reached without.

    Raises:
        ValueError: a variable names something else than a proxy; the message names the variable.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if is_private_host(host) or _is_excepted(host, port, _value(environ, "no_proxy")[1]):
        return None
    for base in (f"{parts.scheme}_proxy", "all_proxy"):
        variable, text = _value(environ, base)
        if not text:
            continue
        try:
            return read_proxy_url(_completed(text))
        except ValueError as error:
            raise ValueError(f"{variable} {error}") from None
    return None


def is_private_host(host: str) -> bool:
    """Whether a host is this machine or stands in a private network, as far as its name tells."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_PRIVATE_ENDINGS)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_private or address.is_loopback or address.is_link_local or address in _SHARED


def _value(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """A variable and what it says; small letters win, and empty they switch it off."""
    variable = name if name in environ else name.upper()
    return variable, environ.get(variable, "").strip()


def _completed(text: str) -> str:
    """As curl reads it: without a scheme it is http. Desktops write socks:// for SOCKS5."""
    if "://" not in text:
        return f"http://{text}"
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    return f"{'socks5' if scheme == 'socks' else scheme}://{rest}"


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    return any(
        (wanted is None or wanted == port) and _is_meant(host.lower(), name)
        for name, wanted in _exceptions(no_proxy)
    )


def _exceptions(no_proxy: str) -> Iterator[tuple[str, int | None]]:
    """The hosts that are named, each with its port if there is one."""
    for entry in re.split(r"[,\s]+", no_proxy.lower()):
        bare = entry.partition("://")[2] or entry
        found = re.fullmatch(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:]+)):(?P<port>\d{1,5})", bare)
        if found:
            yield found["v6"] or found["name"], int(found["port"])
        elif bare:
            yield bare.strip("[]"), None


def _is_meant(host: str, name: str) -> bool:
    if name == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        pass
    suffix = name.removeprefix("*").strip(".")
    return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))
