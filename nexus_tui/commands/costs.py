"""`nexus costs`: the cost of a month's requests, from the ledger."""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nexus_tui.commands.base.client import json_text
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.target import add_target, run_with_config
from nexus_tui.commands.base.watch import add_watch, show_blocks
from nexus_tui.process.streams import say

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_core.money.ledger_queries import CostLine
    from nexus_core.money.months import Month

SHOWN, NO_LEDGER = 0, 1  # the exit codes

_BY = ("model", "backend", "key", "day")
_NOBODY = {"model": "(none)", "backend": "(no backend)", "key": "(no key)", "day": "(none)"}
_NUMBERS = (
    "requests",
    "failed",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "estimated_usd",
    "unpriced",
    "saved_usd",
)


# The command --------------------------------------------------------------------------------------


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        "costs",
        help="cost of a month's requests",
        description="What a month's requests cost, from the ledger. Works while Nexus runs and "
        "while it does not. Months and days are UTC's.",
        epilog="COST is what the usage that backends reported comes to; ESTIMATED, what Nexus "
        "counted itself where none was reported; UNPRICED, how many requests have no known price; "
        "SAVED, an estimate of what local answers would have cost in the cloud. "
        "The exit code is 0 when there is a ledger, 1 when there is none.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--by", choices=_BY, default="model", help="group by (default: model)")
    add("--month", type=_month, metavar="YYYY-MM", help="month (default: the current one)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as JSON")
    form.add_argument("--csv", action="store_true", help="as CSV")
    add_watch(parser)
    add_target(parser, port, url=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show the costs; gives the exit code."""

    def act(config: Config) -> int:
        return _show_costs(config, options)

    return run_with_config(options, environ, act)


def _show_costs(config: Config, options: argparse.Namespace) -> int:
    from nexus_core.money.ledger_queries import NoLedgerError

    is_plain = not (options.json or options.csv)
    try:
        show_blocks(
            options, lambda: _lines(config, options), is_plain=is_plain, missing=NoLedgerError
        )
    except NoLedgerError as error:
        say(f"costs: {error}")
        return NO_LEDGER
    return SHOWN


def _lines(config: Config, options: argparse.Namespace) -> list[str]:
    """The month as it is now.

    Raises:
        NoLedgerError: nothing is known of it.
    """
    from nexus_core.money.ledger import HINT, NO_HOME, ledger_path
    from nexus_core.money.ledger_queries import By, NoLedgerError, costs, read_ledger
    from nexus_core.money.months import Month

    month = options.month or Month.of(time.time())
    path = ledger_path(config)
    if path is None:
        if config.storage.path != ":memory:":
            raise NoLedgerError(f"{NO_HOME}; {HINT}")
        raise NoLedgerError('[storage] path is ":memory:", so no ledger is kept')
    with read_ledger(path) as ledger:
        lines = costs(ledger, By(options.by), month)
    if options.json:
        indent = 2 if options.watch is None else None
        return [json_text(_as_json(lines, options.by, month), indent=indent)]
    return (_as_csv if options.csv else _as_table)(lines, options.by, month)


def _month(text: str) -> Month:
    from nexus_core.money.months import Month

    try:
        return Month.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


# What it shows ------------------------------------------------------------------------------------


def _as_json(lines: Sequence[CostLine], by: str, month: Month) -> dict[str, Any]:
    """Amounts are strings: a JSON number would lose digits on the way."""
    return {
        "month": str(month),
        "by": by,
        "lines": [{by: line.name, **_numbers(line)} for line in lines],
        "total": _numbers(_total(lines)),
    }


def _as_csv(lines: Sequence[CostLine], by: str, month: Month) -> list[str]:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow((by, *_NUMBERS))
    for line in lines:
        writer.writerow((_cell(line.name or ""), *_numbers(line).values()))
    return table.getvalue().splitlines()


def _as_table(lines: Sequence[CostLine], by: str, month: Month) -> list[str]:
    from nexus_tui.text.escape import escaped

    if not lines:
        return [f"no requests in {month}"]
    head = (by.upper(), "REQUESTS", "FAILED", "TOKENS IN", "TOKENS OUT", "COST", "ESTIMATED",
            "UNPRICED", "SAVED")  # fmt: skip
    rows = [(escaped(line.name or _NOBODY[by]), *_shown(line)) for line in lines]
    rows.append((f"total {month}", *_shown(_total(lines))))
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    texts: list[str] = []
    for name, *numbers in (head, *rows):
        cells = [name.ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)]
        texts.append("  ".join(cells).rstrip())
    return texts


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
    return f"{sign}${_usd(nano_usd, 6)}" if nano_usd else "-"


def _numbers(line: CostLine) -> dict[str, int | str | None]:
    """By the names of `_NUMBERS`, in their order."""
    values = (
        line.requests,
        line.failed,
        line.prompt_tokens,
        line.completion_tokens,
        _usd(line.cost_nano_usd),
        _usd(line.estimated_nano_usd),
        line.unpriced,
        _usd(line.saved_nano_usd),
    )
    return dict(zip(_NUMBERS, values, strict=True))


def _usd(nano_usd: int, places: int = 9) -> str:
    from nexus_core.types import Cost

    return f"{Cost(nano_usd, '').usd:.{places}f}"


def _total(lines: Sequence[CostLine]) -> CostLine:
    from nexus_core.money.ledger_queries import CostLine

    def total(number: str) -> int:
        return sum(getattr(line, number) for line in lines)

    return CostLine(
        name=None,
        requests=total("requests"),
        failed=total("failed"),
        prompt_tokens=total("prompt_tokens"),
        completion_tokens=total("completion_tokens"),
        cost_nano_usd=total("cost_nano_usd"),
        estimated_nano_usd=total("estimated_nano_usd"),
        unpriced=total("unpriced"),
        saved_nano_usd=total("saved_nano_usd"),
    )


def _cell(name: str) -> str:
    """A name for a spreadsheet: nothing that steers a terminal, nothing that it would calculate."""
    from nexus_tui.text.escape import escaped

    shown = escaped(name)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
