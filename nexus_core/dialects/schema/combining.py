"""Merge two schemas (`allOf`) or unite the branches of a union; the result accepts no less.

Input and output are in the canonical form of `reading`. Constraints that one schema can't express
are handed back, for the description.
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
    """One schema merged from two, and the keywords of the second that did not fit in."""

    node: JsonObject
    rest: JsonObject


def merge(first: JsonObject, second: JsonObject) -> Merged:
    """Merge two schemas; the result may accept more, by the keywords in `rest`."""
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
    """Whether a keyword of the second concerns values that the first constrains too."""
    return any(key in group and not group.isdisjoint(first) for group in _TOGETHER)


def _both(key: str, one: object, other: object) -> object | None:
    """Value of a keyword that holds in both schemas; None where there is none."""
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
    """A schema that accepts values valid in both."""
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
    """A union of objects, written as one object."""

    properties: dict[str, Schema]
    required: list[str]  # by all of them
    is_closed: bool  # none takes a property that is not named


def unite(branches: list[JsonObject]) -> Union:
    """Unite the branches of a union of objects into one object with all their properties.

    A property named by only some branches keeps their schema, although an object of another branch
    could have it with a value of another type.
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
