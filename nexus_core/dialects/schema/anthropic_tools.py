"""JSON schemas in Anthropic's dialect of a tool's `input_schema`.

It takes draft 2020-12, checks it against its meta-schema, and wants an object at the root with no
oneOf, anyOf or allOf there, and property keys of a few characters. None of it is documented but by
the errors: "input_schema does not support oneOf, allOf, or anyOf at the top level", "Property keys
should match pattern '^[a-zA-Z0-9_.-]{1,64}$'", "It must match JSON Schema draft 2020-12".
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from threading import Lock

from nexus_core.dialects.schema.keywords import KINDS, MEMBERS, SCHEMA, SCHEMAS
from nexus_core.dialects.schema.reading import Document, property_names
from nexus_core.dialects.schema.references import Schema
from nexus_core.dialects.schema.roots import object_root
from nexus_core.dialects.schema.words import described
from nexus_core.dialects.schema.written import Notes, Written, rename_words
from nexus_core.dialects.tool_calls.arguments import Arguments, renamed_value
from nexus_core.dialects.tool_calls.names import NameRule, Names
from nexus_core.types import JsonObject

TOOL_NAMES = NameRule(re.compile(r"[a-zA-Z0-9_-]{1,128}"), 128)
PROPERTY_KEYS = NameRule(re.compile(r"[a-zA-Z0-9_.-]{1,64}"), 64)

_MAX_PATTERN_CHARS = 2_000
_CHARACTER = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|.)|[^\x00-\x7f]", re.DOTALL
)
_LAST_OF_ASCII = "\x7f"
_one_at_a_time = Lock()  # ignoring warnings is for the whole process

# They speak of keys by pattern, and the renamed ones are no longer those they mean.
_BY_PATTERN = ("patternProperties", "propertyNames", "unevaluatedProperties")


def write_input(document: Document) -> Written:
    """Write the schema of a tool's input."""
    root = object_root(document)
    notes = Notes(document.notes, root.notes)
    names = Names(PROPERTY_KEYS, property_names(root.node, document))
    writer = _Writer(document, names.renamed, notes)
    schema = writer.document(root.node, root.words)
    if schema.keys() == {"type"}:
        schema["properties"] = {}
    arguments = Arguments.of(names.renamed, is_wrapped=root.is_wrapped)
    return Written(schema, arguments, notes.lines(names.renamed))


class _Writer:
    def __init__(self, document: Document, renamed: dict[str, str], notes: Notes) -> None:
        self._document = document
        self._renamed = renamed
        self._notes = notes
        self._referred: dict[str, None] = {}

    def document(self, root: JsonObject, words: JsonObject) -> JsonObject:
        schema = self._node(root)
        self._describe(schema, words)
        definitions: JsonObject = {}
        while missing := [name for name in self._referred if name not in definitions]:
            for name in missing:
                definitions[name] = self._any(self._document.definitions[name])
        if definitions:
            schema["$defs"] = definitions
        return schema

    def _any(self, schema: Schema) -> Schema:
        return schema if isinstance(schema, bool) else self._node(schema)

    def _node(self, node: JsonObject) -> JsonObject:
        out: JsonObject = {}
        for key, value in node.items():
            kind = KINDS.get(key)
            if kind is SCHEMA or key == "items":
                out[key] = self._any(value)
            elif kind is SCHEMAS:
                out[key] = [self._any(each) for each in value]
            elif key == "properties":
                out[key] = self._properties(value)
            elif kind is MEMBERS:
                out[key] = {self._key(name): self._any(each) for name, each in value.items()}
            elif key == "$ref":
                self._referred[value] = None
                out[key] = f"#/$defs/{value}"
            else:
                out[key] = value
        self._drop_patterns(out)
        if self._renamed:
            self._rename(out)
        return out

    def _properties(self, properties: JsonObject) -> JsonObject:
        written: JsonObject = {}
        for name, schema in properties.items():
            sent, inner = self._key(name), self._any(schema)
            if sent != name and inner is not False:
                inner = {} if inner is True else inner
                inner["description"] = described(inner.get("description"), {"name": name})
            written[sent] = inner
        return written

    def _key(self, name: str) -> str:
        return self._renamed.get(name, name)

    def _drop_patterns(self, out: JsonObject) -> None:
        """Move patterns that Python's engine does not understand into the description."""
        words: JsonObject = {}
        if "pattern" in out and not _is_pattern(out["pattern"]):
            words["pattern"] = out.pop("pattern")
        if not all(_is_pattern(pattern) for pattern in out.get("patternProperties", ())):
            words["patternProperties"] = out.pop("patternProperties")
            for key in ("additionalProperties", "unevaluatedProperties"):
                if key in out:
                    words[key] = out.pop(key)
        self._describe(out, words)

    def _rename(self, out: JsonObject) -> None:
        """Apply renamed keys to the other keywords of a node."""
        words = {key: out.pop(key) for key in _BY_PATTERN if key in out}
        if "patternProperties" in words and "additionalProperties" in out:
            words["additionalProperties"] = out.pop("additionalProperties")
        self._describe(out, words)
        if "required" in out:
            out["required"] = [self._key(name) for name in out["required"]]
        if "dependentRequired" in out:
            out["dependentRequired"] = {
                self._key(name): [self._key(each) for each in names]
                for name, names in out["dependentRequired"].items()
            }
        for key in ("enum", "const", "default", "examples"):
            if key in out:
                out[key] = renamed_value(out[key], self._renamed)

    def _describe(self, out: JsonObject, words: JsonObject) -> None:
        if words:
            self._notes.describe(words)
            said = {key: rename_words(value, self._renamed) for key, value in words.items()}
            out["description"] = described(out.get("description"), said)


@lru_cache(maxsize=512)
def _is_pattern(pattern: str) -> bool:
    """Whether it is a valid regular expression of Python, as Anthropic's validator requires."""
    if len(pattern) > _MAX_PATTERN_CHARS or r"\N" in pattern:
        return False
    try:
        with _one_at_a_time, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(_CHARACTER.sub(_narrow, pattern))
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _narrow(character: re.Match[str]) -> str:
    """Narrow character ranges beyond ASCII to one character: compiling walks every character."""
    code = character[1] or character[2] or character[3]
    if code is None:
        return character[0] if character[0].isascii() else _LAST_OF_ASCII
    return _LAST_OF_ASCII if 0x80 <= int(code, 16) <= 0x10FFFF else character[0]
