"""The --watch option of plain-text views: print the view repeatedly."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Callable, Sequence

from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.process.streams import say, show

SECONDS = 2.0
_LONGEST_SECONDS = 86_400.0


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Declare the --watch option."""
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=SECONDS,
        metavar="SECONDS",
        help="repeat every SECONDS (default: 2); stop with ctrl+c",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0.1 <= seconds <= _LONGEST_SECONDS:
        return seconds
    raise argparse.ArgumentTypeError("must be 0.1 seconds or more")


def show_blocks(
    options: argparse.Namespace,
    make: Callable[[], list[str]],
    *,
    is_plain: bool,
    missing: type[Exception] = NoAnswerError,
) -> None:
    """Print the lines of `make`; with --watch repeatedly.

    Args:
        is_plain: text for people: each block has the time above it, and a gap before that.
        missing: what `make` raises when there is nothing to show; the first time it passes on.
    """
    block = make()
    if options.watch is None:
        for line in block:
            show(line)
        return
    while _append([time.strftime("%H:%M:%S"), *block] if is_plain else block):
        time.sleep(options.watch)
        block = _next_block(options, make, missing)
        if is_plain and not show(""):
            return


def _next_block(
    options: argparse.Namespace, make: Callable[[], list[str]], missing: type[Exception]
) -> list[str]:
    """The next one, however long it takes to come; that it is missing is told once."""
    is_lost = False
    while True:
        try:
            return make()
        except missing as error:
            if not is_lost:
                say(f"{options.command}: {error}; trying again")
            is_lost = True
            time.sleep(options.watch)


def _append(block: Sequence[str]) -> bool:
    """Write a block whole; False once nobody reads it."""
    if not all(show(line) for line in block):
        return False
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return True
    return False
