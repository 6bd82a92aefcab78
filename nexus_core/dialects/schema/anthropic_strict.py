"""JSON schemas in Anthropic's dialect of structured outputs: answers, and strict tools.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs, and `transform_schema` of
the anthropic package: objects are closed, numbers and strings have no bounds, and there is neither
oneOf nor recursion. What can't be enforced goes into the description, where the model reads it.
An answer that keeps to what is sent keeps to the client's schema in what can be enforced.
"""

from __future__ import annotations

from collections.abc import Mapping

from nexus_core.dialects.schema.anthropic_tools import PROPERTY_KEYS
from nexus_core.dialects.schema.combining import type_list
from nexus_core.dialects.schema.inlining import Inliner
from nexus_core.dialects.schema.keywords import ANNOTATIONS
from nexus_core.dialects.schema.reading import MAX_DEPTH, Document, property_names
from nexus_core.dialects.schema.references import Schema
from nexus_core.dialects.schema.roots import object_root
from nexus_core.dialects.schema.words import described
from nexus_core.dialects.schema.written import CannotSayError, Notes, Written, rename_words
from nexus_core.dialects.tool_calls.arguments import Arguments, renamed_value
from nexus_core.dialects.tool_calls.names import Names
from nexus_core.types import JsonObject

FORMATS = frozenset(
    {
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    }
)

