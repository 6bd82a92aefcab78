"""The slip behind a syntax error is named at its own place, not where the parser gave up."""

from __future__ import annotations

import pytest
import tomli

from nexus_core.config.toml_faults import fault_of

NAMES = frozenset({"server", "port", "backends", "models"})


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        # Brackets: a key or a header in a list tells that it was to end before.
        ('[[backends]]\nmodels = ["x", "y"\nurl = "http://h"\n', 2, 10, "no closing ]"),
        ('models = ["x",\nurl = "http://h"\n', 1, 10, "no closing ]"),
        ('models = [\n  "x",\n\n  # more\n  url = "http://h"\n', 1, 10, "no closing ]"),
        ('models = ["x"\n[server]\nport = 1\n', 1, 10, "no closing ]"),
        ('models = ["x",\n[[backends]]\n', 1, 10, "no closing ]"),
        ('models = ["x",\n[server]\n', 1, 10, "no closing ]"),
        ("a = [1\n", 1, 5, "no closing ]"),
        ("a = [1, # ]\n", 1, 5, "no closing ]"),
        ("a = { b = 1\nc = 2\n", 1, 5, "no closing }"),
        ("a = { b = 1,\n[server]\n", 1, 5, "no closing }"),
        ("a = { b = [1\nc = 2\n", 1, 11, "no closing ]"),
        # Quotes.
        ('a = """x\nb = 1\n', 1, 5, 'no closing """'),
        ("a = '''x\nb = 1\n", 1, 5, "no closing '''"),
        ('port = 1\na = "x\nb = "1"\n', 2, 5, 'no closing "'),
        ("a = 'x\n", 1, 5, "no closing '"),
        ('models = ["x", "y\n', 1, 16, 'no closing "'),
        # Something else, and its own place.
        ('models = [\n  "x"\n  "y"\n]\n', 3, 3, "expected , or ]"),
        ('models = ["x, "y"]\n', 1, 16, "expected , or ]"),
        ("a = [\n [1],\n [x]\n]\n", 3, 3, "Invalid value; text needs quotes"),
        ('a = ["b", c]\n', 1, 11, "Invalid value; text needs quotes"),
        ("a = open\n", 1, 5, "Invalid value; text needs quotes"),
        ("a = True\n", 1, 5, "true and false are written in lower case"),
        ("port =\n", 1, 7, "no value after ="),
        ("port = $5\n", 1, 8, "Invalid value"),
        ("[server\nport = 1\n", 1, 8, "Expected ']' at the end of a table declaration"),
        ("port 1\n", 1, 6, "Expected '=' after a key in a key/value pair"),
        ('a = "x"\nb = "\\q"\n', 2, 8, "Unescaped '\\' in a string"),
    ],
)
def test_the_place_of_the_slip(text: str, line: int, column: int, what: str) -> None:
    with pytest.raises(tomli.TOMLDecodeError) as caught:
        tomli.loads(text)

    fault = fault_of(text, caught.value.pos, caught.value.msg, NAMES)

    assert (fault.line, fault.column, fault.text) == (line, column, what)
