"""Cache of translated schemas: clients send the same tools with every turn."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, TypeAlias

from nexus_core.dialects.schema.reading import Document
from nexus_core.dialects.schema.written import CannotSayError, Written

# In characters of JSON, of what was given and what was made of it. In memory one is some 8 bytes,
# at worst twice that.
MAX_CHARS = 4 * 1024 * 1024
MAX_CHARS_OF_ONE = MAX_CHARS // 16

Writer: TypeAlias = Callable[[Document], Written]


class _Outcome(NamedTuple):
    written: Written | CannotSayError
    chars: int


class Kept:
    """Bounded cache of the latest translations, by memory: a small schema may become a long one.

    Requests are translated in several threads.
    """

    def __init__(self, max_chars: int = MAX_CHARS) -> None:
        self._max_chars = max_chars
        self._outcomes: OrderedDict[tuple[str, Writer], _Outcome] = OrderedDict()
        self._lock = Lock()
        self.chars = 0

    def find(self, text: str, writer: Writer) -> Written | CannotSayError | None:
        """The cached translation of a schema by `writer`; None if it is not cached."""
        key = text, writer
        with self._lock:
            known = self._outcomes.get(key)
            if known is None:
                return None
            self._outcomes.move_to_end(key)
            return known.written

    def keep(self, text: str, writer: Writer, written: Written | CannotSayError) -> None:
        """Cache a translation unless it is too long, evicting the least recently used ones."""
        try:
            made = len(json.dumps(written.schema)) if isinstance(written, Written) else 0
        except RecursionError:
            return
        chars = len(text) + made
        if chars > MAX_CHARS_OF_ONE:
            return
        with self._lock:
            before = self._outcomes.pop((text, writer), None)
            self._outcomes[text, writer] = _Outcome(written, chars)
            self.chars += chars - (before.chars if before is not None else 0)
            while self.chars > self._max_chars:
                _, gone = self._outcomes.popitem(last=False)
                self.chars -= gone.chars
