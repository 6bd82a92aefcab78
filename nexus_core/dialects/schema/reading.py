"""Read a JSON schema of any draft, from 04 to 2020-12, into one canonical form.

The canonical form is draft 2020-12 with every keyword valid. Two things differ from a plain
schema: a `$ref` holds just the name of a definition, and definitions are kept beside the tree, not
in it; unused ones are left out. Invalid parts are left out too, so that the schema accepts more,
never less; `Document.notes` has their places.

https://json-schema.org/draft/2020-12/schema and the release notes of the drafts before it;
`nullable` is OpenAPI's: https://spec.openapis.org/oas/v3.0.3#schema-object
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from math import isfinite

import msgspec

from nexus_core.dialects.schema.keywords import (
    ANNOTATIONS,
    KINDS,
    LATER,
    MEMBERS,
    SCHEMA,
    SCHEMAS,
    TYPES,
)
from nexus_core.dialects.schema.references import References, Schema
from nexus_core.dialects.tool_calls.names import slug
from nexus_core.types import JsonObject, JsonValue, is_list, is_object

MAX_DEPTH = 64  # of schemas in each other: deeper than any that means something
MAX_NOTES = 20

_LEGACY = ("draft-03", "draft-04", "draft-06", "draft-07")  # there a $ref stands alone
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Document(msgspec.Struct, frozen=True):
    """A schema in canonical form."""

    root: Schema
    definitions: dict[str, Schema]  # by the names that a "$ref" holds
    recursive: frozenset[str]  # those that lead back to themselves
    notes: tuple[tuple[str, str], ...]  # where something was left out, and what


def read_schema(schema: object) -> Document:
    """Read a client's schema into canonical form, valid or not. Never raises."""
    return _Reader(schema).read()


def subschemas(node: JsonObject) -> Iterator[Schema]:
    """The direct subschemas of a canonical schema, without those it refers to."""
    for key, value in node.items():
        kind = KINDS.get(key)
        if kind is SCHEMA or key == "items":
            yield value
        elif kind is SCHEMAS:
            yield from value
        elif kind is MEMBERS:
            yield from value.values()


