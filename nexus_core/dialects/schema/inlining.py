"""Resolve references and `allOf`, for dialects that know neither fully."""

from __future__ import annotations

from typing import NamedTuple

from nexus_core.dialects.schema.combining import merge
from nexus_core.dialects.schema.keywords import ANNOTATIONS
from nexus_core.dialects.schema.reading import Document
from nexus_core.dialects.schema.references import Schema
from nexus_core.types import JsonObject, is_object

# Schemas that references may add to a document by being replaced with what they point to.
MAX_INLINED = 400
_MAX_WITHIN = 30  # definitions that are inlined into each other
_MAX_STEPS = 4_000  # of all work on one document

# What makes a branch of a union more than a condition on the object that bears it.
_SHAPES = frozenset(
    {"type", "properties", "items", "prefixItems", "enum", "const", "$ref", "anyOf", "allOf"}
)


class Plain(NamedTuple):
    """A schema without `allOf` and `oneOf`; only annotations beside `$ref` or `anyOf`."""

    node: JsonObject
    within: frozenset[str]  # the definitions that it was taken out of
    words: JsonObject  # what it can't say


class Inliner:
    """Inliner of one document's references, within a bound."""

    def __init__(self, document: Document, max_inlined: int = MAX_INLINED) -> None:
        self._document = document
        self._left = max_inlined
        self._steps = _MAX_STEPS

    def plain(self, schema: JsonObject, within: frozenset[str], *, inlines: bool = True) -> Plain:
        """Merge references and `allOf` into a schema.

        A reference stays if it is recursive, if the bound is reached, or if no keyword is beside
        it and `inlines` is False.
        """
        self._steps -= 1
        node: JsonObject = dict(schema)
        words: JsonObject = {}
        parts: list[Schema] = node.pop("allOf", [])
        name = node.get("$ref")
        if name is not None:
            spent = self._left <= 0 or self._steps < 0 or len(within) >= _MAX_WITHIN
            stays = name in within or spent
            if stays or (not inlines and not parts and len(node) == 1):
                if parts:
                    words["allOf"] = parts
                for key in node.keys() - ANNOTATIONS - {"$ref"}:
                    words[key] = node.pop(key)
                return Plain(node, within, words)
            del node["$ref"]
            within |= {name}
            parts = [self._document.definitions[name], *parts]
        for part in parts:
            self._left -= 1
            self._steps -= 1
            if isinstance(part, bool):
                continue
            if self._steps < 0:
                words.setdefault("allOf", []).append(part)
                continue
            if len(parts) == 1 and node.keys() <= ANNOTATIONS and "$ref" in part and name is None:
                inner = self.plain({**part, **node}, within, inlines=inlines)
                return Plain(inner.node, inner.within, {**words, **inner.words})
            inner = self.plain(part, within)
            within |= inner.within
            words.update(inner.words)
            if "$ref" in inner.node:
                words.setdefault("allOf", []).append(inner.node)
                continue
            merged = merge(node, inner.node)
            node = merged.node
            if merged.rest:
                words.setdefault("allOf", []).append(merged.rest)
        return self._one_union(node, within, words)

    def _one_union(self, node: JsonObject, within: frozenset[str], words: JsonObject) -> Plain:
        """Write a union as one `anyOf` with only annotations beside it; `oneOf` becomes `anyOf`."""
        if "oneOf" in node:
            branches = node.pop("oneOf")
            if "anyOf" in node:
                words["oneOf"] = branches
            else:
                node["anyOf"] = branches
        if "anyOf" not in node:
            return Plain(node, within, words)
        branches = node.pop("anyOf")
        said = {key: node.pop(key) for key in ANNOTATIONS & node.keys()}
        self._steps -= len(branches)
        if not node:
            return Plain({**said, "anyOf": branches}, within, words)
        shaped = [is_object(each) and not _SHAPES.isdisjoint(each) for each in branches]
        if self._steps < 0 or not any(shaped):
            words["anyOf"] = branches
            return Plain({**said, **node}, within, words)
        joined = [each if each is False else _and(each, node) for each in branches]
        return Plain({**said, "anyOf": joined}, within, words)


def _and(branch: Schema, node: JsonObject) -> JsonObject:
    return node if isinstance(branch, bool) else {"allOf": [branch, node]}
