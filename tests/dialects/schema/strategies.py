"""Schemas and values for properties; small pools of names, so that they meet each other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "$top", "filter[id]", "é", "", "a b", "$ref", "x" * 70])
TEXTS = st.sampled_from(["", "a", "b", "$top", "hi"])
SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 1.0, 1e300]) | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)

TYPES = st.sampled_from(
    ["object", "array", "string", "integer", "number", "boolean", "null"]
) | st.lists(
    st.sampled_from(["object", "string", "null", "array", "integer"]),
    min_size=1,
    max_size=2,
    unique=True,
)
REFERENCES = st.sampled_from(
    [
        "#",
        "#/$defs/A",
        "#/$defs/B",
        "#/$defs/A/properties/a",
        "#/properties/b",
        "#anchored",
        "#/$defs/none",
        "https://example.org/schema.json",
        "http://[",
    ]
)
PATTERNS = st.sampled_from(["^a", "b$", "^\\$", "[0-9]+", "\\d{2}"])
SMALL = st.integers(0, 3)
NUMBERS = st.integers(-1, 3) | st.sampled_from([0.5, 1.5])


def _node(inner: st.SearchStrategy[Any], *, unions: bool = True) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(KEYS, inner, max_size=3)
    names = st.lists(KEYS, max_size=2, unique=True)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES,
        "properties": named,
        "required": names,
        "additionalProperties": inner,
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "propertyNames": inner,
        "dependentRequired": st.dictionaries(KEYS, names, max_size=2),
        "dependentSchemas": named,
        "minProperties": SMALL,
        "maxProperties": SMALL,
        "items": inner,
        "prefixItems": some,
        "contains": inner,
        "minContains": SMALL,
        "minItems": SMALL,
        "maxItems": SMALL | st.just(500),
        "uniqueItems": st.booleans(),
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "exclusiveMinimum": NUMBERS,
        "exclusiveMaximum": NUMBERS,
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": PATTERNS,
        "format": st.sampled_from(["date", "uuid", "regex", "x"]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "unevaluatedProperties": inner,
        "title": TEXTS,
        "description": TEXTS,
        "default": VALUES,
        "examples": st.lists(VALUES, max_size=2),
        "$comment": TEXTS,
        "x-order": SMALL,
    }
    if unions:
        keywords |= {
            "anyOf": some,
            "oneOf": some,
            "allOf": some,
            "$ref": REFERENCES,
            "$anchor": st.just("anchored"),
        }
    # A few keywords at a time: of many no value would be valid.
    return st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({key: keywords[key] for key in chosen})
    )


INNER = st.recursive(
    st.booleans() | _node(st.booleans()), lambda inner: st.booleans() | _node(inner), max_leaves=6
)
PLAIN = _node(INNER, unions=False)
DEFINITIONS = st.fixed_dictionaries({}, optional={"A": INNER, "B": INNER})


@st.composite
def schemas(draw: st.DrawFn) -> Any:
    """Whatever the meta-schema of draft 2020-12 takes."""
    schema = draw(st.booleans() | _node(INNER))
    if isinstance(schema, dict) and draw(st.booleans()):
        schema = {**schema, "$defs": draw(DEFINITIONS)}
    if isinstance(schema, dict) and draw(st.booleans()):
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return schema


@st.composite
def arguments_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Of objects, with unions at the root only of conditions or of closed objects.

    A union of open objects becomes tighter on purpose: a property that one branch describes is
    what all others mean by it.
    """
    root: dict[str, Any] = draw(PLAIN)
    root["type"] = "object"
    for key in draw(st.sets(st.sampled_from(["anyOf", "oneOf", "allOf"]), max_size=2)):
        if key == "allOf":
            root[key] = draw(st.lists(PLAIN, min_size=1, max_size=2))
        elif draw(st.booleans()):
            names = st.lists(KEYS, min_size=1, max_size=2, unique=True)
            root[key] = [
                {"required": each} for each in draw(st.lists(names, min_size=1, max_size=2))
            ]
        elif "anyOf" not in root and "oneOf" not in root and "properties" not in root:
            root[key] = [
                {"properties": each, "additionalProperties": False}
                for each in draw(
                    st.lists(st.dictionaries(KEYS, INNER, max_size=2), min_size=1, max_size=2)
                )
            ]
    root["$defs"] = draw(DEFINITIONS)
    return root


JUNK: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.just([]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "type", "properties", "items", "additionalItems", "anyOf", "oneOf", "allOf", "enum",
                "const", "$ref", "$id", "id", "$schema", "$defs", "definitions", "required",
                "minimum", "exclusiveMinimum", "nullable", "dependencies", "format", "pattern",
                "prefixItems", "$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor",
            ]
        )
        | KEYS,
        inner | REFERENCES | TYPES,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip
