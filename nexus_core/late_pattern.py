"""Regular expressions that are compiled when they are first asked."""

import re
from functools import cached_property
from typing import AnyStr, Generic


class LatePattern(Generic[AnyStr]):
    """A pattern that only failures need: compiling these takes a start 6 ms."""

    def __init__(self, pattern: AnyStr, flags: int = 0) -> None:
        self.pattern: AnyStr = pattern
        self._flags = flags

    @cached_property
    def _compiled(self) -> re.Pattern[AnyStr]:
        return re.compile(self.pattern, self._flags)

    def search(self, text: AnyStr) -> re.Match[AnyStr] | None:
        """As of `re.Pattern`."""
        return self._compiled.search(text)

    def fullmatch(self, text: AnyStr) -> re.Match[AnyStr] | None:
        """As of `re.Pattern`."""
        return self._compiled.fullmatch(text)
