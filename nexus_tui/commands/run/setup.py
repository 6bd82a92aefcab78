"""What a program needs in order to use Nexus: environment variables, arguments, a folder. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from nexus_core.config.loopback import is_loopback

ZONE, TIER = "X-Nexus-Privacy-Zone", "X-Nexus-Min-Tier"

# Its value is the client key: what has to be written out names the variable, never the key.
KEY_VARIABLE = "NEXUS_CLIENT_KEY"
NO_KEY = "nexus"  # for programs that want some key, where Nexus asks for none

_DIRECT = ("NO_PROXY", "no_proxy")
_HERE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class UsedKey:
    """A client key, and the variable that it stands in."""

    value: str | None = field(repr=False)  # None: there is none
    variable: str


@dataclass(frozen=True, slots=True)
class Target:
    """A Nexus, and what is asked of it."""

    url: str  # its root, without a trailing slash
    key: str | None = field(default=None, repr=False)  # of the client; None: none is needed
    model: str | None = None
    window: int | None = None  # of that model, in tokens
    headers: Mapping[str, str] = field(default_factory=dict[str, str])  # X-Nexus-*
    models: Sequence[str] = ()  # all that are served, for programs that want a list

    @property
    def sent_key(self) -> str:
        return self.key or NO_KEY


@dataclass(frozen=True, slots=True)
class Setup:
    """How a program is started."""

    variables: Mapping[str, str] = field(repr=False)  # set for it
    unset: tuple[str, ...] = ()  # taken away from it
    arguments: tuple[str, ...] = ()  # before the user's own
    home: Mapping[str, str] | None = None  # files of a temporary folder, by their path in it
    linked: Mapping[str, str] = field(default_factory=dict[str, str])  # in it: the user's own
    home_variable: str = ""  # that names the folder

    def environment(self, environ: Mapping[str, str], home: str = "") -> dict[str, str]:
        """All of its environment; `home` is the temporary folder."""
        kept = {name: value for name, value in environ.items() if name not in self.unset}
        folder = {self.home_variable: home} if self.home is not None else {}
        return kept | dict(self.variables) | folder


class CannotRunError(Exception):
    """The program can't be started as asked; the message says why, and what to do."""


def direct(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that keep a proxy of the environment from this machine's own addresses."""
    if not is_loopback(urlsplit(url).hostname or ""):
        return {}
    before = next((environ[name] for name in _DIRECT if environ.get(name)), "")
    names = [name.strip() for name in before.split(",") if name.strip()]
    value = ",".join([*names, *(name for name in _HERE if name not in names)])
    return dict.fromkeys(_DIRECT, value)


def header_lines(headers: Mapping[str, str], before: str, separator: str) -> str:
    """Headers as `Name: value`, after those of `before` that these do not replace."""
    names = {name.lower() for name in headers}
    kept = [
        entry.strip()
        for entry in before.split(separator)
        if entry.strip() and entry.partition(":")[0].strip().lower() not in names
    ]
    return separator.join([*kept, *(f"{name}: {value}" for name, value in headers.items())])
