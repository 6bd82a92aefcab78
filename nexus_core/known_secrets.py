"""Secrets of this process, cut out of what clients send before it is shown, kept or logged.

A client may put its key where it does not belong: into a session id, a User-Agent, a model's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from nexus_core.catalog.providers import BackendType

if TYPE_CHECKING:
    from nexus_core.config.schema import AuthConfig, BackendConfig

# Of a created client key's secret; no other text looks like one.
FORM = r"nx-[a-z0-9]{8}-[A-Za-z0-9_-]{43}"
_BEGINS = b"nx-"
_CREATED = re.compile(FORM.encode())
_LONG = 16  # characters; what is shorter may be a word, such as ollama, and counts as a whole only
_MAX_KNOWN = 4096  # names
MARK = b"***"
# What manuals write where a server wants some key, whatever it is, beside the server's own name.
_PLACEHOLDERS = frozenset(
    {
        *("none", "null", "empty", "na", "n/a", "x", "xx", "xxx", "dummy", "fake", "test"),
        *("unused", "ignored", "anything", "whatever", "placeholder", "local", "localhost"),
        *("lm-studio", "llama.cpp", "no-key", "nokey", "not-needed", "no-key-needed"),
        *("not-required", "no-key-required", "sk-no-key-required", "key", "apikey", "api-key"),
        *("token", *(kind.value for kind in BackendType)),
    }
)


def is_placeholder(key: str) -> bool:
    """Whether it is nobody's secret, but a word that answers and requests may well have."""
    return key.casefold() in _PLACEHOLDERS


class KnownSecrets:
    """Keys of clients, operators and backends; created client keys are known by their form.

    What was learnt once stays known: a key that the configuration does not have any more may be in
    use elsewhere.
    """

    def __init__(self) -> None:
        self._all: frozenset[bytes] = frozenset()
        self._long: tuple[bytes, ...] = ()  # the longest first
        self._shortest = _LONG
        # Whether one stands in the name of a model, of those that `are_in_name` was asked about.
        self.names: dict[str, bool] = {}
        self._caches: list[Callable[[], None]] = []

    def learn(self, auth: AuthConfig | None, backends: Iterable[BackendConfig]) -> None:
        """Take in the keys of a configuration, or of a part of it."""
        keys = {backend.api_key for backend in backends if backend.api_key}
        found = {key.encode() for key in keys if not is_placeholder(key)}
        if auth is not None:
            found |= {key.value for key in auth.api_keys}
            if auth.admin_key is not None:
                found.add(auth.admin_key)
        if found <= self._all:
            return
        self._know(self._all | found)

    @property
    def is_any(self) -> bool:
        """Whether one was learnt."""
        return bool(self._all)

    def forget(self) -> None:
        """Know none, as at first."""
        self._know(frozenset())

    def _know(self, keys: frozenset[bytes]) -> None:
        self._all = keys
        self._long = tuple(
            sorted((key for key in self._all if len(key) >= _LONG), key=len, reverse=True)
        )
        self._shortest = min(_LONG, min(map(len, self._all), default=_LONG))
        for clear in (self.names.clear, *self._caches):
            clear()

    def watch(self, clear: Callable[[], None]) -> None:
        """Call this when there is another secret: what was kept before may hold it."""
        self._caches.append(clear)

    def are_in(self, text: bytes) -> bool:
        """Whether one of them stands in a text."""
        if len(text) < self._shortest:
            return False
        if text in self._all or (_BEGINS in text and _CREATED.search(text)):
            return True
        for key in self._long:  # noqa: SIM110 - a generator costs more than what it looks at
            if key in text:
                return True
        return False

    def are_in_name(self, name: str) -> bool:
        """Whether a long one stands in the name of a model; quick where the name came before."""
        known = self.names.get(name)
        if known is None:
            if len(self.names) >= _MAX_KNOWN:
                self.names.clear()
            text = name.encode("utf-8", "replace")
            known = self.names[name] = len(text) >= _LONG and self.are_in(text)
        return known

    def cut(self, text: bytes) -> bytes:
        """The text with a mark in the place of each."""
        if not self.are_in(text):
            return text
        if text in self._all:
            return MARK
        for key in self._long:
            text = text.replace(key, MARK)
        return _CREATED.sub(MARK, text)

    def cut_text(self, text: str) -> str:
        """The same of a text."""
        if len(text) < self._shortest:
            return text
        return self.cut(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


SECRETS = KnownSecrets()  # of this process, whose caches and log lines are one
