"""Events as JSON and back: `{"type": "RouteDecided", …}`. Strict, but open to what is newer."""

from __future__ import annotations

import json
from types import GenericAlias
from typing import Any, TypeVar, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError

from nexus_core.observe.events import NexusEvent, RequestFinished
from nexus_core.types import is_object

_CONFIG = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")

_Value = TypeVar("_Value")


class UnreadableError(ValueError):
    """The JSON is not what it should be; the text names the place and never the value."""


def event_name(event: NexusEvent) -> str:
    """Its `type`: the name of the event's class, which an outcome is a kind of."""
    return "RequestFinished" if isinstance(event, RequestFinished) else type(event).__name__


def event_as_json(event: NexusEvent) -> dict[str, Any]:
    """The event's fields as JSON values, with its `type`."""
    name = event_name(event)
    fields: dict[str, Any] = _ADAPTERS[_KINDS[name]].dump_python((event,), mode="json")[0]
    return {"type": name, **fields}


def read_event(value: object) -> NexusEvent | None:
    """The event again; None for a type that this version does not know.

    Fields that it does not know are left out.

    Raises:
        UnreadableError: a known type with a field that is missing or of another kind.
    """
    if not is_object(value):
        raise UnreadableError("an event must be an object")
    kind = _KINDS.get(str(value.get("type")))
    return None if kind is None else read_json(kind, value)


def as_json(value: object) -> dict[str, Any]:
    """A dataclass's fields as JSON values."""
    fields: dict[str, Any] = _ADAPTERS[type(value)].dump_python((value,), mode="json")[0]
    return fields


def read_json(kind: type[_Value], value: object) -> _Value:
    """A dataclass from JSON values, checked strictly; unknown fields are left out.

    Raises:
        UnreadableError: a field is missing or of another kind.
    """
    try:
        read: tuple[_Value] = _ADAPTERS[kind].validate_json(json.dumps([value]))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        raise UnreadableError(f"{kind.__name__}.{place}: {first['msg']}") from error
    return read[0]


class _Adapters(dict[type[Any], TypeAdapter[Any]]):
    """One for each class, made when it is first needed: that takes a millisecond or more."""

    def __missing__(self, kind: type[Any]) -> TypeAdapter[Any]:
        # A dataclass takes no configuration from outside; one within a tuple does.
        one: Any = GenericAlias(tuple, (kind,))
        self[kind] = adapter = TypeAdapter(one, config=_CONFIG)
        return adapter


_ADAPTERS = _Adapters()
_KINDS: dict[str, type[NexusEvent]] = {kind.__name__: kind for kind in get_args(NexusEvent)}
