"""`nexus costs`: the cost of a month's or day's requests, from the ledger or a running Nexus."""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nexus_tui.commands.base.client import find_running, get_json, json_text, understood
from nexus_tui.commands.base.errors import NoAnswerError, NotFoundError
from nexus_tui.commands.base.listener import who_answers
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.target import add_target, local_url, run_with_config
from nexus_tui.commands.base.watch import add_watch, show_blocks
from nexus_tui.process.streams import say

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_core.money.cost_lines import CostLines
    from nexus_core.money.ledger_queries import CostLine
    from nexus_core.money.months import Day, Month, Period

SHOWN = 0  # the exit code

_BY = ("model", "backend", "key", "agent", "session", "api", "day", "hour")
_WHOSE = {"fleet": "fleet", "node": "this Nexus"}
_NOBODY = {
    "model": "(none)",
    "backend": "(no backend)",
    "key": "(no key)",
    "agent": "(unknown)",
    "session": "(no session)",
}


# The command --------------------------------------------------------------------------------------


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        "costs",
        help="cost of a month's or day's requests",
        description="What a month's or a day's requests cost, from the ledger; with --url from "
        "a running Nexus, which is asked by itself where there is no ledger here: the plain twin "
        "of the Costs tab. With [storage] url_env they are those of all that share PostgreSQL, "
        "else those of this Nexus. Months, days and hours are UTC's.",
        epilog="COST is what the usage that backends reported comes to; ESTIMATED, what Nexus "
        "counted itself where none was reported; UNPRICED, how many requests have no known price; "
        "SAVED, an estimate of what local answers would have cost in the cloud. "
        "Exit code: 0 on success, 1 without a ledger, 2 if --url has no running Nexus.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--by", choices=_BY, default="model", help="group by (default: model)")
    period = parser.add_mutually_exclusive_group()
    period.add_argument(
        "--month",
        type=_month,
        metavar="YYYY-MM",
        help="month, or `last` (default: the current one)",
    )
    period.add_argument(
        "--day", type=_day, metavar="YYYY-MM-DD", help="a day instead, or `today`, `yesterday`"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--csv", action="store_true", help="as CSV")
    add_watch(parser)
    add_target(parser, port)
    parser.set_defaults(run=run)


def _month(text: str) -> Month:
    from nexus_core.money.months import Month

    if text == "last":
        return Month.of(time.time()).before
    try:
        return Month.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, and not last") from None


def _day(text: str) -> Day:
    from nexus_core.money.months import Day

    today = Day.of(time.time())
    if text in ("today", "yesterday"):
        return today if text == "today" else today.before
    try:
        return Day.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, and not today or yesterday") from None


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show the costs; gives the exit code."""

    def act(config: Config) -> int:
        read = _told(_reader(config, options))
        is_plain = not (options.json or options.csv)
        show_blocks(options, lambda: _lines(read(), options), is_plain=is_plain)
        return SHOWN

    return run_with_config(options, environ, act)


def _lines(costs: CostLines, options: argparse.Namespace) -> list[str]:
    from nexus_core.money.cost_lines import lines_as_json

    if options.json:
        indent = 2 if options.watch is None else None
        return [json_text(lines_as_json(costs), indent=indent)]
    return (_as_csv if options.csv else _as_table)(costs)


def _told(read: Callable[[], CostLines]) -> Callable[[], CostLines]:
    """`read`, that says where costs of a fleet are those of one node only, once for each reason."""
    said: list[str] = []

    def reading() -> CostLines:
        costs = read()
        if costs.problem is not None and costs.problem not in said:
            said.append(costs.problem)
            say(f"costs: of this Nexus only: {costs.problem}")
        return costs

    return reading


# Where they come from -----------------------------------------------------------------------------


def _reader(config: Config, options: argparse.Namespace) -> Callable[[], CostLines]:
    """What reads the costs: of the Nexus of --url, else of the ledger, else of a Nexus here.

    Raises:
        NoAnswerError: none of these is there.
    """
    ask = partial(_ask, config, options)
    if options.url is not None:
        return partial(ask, find_running(options.url, config))
    try:
        first = [_read(config, options)]
    except NotFoundError as error:
        url = _running_here(config)
        if url is None:
            raise NotFoundError(f"{error}; --url asks a running Nexus elsewhere") from error
        say(f"costs: {error}; asking the Nexus at {url}")
        return partial(ask, url)
    if not first[0].lines and (url := _running_here(config)) is not None:
        # It may have another ledger, as a demo has.
        say(f"costs: the ledger here has none; a Nexus runs at {url}: --url {url} asks it")
    return lambda: first.pop() if first else _read(config, options)


def _running_here(config: Config) -> str | None:
    """The URL of the Nexus at the configured address; None if there is none."""
    server = config.server
    url = local_url(server.host, server.port)
    is_there = server.port and who_answers(url, server.connect_timeout_seconds).kind == "nexus"
    return url if is_there else None


def _period(options: argparse.Namespace) -> Period:
    from nexus_core.money.months import Month

    chosen: Period | None = options.day or options.month
    return chosen or Month.of(time.time())


def _read(config: Config, options: argparse.Namespace) -> CostLines:
    """The costs as the ledger has them now: of the fleet where PostgreSQL answers.

    Raises:
        NotFoundError: there is no ledger, or it can't be read.
    """
    if config.storage.url is None:
        return _read_file(config, options)
    from msgspec.structs import replace

    from nexus_core.database.connection import DatabaseError

    try:
        return _read_database(config, options)
    except DatabaseError as error:
        why = str(error)
    try:
        return replace(_read_file(config, options), problem=why)
    except NotFoundError as error:
        raise NotFoundError(f"{why}; {error}") from error


def _read_database(config: Config, options: argparse.Namespace) -> CostLines:
    """Raises: DatabaseError."""
    from nexus_core.database.connection import Database
    from nexus_core.money.cost_lines import CostLines, Scope
    from nexus_core.money.ledger_queries import By, costs
    from nexus_core.money.shared.shared_ledger import read_database

    period, by = _period(options), By(options.by)
    database = Database(config.storage, is_reader=True)
    try:
        with read_database(database) as ledger:
            return CostLines(by, period, tuple(costs(ledger, by, period)), Scope.FLEET)
    finally:
        database.close()


def _read_file(config: Config, options: argparse.Namespace) -> CostLines:
    """Raises: NotFoundError."""
    from nexus_core.money.cost_lines import CostLines
    from nexus_core.money.ledger import HINT, NO_HOME, ledger_path
    from nexus_core.money.ledger_queries import By, NoLedgerError, costs, read_ledger

    period, by, path = _period(options), By(options.by), ledger_path(config)
    if path is None:
        if config.storage.path != ":memory:":
            raise NotFoundError(f"{NO_HOME}; {HINT}")
        raise NotFoundError('[storage] path is ":memory:", so no ledger is kept')
    try:
        with read_ledger(path) as ledger:
            return CostLines(by, period, tuple(costs(ledger, by, period)))
    except NoLedgerError as error:
        raise NotFoundError(str(error)) from error


def _ask(config: Config, options: argparse.Namespace, url: str) -> CostLines:
    """The costs as a running Nexus tells them.

    Raises:
        NotFoundError: it keeps no ledger, or has not read it yet.
        NoAnswerError: it does not answer.
    """
    from nexus_core.money.cost_lines import read_lines
    from nexus_core.money.months import Month

    period = _period(options)
    kind = "month" if isinstance(period, Month) else "day"
    told = get_json(url, "/nexus/costs", config, {"by": options.by, kind: str(period)})
    with understood():
        if "lines" in told:
            return read_lines(told)
        if told.get("is_reading"):
            raise NotFoundError(f"the Nexus at {url} is still reading its ledger; try again")
        if told["costs"] is not None:
            raise NoAnswerError(f"the Nexus at {url} is too old to tell costs by {options.by}")
    raise NotFoundError(f"the Nexus at {url} keeps no ledger")


# What it shows ------------------------------------------------------------------------------------


def _as_csv(costs: CostLines) -> list[str]:
    from nexus_core.money.cost_lines import NUMBERS, numbers

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow((costs.by.value, *NUMBERS))
    for line in costs.lines:
        writer.writerow((_cell(line.name or ""), *numbers(line).values()))
    return table.getvalue().splitlines()


def _as_table(costs: CostLines) -> list[str]:
    from nexus_core.money.cost_lines import Scope
    from nexus_tui.text.escape import escaped

    if not costs.lines:
        return [f"no requests in {costs.period}"]
    by = costs.by.value
    head = (by.upper(), "REQUESTS", "FAILED", "TOKENS IN", "TOKENS OUT", "COST", "ESTIMATED",
            "UNPRICED", "SAVED")  # fmt: skip
    nobody = _NOBODY.get(by, "(none)")
    rows = [(escaped(line.name or nobody), *_shown(line)) for line in costs.lines]
    of = "" if costs.scope is Scope.NODE and costs.problem is None else f", {_WHOSE[costs.scope]}"
    rows.append((f"total {costs.period}{of}", *_shown(costs.total)))
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [_aligned(row, widths) for row in (head, *rows)]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join(cells).rstrip()


def _shown(line: CostLine) -> tuple[str, ...]:
    """The numbers for people; what has no known price is never shown as $0."""
    is_unknown = line.unpriced > 0 and not line.cost_nano_usd and not line.estimated_nano_usd
    return (
        f"{line.requests:,}",
        f"{line.failed:,}" if line.failed else "-",
        f"{line.prompt_tokens:,}",
        f"{line.completion_tokens:,}",
        "unpriced" if is_unknown else _money(line.cost_nano_usd),
        _money(line.estimated_nano_usd, "≈"),
        f"{line.unpriced:,}" if line.unpriced else "-",
        _money(line.saved_nano_usd, "≈"),
    )


def _money(nano_usd: int, sign: str = "") -> str:
    from nexus_core.money.cost_lines import usd

    return f"{sign}${usd(nano_usd, 6)}" if nano_usd else "-"


def _cell(name: str) -> str:
    """A name for a spreadsheet: nothing that steers a terminal, nothing that it would calculate."""
    from nexus_tui.text.escape import escaped

    shown = escaped(name)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