# Keywords that are about one type, for a schema with several.
_ABOUT = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("format", "pattern", "minLength", "maxLength"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_TYPE_OF = {key: kind for kind, keys in _ABOUT.items() for key in keys}
# Told neither in words nor otherwise.
_SILENT = frozenset({"description", "title", "default", "deprecated", "readOnly", "writeOnly"})


def write_answer(document: Document) -> Written:
    """Write the schema of a structured answer; its keys are not renamed.

    Raises:
        CannotSayError: Anthropic's structured outputs can't express it.
    """
    notes = Notes(document.notes)
    schema = _Writer(document, {}, notes).document(document.root, {})
    return Written(schema, None, notes.lines())


def write_strict_input(document: Document) -> Written:
    """Write the schema of a strict tool's input.

    Raises:
        CannotSayError: it can't be strict.
    """
    root = object_root(document)
    notes = Notes(document.notes, root.notes)
    names = Names(PROPERTY_KEYS, property_names(root.node, document))
    schema = _Writer(document, names.renamed, notes).document(root.node, root.words)
    arguments = Arguments.of(names.renamed, is_wrapped=root.is_wrapped)
    return Written(schema, arguments, notes.lines(names.renamed))


class _Writer:
    def __init__(self, document: Document, renamed: Mapping[str, str], notes: Notes) -> None:
        self._document = document
        self._renamed = renamed
        self._notes = notes
        self._inliner = Inliner(document)
        self._referred: dict[str, None] = {}
        self._depth = 0

    def document(self, root: Schema, words: JsonObject) -> JsonObject:
        schema = self._any(root, frozenset(), "", words)
        definitions: JsonObject = {}
        while missing := [name for name in self._referred if name not in definitions]:
            for name in missing:
                schema_of = self._document.definitions[name]
                definitions[name] = self._any(schema_of, frozenset({name}), f"$defs.{name}")
        if definitions:
            schema["$defs"] = definitions
        return schema

    def _any(
        self, schema: Schema, within: frozenset[str], place: str, given: JsonObject | None = None
    ) -> JsonObject:
        if isinstance(schema, bool):
            raise CannotSayError(place, _ANYTHING if schema else "nothing is valid there")
        if self._depth > MAX_DEPTH:
            raise CannotSayError(place, "nested too deep")
        self._depth += 1
        written = self._node(schema, within, place, given or {})
        self._depth -= 1
        return written

    def _node(
        self, schema: JsonObject, within: frozenset[str], place: str, given: JsonObject
    ) -> JsonObject:
        node, within, words = self._inliner.plain(schema, within, inlines=False)
        words = {**given, **words}
        if "$ref" in node:
            return self._reference(node["$ref"], place)
        if "anyOf" in node:
            return self._union(node, within, place, words)
        return self._shape(node, within, place, words)

    def _reference(self, name: str, place: str) -> JsonObject:
        """Write a reference, which allows no keyword beside it."""
        if name in self._document.recursive:
            raise CannotSayError(place, "Anthropic's structured outputs can't be recursive")
        self._referred[name] = None
        return {"$ref": f"#/$defs/{name}"}

    def _union(
        self, node: JsonObject, within: frozenset[str], place: str, words: JsonObject
    ) -> JsonObject:
        branches = [each for each in node["anyOf"] if each is not False]
        out = self._with_words(node, words)
        out["anyOf"] = [
            self._any(each, within, f"{place}.anyOf[{index}]")
            for index, each in enumerate(branches)
        ]
        if not branches:
            raise CannotSayError(place, "nothing is valid there")
        return out

    def _shape(
        self, node: JsonObject, within: frozenset[str], place: str, words: JsonObject
    ) -> JsonObject:
        rest = {key: value for key, value in node.items() if key not in _SILENT}
        out: JsonObject = {}
        types = type_list(rest.get("type")) or _implied(rest)
        if not self._take_literals(out, rest):
            if not types:
                raise CannotSayError(place, _ANYTHING)
            if len(types) > 1:
                return self._union(_split(node, types), within, place, words)
            out["type"] = types[0]
            match types[0]:
                case "object":
                    self._take_object(out, rest, within, place)
                case "array":
                    self._take_array(out, rest, within, place)
                case "string" if rest.get("format") in FORMATS:
                    out["format"] = rest.pop("format")
                case _:
                    pass
        rest.pop("type", None)
        return {**self._with_words(node, {**words, **rest}), **out}

    def _take_literals(self, out: JsonObject, rest: JsonObject) -> bool:
        """Write `enum` and `const`: scalar values need no type."""
        for key, values in (("const", [rest.get("const")]), ("enum", rest.get("enum"))):
            if key in rest and all(not isinstance(value, list | dict) for value in values or ()):
                out[key] = rest.pop(key)
                return True
        return False

    def _take_object(
        self, out: JsonObject, rest: JsonObject, within: frozenset[str], place: str
    ) -> None:
        properties: JsonObject = rest.pop("properties", {})
        required = rest.pop("required", None)
        out["properties"] = {}
        for name, schema in properties.items():
            if schema is False and name not in (required or ()):
                continue
            sent = self._renamed.get(name, name)
            written = self._any(schema, within, f"{place}.properties.{name}")
            if sent != name and "$ref" not in written:
                text = described(written.get("description"), {"name": name})
                written = {**written, "description": text}
            out["properties"][sent] = written
        out["additionalProperties"] = False
        is_open = rest.pop("additionalProperties", not properties) is not False
        if is_open or "patternProperties" in rest:
            self._notes.add(place, "objects are closed: properties that have no name are left out")
        if required is not None:
            out["required"] = [self._renamed.get(name, name) for name in required]
            if any(name not in properties for name in required):
                raise CannotSayError(place, "a required property is not among the properties")

    def _take_array(
        self, out: JsonObject, rest: JsonObject, within: frozenset[str], place: str
    ) -> None:
        """Write an array; a tuple becomes a union of its items, the order goes into the words."""
        prefix: list[Schema] = rest.get("prefixItems", [])
        items = rest.pop("items", None)
        kinds = [each for each in prefix if each is not False]
        if prefix and items is False:
            rest["items"] = False
        elif items is not None and items is not False:
            kinds.append(items)
        if len(kinds) == 1:
            out["items"] = self._any(kinds[0], within, f"{place}.items")
        elif kinds:
            out["items"] = self._any({"anyOf": kinds}, within, f"{place}.prefixItems")
        if rest.get("minItems") in (0, 1):
            out["minItems"] = rest.pop("minItems")

    def _with_words(self, node: JsonObject, words: JsonObject) -> JsonObject:
        out: JsonObject = {key: node[key] for key in ("title", "default") if key in node}
        if "default" in out:
            out["default"] = renamed_value(out["default"], self._renamed)
        words = {key: value for key, value in words.items() if key not in _SILENT}
        self._notes.describe(words)
        said = {key: rename_words(value, self._renamed) for key, value in words.items()}
        text = described(node.get("description"), said)
        if text:
            out["description"] = text
        return out


_ANYTHING = "anything is valid there, and Anthropic's structured outputs need a type"


def _implied(node: JsonObject) -> list[str]:
    """The one type implied by the other keywords; None without one."""
    kinds = {_TYPE_OF[key] for key in node if key in _TYPE_OF} - {"integer"}
    return list(kinds) if len(kinds) == 1 else []


def _split(node: JsonObject, types: list[str]) -> JsonObject:
    """Split a list of types into a union, each with its own keywords."""
    said = {key: node[key] for key in ANNOTATIONS & node.keys()}
    branches = [
        {"type": kind, **{key: node[key] for key in _ABOUT.get(kind, ()) if key in node}}
        for kind in types
    ]
    return {**said, "anyOf": branches}
