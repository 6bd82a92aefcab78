"""The tables of the filter language, for the help screen and docs/filter.md."""

from __future__ import annotations

from typing import Any, NamedTuple

from nexus_tui.view.filter.backends import BACKENDS
from nexus_tui.view.filter.costs import COSTS
from nexus_tui.view.filter.keys import CLIENT_KEYS
from nexus_tui.view.filter.language import Language
from nexus_tui.view.filter.logs import LOGS
from nexus_tui.view.filter.requests import REQUESTS


class TableRow(NamedTuple):
    """A line of a table."""

    written: str
    meaning: str
    also: str = ""  # other names


GRAMMAR = (
    TableRow("llama gpt", "both words; capital and small letters are one"),
    TableRow('"two words"', "a phrase, or a word that would be read otherwise"),
    TableRow("status:4xx left", "a blank means and"),
    TableRow("status:4xx or left", "either, also written |; and binds closer than or"),
    TableRow("!live", "not, also written not; !(a or b) inverts a group"),
    TableRow("key:ci,laptop", "a comma means or among the values of a key"),
    TableRow("backend:vllm", "a part of a name; backend:=vllm-a is the whole of it"),
    TableRow('key:=""', "has none"),
    TableRow("cost:0.01", "without a sign a number means at least; status is a code: exactly that"),
    TableRow("slow:<500ms", "< <= > >= = != for numbers; = as far as it is written out"),
    TableRow("5m 90s 1h30m", "ms s m h d; seconds without a unit, but in last and until"),
    TableRow("2k 1m $0.01 1c", "thousands and millions of tokens, dollars and cents"),
)
LANGUAGES: dict[str, Language[Any]] = {
    "requests": REQUESTS,
    "backends": BACKENDS,
    "costs": COSTS,
    "logs": LOGS,
    "keys": CLIENT_KEYS,
}


def table(language: Language[Any]) -> list[TableRow]:
    """Its keys, its flags, and what words are looked for in."""
    keys = [
        TableRow(f"{key.name}:{key.values}", key.meaning, " ".join(key.also))
        for key in language.keys
    ]
    flags = [TableRow(flag.name, flag.meaning, " ".join(flag.also)) for flag in language.flags]
    return [TableRow("words", f"in {language.words}"), *keys, *flags]


def markdown(rows: list[TableRow]) -> list[str]:
    """The table as lines of a document."""
    lines = ["| written | meaning | also called |", "| --- | --- | --- |"]
    for row in rows:
        written = " ".join(f"`{part}`" for part in row.written.replace("|", "\\|").split("  "))
        also = ", ".join(f"`{name}`" for name in row.also.split())
        meaning = row.meaning.replace("|", "\\|")
        lines.append(f"| {written} | {meaning} | {also} |")
    return lines


def documented() -> dict[str, list[str]]:
    """Every table of docs/filter.md by its name."""
    return {
        "grammar": markdown(list(GRAMMAR)),
        **{name: markdown(table(language)) for name, language in LANGUAGES.items()},
    }
