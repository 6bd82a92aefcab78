"""Make the schema of tool arguments one object, as every provider requires.

Clients may send any schema: a reference, a union, a list, nothing at all. Constraints of a union
beyond the properties go into the description; arguments that are not an object are put into one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nexus_core.dialects.schema.combining import merge, type_list, unite
from nexus_core.dialects.schema.keywords import ANNOTATIONS, VALUE
from nexus_core.dialects.schema.reading import Document
from nexus_core.dialects.schema.references import Schema
from nexus_core.types import JsonObject, is_object

_MOST = 5_000  # schemas that are looked at for one root
_DEPTH = 40  # of them in each other

_UNIONS = ("anyOf", "oneOf")
_TOO_MUCH = ("", "too many schemas refer to each other; some are left out")


@dataclass(slots=True)
class Root:
    """The root of a tool's arguments."""

    node: JsonObject  # of type object, without a union
    words: JsonObject = field(default_factory=dict)  # for its description: keyword to value
    is_wrapped: bool = False  # the client's arguments are the property `value` of it
    notes: list[tuple[str, str]] = field(default_factory=list)


def object_root(document: Document) -> Root:
    """Write the root of a tool's arguments as one object."""
    flattener = _Flattener(document)
    if not flattener.takes_object(document.root, frozenset()):
        return Root(
            {"type": "object", "properties": {VALUE: document.root}, "required": [VALUE]},
            is_wrapped=True,
            notes=[("", "arguments that are no object are put into one")],
        )
    if document.root is False:
        return Root(
            {"type": "object", "properties": {}}, notes=[("", "accepts nothing; sent without any")]
        )
    root = Root({})
    root.node = {
        "type": "object",
        **flattener.flat(document.root, frozenset(), root),
    }
    root.node["type"] = "object"  # one of several may have come after it
    if root.words:
        # What is left out may have named properties that count as evaluated.
        root.node.pop("unevaluatedProperties", None)
    return root


class _Flattener:
    def __init__(self, document: Document) -> None:
        self._definitions = document.definitions
        self._looks = _MOST  # that are left
        self._steps = _MOST
        # Of definitions that are done: they are looked at once, however many refer to them.
        self._taking: dict[str, bool] = {}
        self._flat: dict[str, JsonObject] = {}

    def takes_object(self, schema: Schema, within: frozenset[str]) -> bool:
        """Whether an object may be valid; True in doubt."""
        self._looks -= 1
        if isinstance(schema, bool) or self._looks < 0 or len(within) > _DEPTH:
            return True
        types = type_list(schema.get("type"))
        if types and "object" not in types:
            return False
        if "const" in schema and not is_object(schema["const"]):
            return False
        if "enum" in schema and not any(is_object(value) for value in schema["enum"]):
            return False
        name = schema.get("$ref")
        if name is not None and name not in within:
            if name not in self._taking:
                self._taking[name] = self.takes_object(self._definitions[name], within | {name})
            if not self._taking[name]:
                return False
        if not all(self.takes_object(each, within) for each in schema.get("allOf", ())):
            return False
        return all(
            any(self.takes_object(each, within) for each in schema[union])
            for union in _UNIONS
            if union in schema
        )

    def flat(self, schema: Schema, within: frozenset[str], root: Root) -> JsonObject:
        """Flatten references and unions; the constraints they add go into the words."""
        self._steps -= 1
        if isinstance(schema, bool):
            return {}
        if self._steps < 0 or len(within) > _DEPTH:
            root.notes.append(_TOO_MUCH)
            return {}
        node = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
        name = schema.get("$ref")
        if name is not None and name not in within:
            if name not in self._flat:
                self._flat[name] = self.flat(self._definitions[name], within | {name}, root)
            node = self._merged(node, self._flat[name], root)
        for branch in schema.get("allOf", ()):
            node = self._merged(node, self.flat(branch, within, root), root)
        for union in _UNIONS:
            if union in node:
                self._unite(node, node.pop(union), union, within, root)
        return node

    def _merged(self, node: JsonObject, other: JsonObject, root: Root) -> JsonObject:
        merged = merge(node, other)
        if merged.rest:
            root.words.setdefault("allOf", []).append(merged.rest)
        return merged.node

    def _unite(
        self,
        node: JsonObject,
        branches: list[Schema],
        union: str,
        within: frozenset[str],
        root: Root,
    ) -> None:
        """Merge a union of objects into the node that has it."""
        objects = [each for each in branches if self.takes_object(each, within)]
        if len(objects) < len(branches):
            root.notes.append((union, "only objects can be arguments; the others are left out"))
        flat = [self.flat(each, within, root) for each in objects if each is not False]
        if len(flat) == 1:
            merged = self._merged(node, flat[0], root)
            node.clear()
            node.update(merged)
        if len(flat) < 2:
            return
        union_of = unite(flat)
        properties = node.get("properties", {})
        if union_of.properties or properties:
            node["properties"] = {**union_of.properties, **properties}
        if union_of.required:
            node["required"] = list(dict.fromkeys([*node.get("required", ()), *union_of.required]))
        if union_of.is_closed and "patternProperties" not in node:
            node["additionalProperties"] = False
        gist = [_gist(branch) for branch in flat]
        if any(gist):
            root.words.setdefault(union, []).extend(gist)


def _gist(branch: JsonObject) -> JsonObject:
    """Short form of a branch, for the description: without the schemas of its properties."""
    gist = {
        key: value
        for key, value in branch.items()
        if key not in ANNOTATIONS
        and key not in {"type", "properties", "additionalProperties", "patternProperties"}
    }
    marks = {
        name: schema
        for name, schema in branch.get("properties", {}).items()
        if is_object(schema) and not {"const", "enum"}.isdisjoint(schema)
    }
    if marks:
        gist["properties"] = marks
    if branch.get("title"):
        gist["title"] = branch["title"]
    return gist
