"""Options of commands for a running Nexus: its address, and the configuration that it has."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nexus_tui.commands.base.errors import BAD, NoAnswerError
from nexus_tui.process.console.charset import wants_ascii, write_ascii
from nexus_tui.process.streams import say

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config

_FORMS = "HOST:PORT or a URL such as http://127.0.0.1:8000, without a password"


def add_target(
    parser: argparse.ArgumentParser, port: Callable[[str], int], *, url: bool = True
) -> None:
    """Declare the options for the address of the Nexus; `port` checks a port."""
    add = parser.add_argument
    if url:
        add(
            "--url",
            type=root_url,
            help="URL or HOST:PORT of the Nexus (default: the configured host and port)",
        )
    # These may also stand before the subcommand; a default here would win over what stood there.
    kept, name = argparse.SUPPRESS, parser.prog.rpartition(" ")[2]
    add("--config", type=Path, metavar="FILE", default=kept, help=f"as without {name}")
    add("--host", default=kept, help="the same")
    add("--port", type=port, default=kept, help="the same")


def root_url(text: str) -> str:
    """A URL without a trailing slash, also of `host:port`; its problems never repeat it."""
    has_scheme = "://" in text
    url = text if has_scheme else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        lacks_port = is_whole and not has_scheme and parts.port is None
    except ValueError:
        is_whole = lacks_port = False
    if not is_whole or not url.isprintable() or set("?#@ ") & set(url):
        raise argparse.ArgumentTypeError(f"must be {_FORMS}")
    if lacks_port:
        raise argparse.ArgumentTypeError(f"has no port; must be {_FORMS}")
    return url.rstrip("/").removesuffix("/v1")


def local_url(host: str, port: int) -> str:
    """Local URL of a listen address."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def load(options: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    """The configuration, as a start with these options would read it.

    With --url a file that was only found here, and would be refused, is left out: it says nothing
    of the Nexus there.

    Raises:
        ConfigError: it would be refused.
    """
    from nexus_core.config.load import Overrides, find_config, load_config
    from nexus_core.errors import ConfigError

    path = find_config(options.config, environ, Path())
    overrides = Overrides(options.host, options.port, options.workers)
    try:
        config = load_config(path, environ, overrides)
    except ConfigError:
        is_elsewhere = getattr(options, "url", None) is not None  # a start has no --url
        if options.config or not is_elsewhere:
            raise
        config = load_config(None, environ, overrides)
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
        return error.code
    return BAD
