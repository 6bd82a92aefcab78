"""What is wrong with a file that is no TOML, and where: the bracket or quote that nobody closed.

The parser names the place where it could not go on, which is often the line after the slip.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import NamedTuple

_CLOSED_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?""""{0,2}'
    r"|'''.*?''''{0,2}"
    r'|(?!""")"(?:\\.|[^"\\\n])*"'
    r"|(?!''')'[^'\n]*'",
    re.DOTALL,
)
_QUOTE = re.compile(r'"""|\'\'\'|"|\'')
_CLOSING = {"[": "]", "{": "}"}
_KEY_LINE = re.compile(r"""[ \t]*(?:[\w.-]+|"[^"\n]*"|'[^'\n]*')[ \t]*=""")
_HEADER_LINE = re.compile(r"[ \t]*\[\[?([\w. -]+)\]\]?[ \t]*(?:#.*)?")
_BARE_WORD = re.compile(r"[A-Za-z_][\w.:/@-]*")
_COMMA_MISSING = {"Unclosed array": "expected , or ]", "Unclosed inline table": "expected , or }"}


class Fault(NamedTuple):
    """A fault of the syntax."""

    line: int  # from 1, as is the column
    column: int
    text: str  # for people


class _Open(NamedTuple):
    at: int  # offset
    closing: str


def fault_of(text: str, at: int, message: str, names: Set[str]) -> Fault:
    """The fault behind an error of the parser.

    Args:
        at: the offset of the error; before it the text is valid.
        message: the parser's.
        names: keys and sections of the format, by which a header is told from a list.
    """
    place, what = at, message
    begins_a_line = not text[text.rfind("\n", 0, at) + 1 : at].strip("[ \t")
    quote, brackets = _left_open(text, at)
    before = [one for one in brackets if text.count("\n", one.at, at)]
    if quote is not None:
        place, what = quote.at, f"no closing {quote.closing}"
    elif brackets and not text[at:].strip() and not message.startswith("Expected"):
        place, what = brackets[-1].at, f"no closing {brackets[-1].closing}"
    elif before and begins_a_line and _is_outside(text, at, names):
        place, what = before[-1].at, f"no closing {before[-1].closing}"
    elif message in _COMMA_MISSING:
        what = _COMMA_MISSING[message]
    elif message == "Invalid value":
        what = _invalid_value(text, at)
    return Fault(text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place), what)


def _left_open(text: str, end: int) -> tuple[_Open | None, list[_Open]]:
    """The quote and the brackets that are open at the end, the innermost bracket last."""
    brackets: list[_Open] = []
    at = 0
    while at < end:
        if string := _CLOSED_STRING.match(text, at):
            at = string.end()
        elif quote := _QUOTE.match(text, at):
            return _Open(at, quote[0]), brackets
        elif text[at] == "#":
            at = (text.find("\n", at) + 1) or end
        else:
            if text[at] in _CLOSING:
                brackets.append(_Open(at, _CLOSING[text[at]]))
            elif text[at] in "]}" and brackets:
                brackets.pop()
            at += 1
    return None, brackets


def _is_outside(text: str, at: int, names: Set[str]) -> bool:
    """Whether this line is a key or a header, which no list holds."""
    line = text[text.rfind("\n", 0, at) + 1 :].partition("\n")[0]
    if _KEY_LINE.match(line):
        return True
    header = _HEADER_LINE.fullmatch(line)
    return header is not None and not names.isdisjoint(re.split(r"[. ]+", header[1]))


def _invalid_value(text: str, at: int) -> str:
    word = _BARE_WORD.match(text, at)
    if word is None:
        is_missing = not text[at:].partition("\n")[0].strip()
        return "no value after =" if is_missing else "Invalid value"
    if word[0].lower() in ("true", "false"):
        return "true and false are written in lower case"
    return "Invalid value; text needs quotes"
