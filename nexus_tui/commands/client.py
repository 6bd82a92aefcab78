"""HTTP client of the commands for a running Nexus. Draws nothing."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, assert_never
from urllib.parse import urlsplit

from nexus_core.types import is_list, is_object
from nexus_tui.process.charset import wants_ascii, write_ascii
from nexus_tui.process.streams import say

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    import httpx

    from nexus_core.config.schema import Config

BAD = 2  # the exit code where nobody can say

_HEALTH_BYTES = 64 * 1024  # a stranger may answer without end
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,32}")


class NoAnswerError(Exception):
    """No answer to show; the message says why."""


# Options ------------------------------------------------------------------------------------------


def add_target(
    parser: argparse.ArgumentParser, port: Callable[[str], int], *, url: bool = True
) -> None:
    """Declare the options for the address of the Nexus; `port` checks a port."""
    add = parser.add_argument
    if url:
        add(
            "--url",
            type=root_url,
            help="address of the Nexus (default: the configured host and port)",
        )
    # These may also stand before the subcommand; a default here would win over what stood there.
    kept, name = argparse.SUPPRESS, parser.prog.rpartition(" ")[2]
    add("--config", type=Path, metavar="FILE", default=kept, help=f"as without {name}")
    add("--host", default=kept, help="the same")
    add("--port", type=port, default=kept, help="the same")


def root_url(text: str) -> str:
    """A URL without a trailing slash; its problems never repeat it."""
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or not text.isprintable() or set("?#@ ") & set(text):
        raise argparse.ArgumentTypeError(
            "must be http:// or https:// and a host, without a password"
        )
    return text.rstrip("/").removesuffix("/v1")


def load(options: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    """The configuration, as a start with these options would read it.

    Raises:
        ConfigError: it would be refused.
    """
    from nexus_core.config.load import Overrides, find_config, load_config

    path = find_config(options.config, environ, Path())
    config = load_config(path, environ, Overrides(options.host, options.port))
    if not options.cloud:
        return config
    from nexus_core.discovery.cloud import with_cloud

    return with_cloud(config, environ)


def run_with_config(
    options: argparse.Namespace, environ: Mapping[str, str], act: Callable[[Config], int]
) -> int:
    """Load the configuration and run the command; gives the exit code."""
    from nexus_core.errors import ConfigError

    name = options.command
    if options.demo:
        say(f"{name}: --demo has no effect here; start `nexus --demo` and query it with --url")
        return BAD
    try:
        config = load(options, environ)
        if wants_ascii(config.tui.ascii, environ):
            write_ascii()
        return act(config)
    except ConfigError as error:
        for line in error.lines:
            say(line, prefix="")
    except NoAnswerError as error:
        say(f"{name}: {error}")
    return BAD


# Asking -------------------------------------------------------------------------------------------


Kind: TypeAlias = Literal["nexus", "stranger", "nothing"]


@dataclass(frozen=True, slots=True)
class Listener:
    """A server at an address, by its /health answer."""

    kind: Kind
    version: str | None = None  # of a Nexus, where it tells
    pid: int | None = None
    is_silent: bool = False  # took the connection and said nothing in time


def what_answers(url: str, timeout_seconds: float) -> Kind:
    """Kind of the server at `url`. No key is sent."""
    return who_answers(url, timeout_seconds).kind


def who_answers(url: str, timeout_seconds: float) -> Listener:
    """The server at `url`. No key is sent."""
    import httpx

    try:
        # A proxy of the environment is for what lies outside.
        with httpx.stream(
            "GET", f"{url}/health", timeout=timeout_seconds, trust_env=False
        ) as answer:
            health = json.loads(next(answer.iter_bytes(_HEALTH_BYTES), b""))
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return Listener("nothing")
    except httpx.TimeoutException:
        return Listener("stranger", is_silent=True)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return Listener("stranger")
    if not is_object(health) or health.get("service") != "nexus":
        return Listener("stranger")
    version, pid = health.get("version"), health.get("pid")
    return Listener(
        "nexus",
        version if isinstance(version, str) and _VERSION.fullmatch(version) else None,
        pid if type(pid) is int and pid > 0 else None,
    )


def local_url(host: str, port: int) -> str:
    """Local URL of a listen address."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def authorization(config: Config) -> str | None:
    """Authorization header for /nexus/*: admin key, else first client key; None without keys."""
    keys = [client.value for client in config.auth.api_keys]
    key = config.auth.admin_key or next(iter(keys), None)
    return None if key is None else f"Bearer {key.decode('ascii')}"


def find_running(url: str | None, config: Config) -> str:
    """URL of the running Nexus: the given one, else the configured one.

    Raises:
        NoAnswerError: there is none.
    """
    if url is None and not config.server.port:
        raise NoAnswerError(
            "the configured port is 0 (any free port); set --url to the running Nexus"
        )
    url = url or local_url(config.server.host, config.server.port)
    found = what_answers(url, config.server.connect_timeout_seconds)
    match found:
        case "nexus":
            return url
        case "stranger":
            raise NoAnswerError(f"the server at {url} is not a Nexus")
        case "nothing":
            raise NoAnswerError(f"no Nexus is running at {url}")
        case _:
            assert_never(found)


def get_json(url: str, path: str, config: Config, query: Mapping[str, str | int]) -> Any:
    """GET `path` of the Nexus at `url`, as JSON.

    Raises:
        NoAnswerError: it does not answer, or with an error.
    """
    import httpx

    key = authorization(config)
    headers = {} if key is None else {"Authorization": key}
    seconds = config.server.connect_timeout_seconds + config.health_check.timeout_seconds
    try:
        with httpx.Client(base_url=url, timeout=seconds, trust_env=False) as client:
            answer = client.get(path, params=dict(query), headers=headers)
    except httpx.RequestError as error:
        raise NoAnswerError(f"no answer from the Nexus at {url}") from error
    return content_of(answer)


def content_of(answer: httpx.Response) -> Any:
    """The JSON of an answer.

    Raises:
        NoAnswerError: it is an error, or not what a Nexus of this version answers.
    """
    with understood(answer.status_code):
        content = answer.json()
        if answer.status_code != 200:
            raise NoAnswerError(f"{answer.status_code}: {content['error']['message']}")
    return content


@contextlib.contextmanager
def understood(status: int = 200) -> Generator[None]:
    """Turn errors of reading an answer into a NoAnswerError.

    Raises:
        NoAnswerError: instead.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        text = f"incompatible Nexus version: unknown answer with status {status}"
        raise NoAnswerError(text) from error


# Showing ------------------------------------------------------------------------------------------


def visible_json(value: Any) -> Any:
    """Escape control characters in every text of a JSON value."""
    from nexus_tui.text.escape import escaped

    if is_object(value):
        return {escaped(str(key)): visible_json(item) for key, item in value.items()}
    if is_list(value):
        return [visible_json(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


def json_text(value: object, *, indent: int | None = 2) -> str:
    """JSON in ASCII without control characters."""
    # DEL is the one control character that JSON lets stand.
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
