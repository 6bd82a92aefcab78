"""`nexus init`: write a commented nexus.toml with the discovered servers."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.commands.base.errors import BAD
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.process.streams import say, show

if TYPE_CHECKING:
    from nexus_core.discovery.cloud import CloudKey
    from nexus_core.discovery.local import DiscoveryResult

WRITTEN, REFUSED = 0, 1  # the exit codes

_DEFAULT = Path("nexus.toml")


def add_command(commands: Subcommands, _: Callable[[str], int]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "init",
        help="write a nexus.toml with the local servers found",
        description="Look for local servers on the usual ports and write a commented nexus.toml. "
        "Keys stay in the environment; the file names their variables.",
        epilog="The exit code is 0 when the file was written, 1 when not.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--output", type=Path, default=_DEFAULT, metavar="FILE", help="default: ./nexus.toml")
    add("--force", action="store_true", help="replace an existing file")
    add(
        "--cloud",
        action="store_true",
        default=argparse.SUPPRESS,
        help="add providers with a key in the environment as backends, not only as comments",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Look and write; gives the exit code."""
    from nexus_core.config.changes import ChangeRefusedError
    from nexus_core.config.save import write_new
    from nexus_core.discovery.cloud import cloud_keys, keys_without_url
    from nexus_core.discovery.new_config import config_text
    from nexus_core.errors import ConfigError

    if options.demo:
        say("init: --demo has no effect here; the demo needs no config")
        return BAD
    path: Path = options.output
    if os.path.exists(path) and not options.force:
        say(f"init: {path} exists already; --force replaces it, --output names another file")
        return REFUSED
    results = asyncio.run(_look())
    keys = (*cloud_keys(environ), *keys_without_url(environ))
    text = config_text(results, keys, use_cloud=options.cloud)
    try:
        write_new(path, text, environ, replace=options.force)
    except ChangeRefusedError as error:
        say(f"init: {error}")
        return REFUSED
    except ConfigError as error:
        for line in error.lines:
            say(line, prefix="")
        return REFUSED
    for line in _told(results):
        show(line)
    for key in keys:
        show(f" {key.variable}: {_use(key, is_used=options.cloud)}")
    show(f"wrote {path}; next: nexus check")
    return WRITTEN


def _use(key: CloudKey, *, is_used: bool) -> str:
    if not key.is_set:
        return "not set"
    if key.needs_url:
        return "set; added as a comment: fill in the URL of your account"
    if is_used:
        return "set; added as a backend"
    return "set; added as a comment (--cloud: as a backend)"


async def _look() -> tuple[DiscoveryResult, ...]:
    from nexus_core.discovery.local import USUAL_PLACES, probe_all
    from nexus_core.upstream import create_engine

    engine = create_engine("http1")
    try:
        return await probe_all(engine, USUAL_PLACES)
    finally:
        await engine.close()


def _told(results: Sequence[DiscoveryResult]) -> list[str]:
    from nexus_tui.text.escape import escaped

    return [
        escaped(f" {seen.kind.spec.title} at {seen.place.address}: {seen.text}") for seen in results
    ]
