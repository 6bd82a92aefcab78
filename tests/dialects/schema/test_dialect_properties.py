"""For any schema: what is sent keeps to the provider's rules and accepts no less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing.exceptions import Unresolvable

from nexus_core.dialects.schema import anthropic_strict, anthropic_tools, gemini
from nexus_core.dialects.schema.reading import read_schema
from nexus_core.dialects.schema.written import CannotSayError, Written
from tests.dialects.schema.rules import (
    check_anthropic_input,
    check_gemini,
    check_gemini_parameters,
    check_strict,
    check_strict_input,
)
from tests.dialects.schema.strategies import JUNK, OBJECTS, arguments_schemas, schemas

SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck))

DIALECTS: dict[str, tuple[Callable[..., Written], Callable[[Any], None]]] = {
    "anthropic tools": (anthropic_tools.write_input, check_anthropic_input),
    "anthropic strict tools": (anthropic_strict.write_strict_input, check_strict_input),
    "anthropic answers": (anthropic_strict.write_answer, check_strict),
    "gemini parameters": (gemini.write_parameters, check_gemini_parameters),
    "gemini answers": (gemini.write_answer, check_gemini),
}


TOOLS = ("anthropic tools", "gemini parameters")


def said(write: Callable[..., Written], schema: Any) -> Written | None:
    """None where the dialect can't say it, and tells why."""
    try:
        return write(read_schema(schema))
    except CannotSayError as error:
        return None if error.why else pytest.fail("no reason is given")


@pytest.mark.parametrize("dialect", DIALECTS)
@SLOW
@given(schema=schemas())
def test_what_is_sent_keeps_to_the_rules_or_a_place_is_named(dialect: str, schema: Any) -> None:
    Draft202012Validator.check_schema(schema)
    write, check = DIALECTS[dialect]

    written = said(write, schema)

    if written is not None:
        check(written.schema)
    else:
        assert dialect not in TOOLS  # they can always be said


@pytest.mark.parametrize("dialect", DIALECTS)
@SLOW
@given(schema=JUNK)
def test_rubbish_gives_something_sound_too(dialect: str, schema: Any) -> None:
    write, check = DIALECTS[dialect]

    written = said(write, schema)

    if written is not None:
        check(written.schema)


@pytest.mark.parametrize("dialect", TOOLS)
@SLOW
@given(schema=arguments_schemas(), values=st.lists(OBJECTS, min_size=1, max_size=8))
def test_valid_arguments_stay_valid(dialect: str, schema: Any, values: list[Any]) -> None:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        assume(False)  # a pattern that is none
    asked = Draft202012Validator(schema)

    written = DIALECTS[dialect][0](read_schema(schema))

    sent = Draft202012Validator(written.schema)
    for value in values:
        try:
            valid = asked.is_valid(value)
        except (Unresolvable, RecursionError, ValueError, TypeError):
            continue  # it refers to nowhere (into `false`: a TypeError), or to itself for ever
        if valid:
            on_the_wire = written.arguments.to_provider(value) if written.arguments else value
            assert sent.is_valid(on_the_wire), (value, written.schema)


@SLOW
@given(schema=schemas(), value=OBJECTS)
def test_arguments_come_back_as_they_were(schema: Any, value: Any) -> None:
    for write in (anthropic_tools.write_input, gemini.write_parameters):
        arguments = write(read_schema(schema)).arguments
        if arguments is not None:
            assert arguments.to_client(arguments.to_provider(value)) == value
