"""Tools of a request: the sent tools, and the mapping of their calls back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from sys import float_info

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
_MAX_NAME_CHARS = 100  # of a name that an error tells


@dataclass(frozen=True, slots=True)
class Function:
    """One of the client's functions."""

    path: str  # in the request
    definition: FunctionDefinition
    tool: Mapping[str, object]  # what it stands in; itself for a legacy function

    @property
    def name(self) -> str:
        """As the client calls it."""
        return self.definition["name"]

    def written(self, writer: Writer) -> Written:
        """Its schema in a provider's dialect.

        Raises:
            CannotSayError: the dialect has no way to say it.
        """
        return write_cached(self.definition.get("parameters"), writer)


class Tools:
    """The functions of one request, each once, and the names and keys that are sent for theirs."""

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
        """The provider's name of a tool, whether it is offered or only spoken of."""
        return self._names.sent(name)

    def use(self, function: Function, written: Written) -> JsonObject:
        """Take a function's schema as what is sent, and tell what it lacks."""
        path = f"{function.path}.parameters"
        self._findings.changed += [f"{path}{note}" for note in written.notes]
        if written.arguments is not None:
            self._arguments[function.name] = written.arguments
        return written.schema

    def is_wrapped(self, name: str) -> bool:
        """Whether the arguments of a tool may be anything, and are sent in an object."""
        known = self._arguments.get(name)
        return known is not None and known.is_wrapped

    def to_provider(self, name: str, arguments: object) -> object:
        """A call's arguments under the keys that are sent."""
        known = self._arguments.get(name)
        return arguments if known is None else known.to_provider(arguments)

    def mapping(self) -> CallMapping:
        """The way back."""
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
    """Why a choice can't be sent: no provider takes the name of a tool that is not offered."""
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
    """A schema in a dialect; the same one is written once.

    Raises:
        CannotSayError: the dialect has no way to say it.
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
    """None and the empty list, which PHP writes for an empty object, say nothing."""
    return {} if schema is None or schema == [] else schema
