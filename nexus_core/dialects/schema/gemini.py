"""JSON schemas in Gemini's dialect: parametersJsonSchema and responseJsonSchema.

The keywords are those that google-genai documents for `response_json_schema`; Gemini ignores
others, so they go into the description. Beside a `$ref` only other keys with a $ are allowed; a
reference may be recursive only within a property that is not required.
"""

from __future__ import annotations

import re

from nexus_core.dialects.schema.combining import type_list
from nexus_core.dialects.schema.inlining import Inliner
from nexus_core.dialects.schema.keywords import ANNOTATIONS
from nexus_core.dialects.schema.reading import MAX_DEPTH, Document, property_names
from nexus_core.dialects.schema.references import Schema
from nexus_core.dialects.schema.roots import object_root
from nexus_core.dialects.schema.words import described
from nexus_core.dialects.schema.written import CannotSayError, Notes, Written, rename_words
from nexus_core.dialects.tool_calls.arguments import Arguments
from nexus_core.dialects.tool_calls.names import NameRule, Names
from nexus_core.types import JsonObject

# Google's own errors say 64 characters, its newest documentation says 128.
FUNCTION_NAMES = NameRule(re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"), 64)
# Documented for `parameters` alone, where it forbids dots and dashes too, which MCP servers use.
PARAMETER_NAMES = NameRule(re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,63}"), 64)

_AS_THEY_ARE = ("type", "enum", "minimum", "maximum", "minItems")
FORMATS = frozenset({"date-time", "date", "time", "int32", "int64", "float", "double"})

# A request is refused when the maxItems of a schema come to about a thousand together:
# https://github.com/googleapis/python-genai/issues/2170
_MAX_ITEMS = 900

_LISTED = frozenset({"string", "number", "integer"})  # what the values of an enum may be

# Keywords for the description, where the model reads them; those in neither list are noise.
_IN_WORDS = frozenset(
    {
        "default",
        "examples",
        "pattern",
        "minLength",
        "maxLength",
        "multipleOf",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "dependentRequired",
        "dependentSchemas",
        "not",
        "if",
        "then",
        "else",
        "contentMediaType",
        "contentEncoding",
    }
)


def write_parameters(document: Document) -> Written:
    """Write the schema of a function's arguments."""
    root = object_root(document)
    notes = Notes(document.notes, root.notes)
    names = Names(PARAMETER_NAMES, property_names(root.node, document))
    writer = _Writer(document, names.renamed, notes)
    schema = writer.document(root.node, root.words)
    arguments = Arguments.of(names.renamed, is_wrapped=root.is_wrapped)
    return Written(schema, arguments, notes.lines(names.renamed))


def write_answer(document: Document) -> Written:
    """Write the schema of a structured answer; its keys are not renamed.

    Raises:
        CannotSayError: there is no valid answer.
    """
    if document.root is False:
        raise CannotSayError("", "no answer is valid under it")
    notes = Notes(document.notes)
    root = {} if document.root is True else document.root
    schema = _Writer(document, {}, notes).document(root, {})
    return Written(schema, None, notes.lines({}))


class _Writer:
    def __init__(self, document: Document, renamed: dict[str, str], notes: Notes) -> None:
        self._document = document
        self._renamed = renamed
        self._notes = notes
        self._inliner = Inliner(document)
        self._referred: dict[str, None] = {}  # definitions that are still to be written
        self._begun: set[str] = set()  # those that are or were
        self._is_in_property = False  # of the definition that is written
        self._depth = 0
        # References that lead back, since the property that they stand in began.
        self._cycles: int = 0
        self._items_left = _MAX_ITEMS

    def document(self, root: JsonObject, words: JsonObject) -> JsonObject:
        schema: JsonObject = self._node(root, frozenset(), "", words)
        definitions: JsonObject = {}
        while self._referred:
            name, _ = self._referred.popitem()
            self._begun.add(name)
            self._is_in_property = False
            definition = self._document.definitions[name]
            definitions[name] = self._any(definition, frozenset({name}), f"$defs.{name}")
        if definitions:
            if "$ref" in schema:  # of a root nothing is left but to name it
                schema = {"anyOf": [schema]}
            schema["$defs"] = definitions
        return schema

    def _any(self, schema: Schema, within: frozenset[str], place: str) -> JsonObject:
        """A schema that accepts anything, in place of one that accepts nothing."""
        if schema is False:
            self._notes.add(place, "accepts nothing, which can't be said; anything is accepted")
            return {}
        if isinstance(schema, bool):
            return {}
        if self._depth > MAX_DEPTH:
            self._notes.add(place, "nested too deep; anything is accepted there")
            return {}
        self._depth += 1
        written = self._node(schema, within, place)
        self._depth -= 1
        return written

    def _node(
        self,
        schema: JsonObject,
        within: frozenset[str],
        place: str,
        given: JsonObject | None = None,
    ) -> JsonObject:
        node, within, words = self._inliner.plain(schema, within)
        if given:
            words = {**given, **words}
        if "$ref" in node:
            return self._reference(node, place, words)
        if "const" in node:
            node["enum"] = [node.pop("const")]
        if "enum" in node and "anyOf" not in node:
            kinds = _by_kind(node.pop("enum"), type_list(node.get("type")))
            if len(kinds) > 1:
                branches = [{"type": kind, "enum": values} for kind, values in kinds.items()]
                node = {**_said(node), "anyOf": branches}
            for kind, values in kinds.items():
                if len(kinds) > 1:
                    break
                node["type"] = kind
                if kind in _LISTED and "" not in values:  # Google refuses an empty text there
                    node["enum"] = values
                elif kind != "null" and not (kind == "boolean" and len(values) > 1):
                    words["enum"] = values
        if "anyOf" in node:
            return self._union(node, within, place, words)
        return self._shape(node, within, place, words)

    def _reference(self, node: JsonObject, place: str, words: JsonObject) -> JsonObject:
        name = node["$ref"]
        if name in self._document.recursive:
            if not self._is_in_property:
                self._notes.add(place, "leads back to itself; anything is accepted there")
                return self._with_words(node, words)
            self._cycles += 1
        if name not in self._begun:
            self._referred[name] = None
        reference = {"$ref": f"#/$defs/{name}"}
        said = self._with_words(node, words)
        return {**said, "anyOf": [reference]} if said else reference

    def _union(
        self, node: JsonObject, within: frozenset[str], place: str, words: JsonObject
    ) -> JsonObject:
        written = [
            self._any(each, within, f"{place}.anyOf[{index}]")
            for index, each in enumerate(node["anyOf"])
            if each is not False
        ]
        out = self._with_words(node, words)
        if len(written) == 1 and "$ref" not in written[0]:
            return {**written[0], **out}
        if written and {} not in written:
            out["anyOf"] = written
        return out

    def _shape(
        self, node: JsonObject, within: frozenset[str], place: str, words: JsonObject
    ) -> JsonObject:
        out = {key: node[key] for key in _AS_THEY_ARE if key in node}
        words |= {key: value for key, value in node.items() if key in _IN_WORDS}
        if "format" in node:
            (out if node["format"] in FORMATS else words)["format"] = node["format"]
        self._limits(node, out, words)
        self._arrays(node, within, place, out, words)
        self._objects(node, within, place, out, words)
        return {**self._with_words(node, words), **out}

    def _limits(self, node: JsonObject, out: JsonObject, words: JsonObject) -> None:
        """Write limits; an exclusive one becomes the next integer, else goes into the words."""
        is_integer = node.get("type") == "integer"
        for exclusive, limit, step in (
            ("exclusiveMinimum", "minimum", 1),
            ("exclusiveMaximum", "maximum", -1),
        ):
            value = node.get(exclusive)
            if value is None:
                continue
            if is_integer and float(value).is_integer():
                value = int(value) + step
                del words[exclusive]
            if limit in out:
                value = max(out[limit], value) if step > 0 else min(out[limit], value)
            out[limit] = value

    def _arrays(
        self,
        node: JsonObject,
        within: frozenset[str],
        place: str,
        out: JsonObject,
        words: JsonObject,
    ) -> None:
        most = node.get("maxItems")
        if "prefixItems" in node:
            out["prefixItems"] = [
                self._any(each, within, f"{place}.prefixItems[{index}]")
                for index, each in enumerate(node["prefixItems"])
            ]
        if node.get("items") is False:
            length = len(node.get("prefixItems", ()))
            most = length if most is None else min(most, length)
        elif "items" in node:
            out["items"] = self._any(node["items"], within, f"{place}.items")
        if "array" in type_list(node.get("type")) and not {"items", "prefixItems"} & out.keys():
            out["items"] = {}  # Google misses it otherwise
        if most is not None:
            if most <= self._items_left:
                self._items_left -= most
                out["maxItems"] = most
            else:
                words["maxItems"] = most

    def _objects(
        self,
        node: JsonObject,
        within: frozenset[str],
        place: str,
        out: JsonObject,
        words: JsonObject,
    ) -> None:
        loose: set[str] = set()  # lead back to themselves, and so can't be required
        if node.get("properties"):  # an empty object of them was refused once
            out["properties"] = {}
            for name, schema in node["properties"].items():
                if schema is False:
                    continue
                outer = self._is_in_property, self._cycles
                self._is_in_property, self._cycles = True, 0
                sent = self._renamed.get(name, name)
                written = self._any(schema, within, f"{place}.properties.{name}")
                if sent != name:
                    named = described(written.get("description"), {"name": name})
                    written = written if "$ref" in written else {**written, "description": named}
                out["properties"][sent] = written
                if self._cycles:
                    loose.add(name)
                self._is_in_property, self._cycles = outer
        if "additionalProperties" in node and "patternProperties" not in node:
            more = node["additionalProperties"]
            out["additionalProperties"] = (
                more
                if isinstance(more, bool)
                else self._any(more, within, f"{place}.additionalProperties")
            )
        required = node.get("required", ())
        kept = [
            self._renamed.get(name, name)
            for name in required
            if name not in loose and node.get("properties", {}).get(name, False) is not False
        ]
        if kept:
            out["required"] = kept
        if len(kept) < len(required):
            words["required"] = list(required)

    def _with_words(self, node: JsonObject, words: JsonObject) -> JsonObject:
        """Title and description, with unsupported keywords appended."""
        out = {"title": node["title"]} if "title" in node else {}
        words = {key: value for key, value in words.items() if key not in ANNOTATIONS or value}
        self._notes.describe(words)
        said = {key: rename_words(value, self._renamed) for key, value in words.items()}
        text = described(node.get("description"), said)
        if text:
            out["description"] = text
        return out


def _said(node: JsonObject) -> JsonObject:
    return {key: value for key, value in node.items() if key in ANNOTATIONS}


def _by_kind(values: list[object], types: list[str]) -> dict[str, list[object]]:
    """Group the values of an enum by type, leaving out types the schema excludes."""
    kinds: dict[str, list[object]] = {}
    for value in values:
        kind = _kind(value)
        named = {kind, "number"} if kind == "integer" else {kind}
        if not types or not named.isdisjoint(types):
            kinds.setdefault("number" if kind == "integer" else kind, []).append(value)
    if all(_kind(value) == "integer" for value in kinds.get("number", (None,))):
        kinds = {("integer" if kind == "number" else kind): each for kind, each in kinds.items()}
    return kinds


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case list():
            return "array"
        case _:
            return "object"
