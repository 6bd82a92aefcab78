"""What differs from the configuration file until restart, for people to choose from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from nexus_core.config.changes import AddBackend, Change, SetBackend, SetZone
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.errors import InvalidRequestError


class Unsaved(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the file does not have, and would have after it is saved."""

    id: str  # names it in a command to save
    backend: str
    key: str | None = None  # of the backend; None: the file does not have the backend at all
    now: bool | int | None = None
    file: bool | int | None = None  # the value that the file has; None: none

    @property
    def text(self) -> str:
        """For people: `gpu-box: priority 70, 90 in the file`."""
        if self.key is None:
            return f"{self.backend}: not in the file"
        if self.key == "enabled":
            state, there = ("on" if one else "off" for one in (self.now, self.file))
            return f"{self.backend}: {state}, {there} in the file"
        number, there = ("none" if one is None else str(one) for one in (self.now, self.file))
        return f"{self.backend}: {self.key} {number}, {there} in the file"


def unsaved(changes: Iterable[Change], config: Config) -> tuple[Unsaved, ...]:
    """The changes that a file can take; a zone's switch is none of them."""
    configured = {backend.name: backend for backend in config.backends}
    return tuple(one for change in changes if (one := _unsaved(change, configured)) is not None)


def _unsaved(change: Change, configured: dict[str, BackendConfig]) -> Unsaved | None:
    name = change_id(change)
    match change:
        case SetBackend(backend, key, value):
            there = getattr(configured[backend], key)
            return Unsaved(id=name, backend=backend, key=key, now=value, file=there)
        case AddBackend(backend):
            return Unsaved(id=name, backend=backend.name)
        case SetZone():
            return None


def change_id(change: Change) -> str:
    """Its name in a command: `gpu-box.priority`, `gpu-box`, `zone open`."""
    match change:
        case SetBackend(backend, key, _):
            return f"{backend}.{key}"
        case AddBackend(backend):
            return backend.name
        case SetZone(zone, _):
            return f"zone {zone}"


def chosen(changes: Sequence[Change], only: Sequence[str] | None) -> tuple[Change, ...]:
    """The changes of these names; None: all of them.

    Raises:
        InvalidRequestError: one of them is no change.
    """
    if only is None:
        return tuple(changes)
    known = {change_id(change) for change in changes}
    if unknown := [name for name in only if name not in known]:
        raise InvalidRequestError(f"{unknown[0]} is not an unsaved change")
    return tuple(change for change in changes if change_id(change) in only)


def with_saved(config: Config, changes: Iterable[Change]) -> Config:
    """The configuration as a file with these changes has it."""
    backends = {backend.name: backend for backend in config.backends}
    for change in changes:
        match change:
            case SetBackend(name, key, value) if name in backends:
                backends[name] = backends[name].model_copy(update={key: value})
            case AddBackend(backend):
                backends[backend.name] = backend
            case _:
                pass
    return config.model_copy(update={"backends": tuple(backends.values())})


def as_json(values: Iterable[Unsaved]) -> list[dict[str, Any]]:
    """As JSON values, with the text for people."""
    return [{**msgspec.to_builtins(one), "text": one.text} for one in values]
