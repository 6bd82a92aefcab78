"""`nexus fleet forget REPLICA`: a replica that never returns gives back what it holds."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nexus_tui.commands.base.client import (
    answered,
    authorization,
    content_of,
    find_running,
    json_text,
    seconds_to_answer,
    understood,
    visible_json,
)
from nexus_tui.commands.base.subcommands import Subcommands, add_actions, add_ascii
from nexus_tui.commands.base.target import add_target, run_with_config
from nexus_tui.process.streams import show

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config

DONE = 0  # the exit code


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        "fleet",
        help="replicas that share limits: forget a dead one",
        description="Replicas that share limits through [fleet].",
        allow_abbrev=False,
    )
    actions = add_actions(parser)
    forget = actions.add_parser(
        "forget",
        help="a dead replica never returns: what it held of budgets counts as spent",
        description="A dead replica never returns: what it held of budgets counts as spent, what "
        "it was granted and did not use is free. One that returns tells itself what it spent.",
        epilog="Exit code: 0 on success, 1 if there is no such replica, 2 on any other failure.",
        allow_abbrev=False,
    )
    forget.add_argument("replica", metavar="REPLICA", help="its name, as `nexus status` has it")
    forget.add_argument("--json", action="store_true", help="as JSON")
    add_ascii(forget)
    add_target(forget, port)
    forget.set_defaults(run=_run)


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    return run_with_config(options, environ, lambda config: _forget(options, config))


def _forget(options: argparse.Namespace, config: Config) -> int:
    import httpx

    url, name = find_running(options.url, config), str(options.replica)
    key, seconds = authorization(config), seconds_to_answer(config)
    headers = {} if key is None else {"Authorization": key}
    with answered(url, seconds):
        answer = httpx.post(
            f"{url}/nexus/fleet/forget",
            json={"replica": name},
            headers=headers,
            timeout=seconds,
            trust_env=False,
        )
    told = content_of(answer, config)
    with understood():
        usd = float(told["presumed_usd"])
    if options.json:
        show(json_text(visible_json(told)))
    else:
        show(f"{name} is forgotten; ${usd:.4f} that it held are presumed to be spent")
    return DONE
