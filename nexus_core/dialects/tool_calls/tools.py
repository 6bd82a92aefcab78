"""Tools of a request: the sent tools, and the mapping of their calls back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from sys import float_info

import msgspec

from nexus_core.dialects.hub.request import ChatRequest, FunctionDefinition
from nexus_core.dialects.report import Findings
from nexus_core.dialects.schema.kept import Kept, Writer
from nexus_core.dialects.schema.reading import read_schema
from nexus_core.dialects.schema.written import CannotSayError, Written
from nexus_core.dialects.tool_calls.arguments import Arguments
from nexus_core.dialects.tool_calls.mapping import UNCHANGED, CallMapping
from nexus_core.dialects.tool_calls.names import NameRule, Names
from nexus_core.types import JsonObject

# 1e999 is read as infinity, which JSON can't write.
_LARGEST = {"Infinity": float_info.max, "-Infinity": -float_info.max}
_kept = Kept()
_MAX_NAME_CHARS = 100  # of a name in an error


class Function(msgspec.Struct, frozen=True):
    """One of the client's functions."""

    path: str  # in the request
    definition: FunctionDefinition
    tool: Mapping[str, object]  # what it stands in; itself for a legacy function

    @property
    def name(self) -> str:
        """The client's name of the function."""
        return self.definition["name"]

    def written(self, writer: Writer) -> Written:
        """Write its schema in a provider's dialect.

        Raises:
            CannotSayError: the dialect can't express it.
        """
        return write_cached(self.definition.get("parameters"), writer)


class Tools:
    """The functions of one request, each once, with the names and keys sent in place of theirs."""

    def __init__(self, functions: list[Function], rule: NameRule, findings: Findings) -> None:
        self.functions = functions
        self._findings = findings
        self._names = Names(rule, [function.name for function in functions])
        self._arguments: dict[str, Arguments] = {}  # by the client's name
        for function in functions:
            sent = self._names.sent(function.name)
            if sent != function.name:
                findings.changed.append(f"{function.path}.name: sent as {sent}")

    def sent(self, name: str) -> str:
        """The provider's name of a tool, offered or only in the history."""
        return self._names.sent(name)

    def use(self, function: Function, written: Written) -> JsonObject:
        """Use a written schema for a function, and report its losses."""
        path = f"{function.path}.parameters"
        self._findings.changed += [f"{path}{note}" for note in written.notes]
        if written.arguments is not None:
            self._arguments[function.name] = written.arguments
        return written.schema

    def is_wrapped(self, name: str) -> bool:
        """Whether a tool's arguments are wrapped in an object, since they may be of any type."""
        known = self._arguments.get(name)
        return known is not None and known.is_wrapped

    def to_provider(self, name: str, arguments: object) -> object:
        """Translate a call's arguments to the sent keys."""
        known = self._arguments.get(name)
        return arguments if known is None else known.to_provider(arguments)

    def mapping(self) -> CallMapping:
        """The mapping of the answer's calls back to the client's tools."""
        names = {sent: name for name, sent in self._names.renamed.items()}
        arguments = {self._names.sent(name): each for name, each in self._arguments.items()}
        return CallMapping(names, arguments) if names or arguments else UNCHANGED


def read_functions(fields: ChatRequest, findings: Findings, no_custom: str) -> list[Function]:
    """The functions among a request's tools, each name once.

    A name that comes again is one tool for the client too: it looks calls up by name. Providers
    refuse both, so the last one is sent, which is the one that a table of names would hold.

    Args:
        no_custom: why a custom tool can't be sent.
    """
    found: dict[str, Function] = {}
    for index, tool in enumerate(fields.get("tools") or []):
        if tool["type"] == "custom":
            findings.unsupported[f"tools[{index}]"] = no_custom
            continue
        path = f"tools[{index}].function"
        _add(Function(path, tool["function"], tool), found, findings)
    for index, definition in enumerate(fields.get("functions") or []):
        _add(Function(f"functions[{index}]", definition, definition), found, findings)
    return list(found.values())


def no_such_function(name: str) -> str:
    """Error text for a tool choice that names a tool not offered, which every provider refuses."""
    return f"there is no function {name[:_MAX_NAME_CHARS]!r} among the tools"


def _add(function: Function, found: dict[str, Function], findings: Findings) -> None:
    before = found.get(function.name)
    if before is not None:
        what = (
            f"the same as {before.path}; sent once"
            if before.definition == function.definition
            else f"has the name of {before.path}, another tool; only this one is sent"
        )
        findings.changed.append(f"{function.path}: {what}")
    found[function.name] = function


def write_cached(schema: object, writer: Writer) -> Written:
    """Write a schema in a dialect, using the cache.

    Raises:
        CannotSayError: the dialect can't express it.
    """
    try:
        text = json.dumps(schema)
    except RecursionError:
        return writer(read_schema(_sound(schema)))
    written = _kept.find(text, writer)
    if written is None:
        written = _write(text, writer)
        _kept.keep(text, writer, written)
    if isinstance(written, CannotSayError):
        raise CannotSayError(written.place, written.why)  # a new one: this is of many threads
    return written


def _write(text: str, writer: Writer) -> Written | CannotSayError:
    try:
        # Of its text, since what is kept may share parts with what was read.
        schema = json.loads(text, parse_constant=_LARGEST.__getitem__)
        return writer(read_schema(_sound(schema)))
    except CannotSayError as error:
        return CannotSayError(error.place, error.why)  # without the frames that it came through


def _sound(schema: object) -> object:
    """Treat None and [], PHP's empty object, as an empty schema."""
    return {} if schema is None or schema == [] else schema