def property_names(root: Schema, document: Document) -> dict[str, None]:
    """Names of all properties, in the root and in the definitions."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    pending = [root]
    while pending:
        schema = pending.pop()
        if isinstance(schema, bool):
            continue
        found.update(dict.fromkeys(schema.get("properties", ())))
        name = schema.get("$ref")
        if name is not None and name not in seen:
            seen.add(name)
            pending.append(document.definitions[name])
        pending.extend(subschemas(schema))
    return found


class _Reader:
    def __init__(self, schema: object) -> None:
        self._schema = schema
        declared = schema.get("$schema") if is_object(schema) else None
        declared = declared if isinstance(declared, str) else ""
        self._refs_stand_alone = any(draft in declared for draft in _LEGACY)
        self._references = References(
            schema if is_object(schema) else {}, draft_4="draft-04" in declared
        )
        self._names: dict[int, str] = {}  # of definitions, by id() of the schema
        self._pending: deque[tuple[str, Schema]] = deque()
        self._edges: dict[str, set[str]] = {}
        self._counts: dict[str, int] = {}  # of names that were wanted more than once
        self._within: str | None = None  # the definition that is read
        self._notes: list[tuple[str, str]] = []

    def read(self) -> Document:
        root = self._node(self._schema, "", 0)
        definitions: dict[str, Schema] = {}
        while self._pending:
            name, schema = self._pending.popleft()
            self._within = name
            definitions[name] = self._node(schema, f".$defs.{name}", 0)
        notes = tuple((place.lstrip("."), what) for place, what in self._notes)
        return Document(root, definitions, _recursive(self._edges), notes)

    def _note(self, place: str, what: str) -> None:
        if len(self._notes) < MAX_NOTES:
            self._notes.append((place, what))

    def _node(self, source: object, place: str, depth: int) -> Schema:
        if isinstance(source, bool):
            return source
        if not is_object(source):
            self._note(place, "not a schema; anything is accepted there")
            return True
        if depth > MAX_DEPTH:
            self._note(place, "nested too deep; anything is accepted there")
            return True
        node: JsonObject = {}
        if "type" in source:
            self._read_type(node, source["type"], place)
        for key, value in source.items():
            kind = KINDS.get(key)
            if kind is None:
                if not key.startswith("$"):
                    node[key] = value
            elif kind is not LATER:
                self._read(node, key, value, kind, place, depth)
        self._read_arrays(node, source, place, depth)
        self._read_limits(node, source)
        self._read_names(node, source)
        self._read_dependencies(node, source, place, depth)
        self._read_values(node, source, place)
        if any(key in source for key in _REFERENCES):
            self._read_reference(node, source, place)
        return _nullable(node) if source.get("nullable") is True else node

    def _read(
        self, node: JsonObject, key: str, value: JsonValue, kind: str, place: str, depth: int
    ) -> None:
        """Read one keyword, if its value is valid."""
        match kind, value:
            case "schema", _:
                node[key] = self._node(value, f"{place}.{key}", depth + 1)
            case "schemas", [_, *_]:
                node[key] = [
                    self._node(each, f"{place}.{key}[{index}]", depth + 1)
                    for index, each in enumerate(value)
                ]
            case "members", dict():
                node[key] = {
                    name: self._node(each, f"{place}.{key}.{name}", depth + 1)
                    for name, each in value.items()
                }
            case "text", str():
                node[key] = value
            case "number", int() | float() if _is_number(value):
                if key != "multipleOf" or value > 0:
                    node[key] = value
            case "count", int() | float() if _is_number(value):
                if value >= 0 and value == int(value):
                    node[key] = int(value)
            case "flag", bool():
                node[key] = value
            case "list", list():
                node[key] = value
            case "any", _:
                node[key] = value
            case _:
                pass

    def _read_type(self, node: JsonObject, given: object, place: str) -> None:
        types = _types(given)
        if types is None:
            self._note(f"{place}.type", "not a type; left out")
        elif types:
            node["type"] = types[0] if len(types) == 1 else types

    def _read_arrays(self, node: JsonObject, source: JsonObject, place: str, depth: int) -> None:
        """Read array keywords; `items` could be a list up to draft 2019-09."""
        items = source.get("items")
        if is_list(items):
            self._read(node, "prefixItems", items, SCHEMAS, place, depth)
            items = source.get("additionalItems")
        if items is not None:
            node["items"] = self._node(items, f"{place}.items", depth + 1)

    def _read_limits(self, node: JsonObject, source: JsonObject) -> None:
        """Read limits; in draft 04 an exclusive limit was a boolean beside the limit."""
        for key, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            value = source.get(key)
            if value is True and limit in node:
                node[key] = node.pop(limit)
            elif _is_number(value):
                node[key] = value

    def _read_names(self, node: JsonObject, source: JsonObject) -> None:
        required = source.get("required")
        if is_list(required):
            node["required"] = _names(required)
        needed = source.get("dependentRequired")
        if is_object(needed):
            node["dependentRequired"] = {
                name: _names(names) for name, names in needed.items() if is_list(names)
            }

    def _read_dependencies(
        self, node: JsonObject, source: JsonObject, place: str, depth: int
    ) -> None:
        """Read `dependencies`, which draft 2019-09 split into two keywords."""
        given = source.get("dependencies")
        if not is_object(given):
            return
        for name, needed in given.items():
            if is_list(needed):
                node.setdefault("dependentRequired", {})[name] = _names(needed)
            elif isinstance(needed, bool) or is_object(needed):
                read = self._node(needed, f"{place}.dependencies.{name}", depth + 1)
                node.setdefault("dependentSchemas", {})[name] = read

    def _read_values(self, node: JsonObject, source: JsonObject, place: str) -> None:
        enum = source.get("enum")
        if is_list(enum) and enum:
            node["enum"] = list({_same(value): value for value in enum}.values())
        elif "enum" in source:
            self._note(f"{place}.enum", "no values; left out")
        if "example" in source and "examples" not in node:
            node["examples"] = [source["example"]]

    def _read_reference(self, node: JsonObject, source: JsonObject, place: str) -> None:
        if self._refs_stand_alone:
            for key in node.keys() - ANNOTATIONS:
                del node[key]
        for keyword in _REFERENCES:
            reference = source.get(keyword)
            if reference is None:
                continue
            target = self._target(source, keyword, reference)
            if target is None:
                self._note(f"{place}.{keyword}", "leads out of the schema; anything is accepted")
                words = f"{{{keyword}: {reference}}}"
                given = node.get("description")
                node["description"] = f"{given}\n\n{words}" if given else words
            elif "$ref" in node:
                node.setdefault("allOf", []).append({"$ref": self._name(target, str(reference))})
            else:
                node["$ref"] = self._name(target, str(reference))

    def _target(self, source: JsonObject, keyword: str, reference: object) -> Schema | None:
        if not isinstance(reference, str):
            return None
        if keyword == "$dynamicRef":
            return self._references.dynamic_target(source, reference)
        return self._references.target(source, reference)

    def _name(self, target: Schema, reference: str) -> str:
        """The name of a definition; each schema is read once, for all references."""
        known = self._names.get(id(target))
        if known is None:
            last = slug(reference.rpartition("/")[2].rpartition("#")[2], 40)
            known = self._free(last or "root")
            self._names[id(target)] = known
            self._edges[known] = set()
            self._pending.append((known, target))
        if self._within is not None:
            self._edges[self._within].add(known)
        return known

    def _free(self, wanted: str) -> str:
        """The name, or the next free one with a number appended."""
        name = wanted
        while name in self._edges:
            self._counts[wanted] = self._counts.get(wanted, 1) + 1
            name = f"{wanted}_{self._counts[wanted]}"
        return name


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or isfinite(value)


def _names(values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _types(given: object) -> list[str] | None:
    """The types of a `type`, each once; empty if any is allowed, None for an invalid one.

    Schemas written for Gemini have them in capitals.
    """
    names = given if is_list(given) else [given]
    words = [name.lower() for name in names if isinstance(name, str)]
    if "any" in words:
        return []
    return list(dict.fromkeys(word for word in words if word in TYPES)) or None


def _same(value: object) -> str:
    """A key that is equal for equal JSON values; 1 and true differ."""
    try:
        return json.dumps(value, sort_keys=True)
    except (RecursionError, TypeError):
        return str(id(value))


def _nullable(node: JsonObject) -> JsonObject:
    if "enum" in node and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    types = node.get("type")
    if types is not None:
        listed = types if is_list(types) else [types]
        node["type"] = listed if "null" in listed else [*listed, "null"]
    if {"$ref", "const", "allOf", "anyOf", "oneOf"}.isdisjoint(node):
        return node
    said = {key: node.pop(key) for key in ANNOTATIONS & node.keys()}
    return {**said, "anyOf": [node, {"type": "null"}]}


def _recursive(edges: dict[str, set[str]]) -> frozenset[str]:
    """Names of recursive definitions (Tarjan's components, without recursion)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: set[str] = set()
    for start in edges:
        if start in order:
            continue
        work = [(start, iter(edges[start]))]
        order[start] = low[start] = len(order)
        stack.append(start)
        on_stack.add(start)
        while work:
            name, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == order[name]:
                    component: list[str] = []
                    while not component or component[-1] != name:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    if len(component) > 1 or name in edges[name]:
                        found.update(component)
            elif following not in order:
                order[following] = low[following] = len(order)
                stack.append(following)
                on_stack.add(following)
                work.append((following, iter(edges[following])))
            elif following in on_stack:
                low[name] = min(low[name], order[following])
    return frozenset(found)
