"""Map the argument keys of tool calls for a provider, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

from nexus_core.dialects.parsing import parse_finite_json
from nexus_core.dialects.schema.keywords import VALUE
from nexus_core.types import JsonObject, is_list, is_object

_END_OF_TEXT = re.compile(r'["\\]')  # or what may be taken for it

_MAX_KEY_CHARS = 1_024  # as a stream has it; a key of ours is far shorter
_MAX_DEPTH = 10_000
_MAX_WRAPPED_CHARS = 4 * 1024 * 1024


class Arguments(msgspec.Struct, frozen=True):
    """Renamed keys and wrapping of one tool's arguments.

    Keys are renamed at every depth: no other key looks like those sent instead.
    """

    # The client's key to the provider's, and back.
    sent: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    given: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    is_wrapped: bool = False  # they are no object, and stand in one

    @classmethod
    def of(cls, renamed: Mapping[str, str], *, is_wrapped: bool = False) -> Arguments | None:
        """Arguments with these changes; None without any."""
        if not renamed and not is_wrapped:
            return None
        return cls(dict(renamed), {sent: key for key, sent in renamed.items()}, is_wrapped)

    def to_provider(self, value: object) -> object:
        """Translate the client's arguments for the provider."""
        renamed = _renamed(value, self.sent)
        return {VALUE: renamed} if self.is_wrapped else renamed

    def to_client(self, value: object) -> object:
        """Translate the model's arguments for the client."""
        if self.is_wrapped and is_object(value) and VALUE in value:
            value = value[VALUE]
        return _renamed(value, self.given)

    def stream(self) -> ArgumentStream:
        """Create a translator of streamed arguments."""
        return _Unwrapping(self) if self.is_wrapped else _Renaming(self.given)


def renamed_value(value: object, names: Mapping[str, str]) -> object:
    """Rename the keys of all objects in a value; the value itself if none matches."""
    return _renamed(value, names) if names else value


def _renamed(value: object, names: Mapping[str, str]) -> object:
    """Rename without recursion: untrusted values may be nested as deep as can be parsed."""
    if not names:
        return value
    top = [value]
    pending: list[tuple[JsonObject | list[object], str | int, object]] = [(top, 0, value)]
    while pending:
        container, at, inner = pending.pop()
        copy: JsonObject | list[object]
        if is_object(inner):
            copy = {names.get(key, key): each for key, each in inner.items()}
            pending += [(copy, key, each) for key, each in copy.items()]
        elif is_list(inner):
            copy = list(inner)
            pending += [(copy, index, each) for index, each in enumerate(copy)]
        else:
            continue
        container[at] = copy  # type: ignore[index]  # made above, each of its own kind
    return top[0]


class ArgumentStream:
    """Translator of streamed arguments: pieces of the model's JSON in, the client's out."""

    def feed(self, piece: str) -> str:
        """Text for the client after this piece; may be empty."""
        raise NotImplementedError

    def end(self) -> str:
        """The rest of the text, after its end or a cut."""
        raise NotImplementedError


class _Renaming(ArgumentStream):
    """Renames keys in a stream, holding each back until it is whole.

    It works on the text, so that numbers keep their spelling and a cut text keeps its length.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._objects: list[bool] = []  # of what is open: whether it is an object
        self._is_key = False  # a string that begins now is a key
        self._in_text = False
        self._is_escaped = False
        self._held: list[str] | None = None  # a key so far

    def feed(self, piece: str) -> str:
        out: list[str] = []
        place = 0
        while place < len(piece):
            if not self._in_text:
                self._take_mark(piece[place], out)
                place += 1
                continue
            if self._held is None and not self._is_escaped:  # most of what comes: in one go
                found = _END_OF_TEXT.search(piece, place)
                end = len(piece) if found is None else found.start()
                out.append(piece[place:end])
                place = end
            if place < len(piece):
                self._take_text(piece[place], out)
                place += 1
        return "".join(out)

    def end(self) -> str:
        held, self._held = self._held, None
        return "".join(held or ())

    def _take_mark(self, character: str, out: list[str]) -> None:
        match character:
            case '"':
                self._in_text = True
                if self._is_key:
                    self._held = ['"']
                    return
            case "{" | "[":
                if len(self._objects) >= _MAX_DEPTH:
                    raise ValueError("a tool's input is nested too deep")
                self._objects.append(character == "{")
                self._is_key = character == "{"
            case "}" | "]":
                if self._objects:
                    self._objects.pop()
                self._is_key = False
            case ",":
                self._is_key = bool(self._objects) and self._objects[-1]
            case ":":
                self._is_key = False
            case _:
                pass
        out.append(character)

    def _take_text(self, character: str, out: list[str]) -> None:
        if self._held is None:
            out.append(character)
        else:
            self._held.append(character)
            if len(self._held) > _MAX_KEY_CHARS:
                out.append(self.end())
        if self._is_escaped:
            self._is_escaped = False
        elif character == "\\":
            self._is_escaped = True
        elif character == '"':
            self._in_text = False
            if self._held is not None:
                out.append(self._key(self.end()))

    def _key(self, text: str) -> str:
        try:
            key = json.loads(text)
        except ValueError:
            return text
        given = self._names.get(key)
        return text if given is None else json.dumps(given, ensure_ascii=False)


class _Unwrapping(ArgumentStream):
    """Unwraps arguments in a stream, holding everything back until the end."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._pieces: list[str] = []
        self._chars = 0

    def feed(self, piece: str) -> str:
        self._chars += len(piece)
        if self._chars > _MAX_WRAPPED_CHARS:
            raise ValueError("a tool's input is too long")
        self._pieces.append(piece)
        return ""

    def end(self) -> str:
        text, self._pieces = "".join(self._pieces), []
        try:
            return json.dumps(
                self._arguments.to_client(parse_finite_json(text)), ensure_ascii=False
            )
        except (ValueError, RecursionError):
            return text  # cut off; the client sees what there is
