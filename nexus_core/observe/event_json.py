"""Events as JSON and back: `{"type": "RouteDecided", …}`; tolerant of newer fields."""

from __future__ import annotations

import json
from types import GenericAlias
from typing import Any, TypeVar, get_args

import msgspec
from pydantic import ConfigDict, TypeAdapter, ValidationError

from nexus_core.observe.events import NexusEvent, RequestFinished
from nexus_core.types import is_object

_CONFIG = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")

_Value = TypeVar("_Value")


class UnreadableError(ValueError):
    """Invalid JSON of an event or value; the message names the place, never the value."""


def event_name(event: NexusEvent) -> str:
    """Its `type`: the name of the event's class, which an outcome is a kind of."""
    return "RequestFinished" if isinstance(event, RequestFinished) else type(event).__name__


def event_as_json(event: NexusEvent) -> dict[str, Any]:
    """An event as JSON, with its class name as `type`."""
    return {"type": event_name(event), **as_json(event)}


def read_event(value: object) -> NexusEvent | None:
    """An event from JSON; None for a type unknown to this version.

    Fields that it does not know are left out.

    Raises:
        UnreadableError: a known type with a field that is missing or of another kind.
    """
    if not is_object(value):
        raise UnreadableError("an event must be an object")
    kind = _KINDS.get(str(value.get("type")))
    return None if kind is None else read_json(kind, value)


def as_json(value: object) -> dict[str, Any]:
    """The fields of a struct or a dataclass as JSON values."""
    fields: dict[str, Any]
    if isinstance(value, msgspec.Struct):
        fields = msgspec.to_builtins(value)
    else:
        fields = _ADAPTERS[type(value)].dump_python((value,), mode="json")[0]
    return fields


def read_json(kind: type[_Value], value: object) -> _Value:
    """A struct or a dataclass from JSON, validated strictly; unknown fields are ignored.

    pydantic reads dataclasses: reports, whose numbers have bounds that msgspec does not know.

    Raises:
        UnreadableError: a field is missing or of another kind.
    """
    if issubclass(kind, msgspec.Struct):
        try:  # as text: there only is it strict about what is no JSON, such as NaN
            return msgspec.json.decode(json.dumps(value), type=kind)
        except msgspec.DecodeError as error:
            raise UnreadableError(f"{kind.__name__}{_fault(str(error))}") from None
    try:
        read: tuple[_Value] = _ADAPTERS[kind].validate_json(json.dumps([value]))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        raise UnreadableError(f"{kind.__name__}.{place}: {first['msg']}") from error
    return read[0]


def _fault(text: str) -> str:
    """The words of msgspec after their place; of a wrong choice they quote the value."""
    words, _, place = text.rpartition(" - at `$")
    if words.startswith("Invalid enum value"):
        words = "not one of its values"
    return f"{place.rstrip('`')}: {words}" if words else f": {text}"


class _Adapters(dict[type[Any], TypeAdapter[Any]]):
    """One for each class, made when it is first needed: that takes a millisecond or more."""

    def __missing__(self, kind: type[Any]) -> TypeAdapter[Any]:
        # A dataclass takes no configuration from outside; one within a tuple does.
        one: Any = GenericAlias(tuple, (kind,))
        self[kind] = adapter = TypeAdapter(one, config=_CONFIG)
        return adapter


_ADAPTERS = _Adapters()
_KINDS: dict[str, type[NexusEvent]] = {kind.__name__: kind for kind in get_args(NexusEvent)}
