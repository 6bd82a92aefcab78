"""Make one schema out of two that both hold, or out of a union; the result accepts no less.

All of it works on the canonical form of `reading`. What one schema can't say of both is handed
back, to be told in words.
"""

from __future__ import annotations

from typing import NamedTuple

from nexus_core.dialects.schema.keywords import ANNOTATIONS
from nexus_core.dialects.schema.references import Schema
from nexus_core.types import JsonObject, is_list, is_object

_MAX_KINDS = 100  # schemas that one property may have in a union

# Keywords that mean something together only: of two schemas one side's are taken, all of them.
_TOGETHER = (
    frozenset({"prefixItems", "items"}),
    frozenset({"contains", "minContains", "maxContains"}),
    frozenset({"if", "then", "else"}),
    frozenset({"patternProperties", "additionalProperties"}),
)
_HIGHEST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_LOWEST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


class Merged(NamedTuple):
    """One schema of two, and those keywords of the second that it could not take in."""

    node: JsonObject
    rest: JsonObject


def merge(first: JsonObject, second: JsonObject) -> Merged:
    """A schema for what both accept; it may accept more, as `rest` tells."""
    node: JsonObject = dict(first)
    rest: JsonObject = {}
    for key, value in second.items():
        if key not in node:
            if not _belongs_to_other(key, first):
                node[key] = value
            else:
                rest[key] = value
        elif node[key] != value or isinstance(node[key], bool) is not isinstance(value, bool):
            joined = _both(key, node[key], value)
            if joined is not None:
                node[key] = joined
            elif key not in ANNOTATIONS:
                rest[key] = value
    if "patternProperties" in rest:
        # Neither side's "all others" can be told without all of the patterns.
        for key in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            if key in node:
                rest.setdefault(key, node.pop(key))
    return Merged(node, rest)


def _belongs_to_other(key: str, first: JsonObject) -> bool:
    """Whether the first has a say in what a keyword of the second is about."""
    return any(key in group and not group.isdisjoint(first) for group in _TOGETHER)


def _both(key: str, one: object, other: object) -> object | None:
    """The value of a keyword that says what both say; None where there is none."""
    if key == "properties" and is_object(one) and is_object(other):
        joined = dict(one)
        for name, schema in other.items():
            joined[name] = both(joined[name], schema) if name in joined else schema
        return joined
    if key == "required" and is_list(one) and is_list(other):
        return list(dict.fromkeys([*one, *other]))
    if key == "type":
        return _types_of_both(one, other)
    if key == "allOf" and is_list(one) and is_list(other):
        return [*one, *other]
    if isinstance(one, int | float) and isinstance(other, int | float):
        if key in _HIGHEST:
            return max(one, other)
        if key in _LOWEST:
            return min(one, other)
    return None


def both(one: Schema, other: Schema) -> Schema:
    """A schema that holds where both do."""
    if one is True or one == other:
        return other
    if other is True:
        return one
    if one is False or other is False:
        return False
    if one.keys() == {"allOf"}:  # in a row, however many there are
        return {"allOf": [*one["allOf"], other]}
    return {"allOf": [one, other]}


def _types_of_both(one: object, other: object) -> object | None:
    ours, theirs = type_list(one), type_list(other)
    common = [name for name in ours if name in theirs or (name == "integer" and "number" in theirs)]
    common += [
        name for name in theirs if name == "integer" and "number" in ours and name not in common
    ]
    if not common:
        return None  # nothing is of both; the first is what is told
    return common[0] if len(common) == 1 else common


def type_list(types: object) -> list[str]:
    """The types of a `type`; empty where it is absent."""
    if isinstance(types, str):
        return [types]
    return list(types) if is_list(types) else []


class Union(NamedTuple):
    """Objects of which any may be given, as one object."""

    properties: dict[str, Schema]
    required: list[str]  # by all of them
    is_closed: bool  # none takes a property that is not named


def unite(branches: list[JsonObject]) -> Union:
    """The object that holds what each branch names.

    A property that only some branches name is described as they do: an object of another branch
    that happens to bear it with a value of another kind is not what its author meant.
    """
    schemas: dict[str, list[Schema]] = {}
    for branch in branches:
        for name, schema in branch.get("properties", {}).items():
            known = schemas.setdefault(name, [])
            if len(known) > _MAX_KINDS:
                continue
            if len(known) == _MAX_KINDS:
                known.append(True)  # too many to tell
            elif not any(_is_same(schema, each) for each in known):
                known.append(schema)
    properties: dict[str, Schema] = {
        name: each[0] if len(each) == 1 else True if True in map(_truth, each) else {"anyOf": each}
        for name, each in schemas.items()
    }
    common = [
        name
        for name in branches[0].get("required", ())
        if all(name in branch.get("required", ()) for branch in branches[1:])
    ]
    closed = all(
        branch.get("additionalProperties") is False and "patternProperties" not in branch
        for branch in branches
    )
    return Union(properties, common, closed)


def _is_same(one: Schema, other: Schema) -> bool:
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def _truth(schema: Schema) -> bool | None:
    return schema if isinstance(schema, bool) else None
