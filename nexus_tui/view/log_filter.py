"""Filter of log lines by level and words."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = ("debug", "info", "warning", "error")
_RANK = {"critical": len(LEVELS) - 1} | {level: rank for rank, level in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A log filter: minimum level and words; `!` before a word excludes it."""

    level: str = LEVELS[0]
    words: tuple[str, ...] = ()

    def matches(self, level: str, logger: str, text: str) -> bool:
        """Whether a line is shown; a level that nobody knows counts as info."""
        if _RANK.get(level, _RANK["info"]) < _RANK[self.level]:
            return False
        line = f"{logger} {text}".casefold()
        return all(
            (word[1:] not in line) if word.startswith("!") and word[1:] else (word in line)
            for word in self.words
        )


def words_of(text: str) -> tuple[str, ...]:
    """The words that a person typed."""
    return tuple(text.casefold().split())
