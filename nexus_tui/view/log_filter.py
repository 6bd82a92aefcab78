"""Filter of log lines: a minimum level, and what was typed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nexus_tui.view.filter.language import Filter
from nexus_tui.view.filter.logs import LOGS, Line
from nexus_tui.view.log_levels import LEVELS, rank


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A log filter: both must hold; a level that nobody knows counts as info."""

    level: str = LEVELS[0]
    typed: Filter[Line] = field(default_factory=Filter[Line])

    def matches(self, line: Line) -> bool:
        return rank(line.level) >= rank(self.level) and self.typed.matches(line)


def parse_log_filter(text: str, now: Callable[[], float] = time.time) -> Filter[Line]:
    """Read a filter of log lines; see `Language.parse`. A word with a colon may be one."""
    return LOGS.parse(text, {}, now)
