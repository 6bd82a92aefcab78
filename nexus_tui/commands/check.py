"""`nexus check`: check config, keys and backends, with a hint for each problem."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from nexus_tui.commands.base.client import json_text
from nexus_tui.commands.base.errors import BAD
from nexus_tui.commands.base.listener import who_answers
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.target import add_target, load, local_url
from nexus_tui.process.address import address, why_not_bound
from nexus_tui.process.streams import say, show

if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_core.control.check import Finding

GOOD, PROBLEMS = 0, 1  # the exit codes, and BAD for a configuration that is refused

_INDENT = " " * 10


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        "check",
        help="check config, keys, backends, models, storage and port, and how to fix each problem",
        description="Check the configuration, the keys' presence, each backend's reachability, "
        "the models it is asked for, the storage path and the port. Each backend is asked for its "
        "list of models, and a local server which APIs it speaks, as health checks do; that costs "
        "nothing.",
        epilog="The exit code is 0 when all is well or only warned of, 1 when there are errors, "
        "2 when the configuration would be refused at the start.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON")
    add_target(parser, port, url=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Check; gives the exit code."""
    from nexus_core.control.check import Finding, Level
    from nexus_core.errors import ConfigError
    from nexus_tui.keymap.check import require_known_keys

    if options.demo:
        say("check: --demo has no effect here; the demo needs no config")
        return BAD
    try:
        config = load(options, environ)
        require_known_keys(config)
    except ConfigError as error:
        refused = [Finding(Level.ERROR, "config", problem) for problem in error.problems]
        if options.json:
            _show_json(refused)
        for line in [] if options.json else error.lines:
            say(line, prefix="")
        return BAD
    findings = [*asyncio.run(_look(config)), _address(config)]
    if options.json:
        _show_json(findings)
    else:
        _show_text(findings)
    return PROBLEMS if any(f.level is Level.ERROR for f in findings) else GOOD


async def _look(config: Config) -> list[Finding]:
    """Ask every backend once, as a Nexus that has just started."""
    from nexus_core.control.check import check_config
    from nexus_core.discovery.watch import Discovery
    from nexus_core.gateway import Gateway, GatewayOptions

    # Health checks by themselves would ask each backend a second time.
    gateway = Gateway(config, options=GatewayOptions(is_read_only=True))
    try:
        if config.path is None:
            await Discovery(gateway.live, gateway.engine, {}).search()
        names = [b.name for b in gateway.registry.snapshots() if b.enabled]
        async with asyncio.TaskGroup() as tasks:
            probes = {name: tasks.create_task(gateway.health.probe(name)) for name in names}
    finally:
        await gateway.engine.close()
    results = {name: probe.result() for name, probe in probes.items()}
    findings = list(check_config(config, results, gateway.registry.snapshots()))
    if config.storage.url is not None:
        from nexus_core.control.shared.check_database import check_database

        findings.append(await asyncio.to_thread(check_database, config.storage))
    if config.fleet is not None:
        from nexus_core.control.shared.check_store import check_store

        has_database = config.storage.url is not None
        findings.append(await check_store(config.fleet, has_database=has_database))
    if config.server.workers > 1:
        findings.append(_workers(config))
    return findings


def _workers(config: Config) -> Finding:
    """Whether several workers have what they share by."""
    from nexus_core.control.check import Finding, Level
    from nexus_tui.process.workers.private_store import why_no_store

    count = config.server.workers
    if (why := why_no_store(config)) is not None:
        return Finding(Level.ERROR, "workers", *why.split(": ", 1))
    by = "a private Valkey" if config.fleet is None else "the fleet's store"
    text = f"{count} processes share budgets, limits and switches through {by}"
    return Finding(Level.OK, "workers", text)


def _address(config: Config) -> Finding:
    """Whether the port is free, or whose it is."""
    from nexus_core.api.listen.server import bind
    from nexus_core.control.check import Finding, Level

    host, port = config.server.host, config.server.port
    place = address(host, port)
    if not port:
        return Finding(Level.OK, "address", f"{place}: any free port")
    try:
        bind(host, port).close()
    except OSError as error:
        if who_answers(local_url(host, port), 1).kind == "nexus":
            return Finding(Level.OK, "address", f"{place}: a Nexus is running there")
        text, _, hint = why_not_bound(error, host, port).partition("; ")
        return Finding(Level.ERROR, "address", text, hint or None)
    return Finding(Level.OK, "address", f"{place} is free")


def _show_json(findings: Sequence[Finding]) -> None:
    is_good = all(finding.level != "error" for finding in findings)
    show(json_text({"ok": is_good, "findings": [asdict(finding) for finding in findings]}))


def _show_text(findings: Sequence[Finding]) -> None:
    from nexus_tui.text.escape import escaped

    for finding in findings:
        show(escaped(f"{finding.level:<9} {finding.about}: {finding.text}"))
        if finding.hint:
            show(escaped(f"{_INDENT}→ {finding.hint}"))
    levels = [finding.level.value for finding in findings]
    errors, warnings = levels.count("error"), levels.count("warning")
    show("")
    show(f"{_number(errors, 'error')}, {_number(warnings, 'warning')}")


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
