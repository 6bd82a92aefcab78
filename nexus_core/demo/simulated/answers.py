"""Generated answers of simulated backends, before any wire format. Pure: no network."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from hashlib import sha256
from random import Random
from typing import Literal

from nexus_core.types import JsonObject, is_object

SENTENCES = (
    "A gateway is a door with an opinion about who should answer it.",
    "The local model is busy, so the next one in line takes the question.",
    "Short prompts come back quickly; long ones take the scenic route.",
    "Nothing marked restricted ever leaves this machine.",
    "Tokens arrive one by one, like rain on a tin roof.",
    "Measure first, then tune, then measure again.",
    "When a backend stumbles, another one picks up the thread.",
    "This text is made up by the demo; no model was asked.",
)
TOKENS_PER_WORD = 1.3
MOST_CALLS = 2  # in one answer
DIMENSIONS = 16  # of an embedding, unless others are asked for
_DEEPEST = 8  # levels of a schema that are filled in


@dataclass(frozen=True, slots=True)
class Tool:
    """A function tool of a request."""

    name: str
    schema: JsonObject  # of its arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Features of a request that determine its answer, independent of its format."""

    model: str
    prompt: object  # JSON; only its length counts
    tools: tuple[Tool, ...] = ()  # to be called now, each once
    schema: JsonObject | None = None  # the answer is JSON that fits it
    limit: int | None = None  # tokens of the answer
    thinks: bool = False
    is_streaming: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddable:
    """Features of an embeddings request that determine its answer."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None


class Ending(Enum):
    """Finish reason of an answer."""

    DONE = auto()
    CALLS = auto()
    LIMIT = auto()
    DECLINED = auto()  # the model does not want to answer


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer, token by token."""

    kind: Literal["thinking", "text", "call"]
    pieces: tuple[str, ...]  # of a call: its arguments, none where it has none
    name: str = ""  # of the called function

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def arguments(self) -> JsonObject:
        """Of a call. Those that the token limit cut off are lost."""
        try:
            arguments: JsonObject = json.loads(self.text or "{}")
        except ValueError:
            return {}
        return arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One completion, before it is wrapped as a whole answer or as a stream."""

    id: str  # hexadecimal
    model: str
    created: int  # seconds since the epoch
    parts: tuple[Part, ...]
    ending: Ending
    prompt_tokens: int

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if part.kind == "text")

    @property
    def calls(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind == "call")

    @property
    def thinking_tokens(self) -> int:
        return sum(len(part.pieces) for part in self.parts if part.kind == "thinking")

    @property
    def tokens(self) -> int:
        """All of them, thinking included."""
        return sum(len(part.pieces) for part in self.parts)


def make_answer(asked: Asked, *, random: Random, created: int, lengths: tuple[int, int]) -> Answer:
    """Make up an answer of `lengths` tokens (least, most), within what the request allows."""
    parts = list(_parts(asked, random, lengths))
    ending = Ending.CALLS if asked.tools else Ending.DONE
    if asked.limit is not None and asked.limit < sum(len(part.pieces) for part in parts):
        parts, ending = list(_first(asked.limit, parts)), Ending.LIMIT
    return Answer(
        id=f"{random.getrandbits(64):016x}",
        model=asked.model,
        created=created,
        parts=tuple(parts),
        ending=ending,
        prompt_tokens=count_tokens(asked.prompt),
    )


def declined(answer: Answer) -> Answer:
    """The same, had the model not wanted to answer."""
    return replace(answer, parts=(), ending=Ending.DECLINED)


def _parts(asked: Asked, random: Random, lengths: tuple[int, int]) -> Iterator[Part]:
    if asked.thinks:
        yield Part("thinking", _pieces(random.choice(SENTENCES)))
    if asked.schema is not None and not asked.tools:
        yield Part("text", _pieces(json.dumps(made_up(asked.schema, random))))
    elif not asked.tools:
        yield Part("text", _text(random, random.randint(*lengths)))
    for tool in asked.tools[:MOST_CALLS]:
        arguments = made_up(tool.schema, random)
        yield Part("call", _pieces(json.dumps(arguments)) if arguments else (), tool.name)


def _first(limit: int, parts: Sequence[Part]) -> Iterator[Part]:
    for part in parts:
        if limit <= 0:
            return
        yield replace(part, pieces=part.pieces[:limit])
        limit -= len(part.pieces)


def _text(random: Random, length: int) -> tuple[str, ...]:
    pieces: list[str] = []
    while len(pieces) < length:
        pieces += _pieces(random.choice(SENTENCES) + " ")
    return tuple(pieces[:length])


def _pieces(text: str) -> tuple[str, ...]:
    """Cut text after each blank, so that the pieces join to it again."""
    words = text.split(" ")
    return tuple([f"{word} " for word in words[:-1]] + words[-1:] * bool(words[-1]))


def made_up(schema: JsonObject, random: Random) -> object:
    """A generated value for a schema of the common kinds; {} for others."""
    return _Filler(schema, random).value(schema, _DEEPEST)


class _Filler:
    def __init__(self, root: JsonObject, random: Random) -> None:
        self._root = root
        self._random = random

    def value(self, schema: JsonObject | bool, levels: int) -> object:
        if levels == 0:
            return None
        if isinstance(schema, bool):
            return {}
        match schema:
            case {"$ref": str(path)}:
                return self.value(self._resolve(path), levels - 1)
            case {"const": fixed} | {"enum": [fixed, *_]}:
                return fixed
            case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
                return self.value(first, levels - 1)
            case {"type": [str(kind), *_]} | {"type": str(kind)}:
                return self._of(kind.lower(), schema, levels)
            case _:
                return self._of("object", schema, levels)

    def _of(self, kind: str, schema: JsonObject, levels: int) -> object:
        match kind:
            case "object":
                properties: JsonObject = schema.get("properties") or {}
                return {name: self.value(each, levels - 1) for name, each in properties.items()}
            case "array":
                items = [*schema.get("prefixItems", ())]
                if not items and schema.get("items") is not False:
                    items = [schema.get("items") or {"type": "string"}]
                return [self.value(each, levels - 1) for each in items]
            case "string":
                return self._random.choice(SENTENCES)
            case "integer" | "number":
                return self._random.randint(1, 9)
            case "boolean":
                return True
            case _:
                return None

    def _resolve(self, path: str) -> JsonObject:
        """What a reference like "#/$defs/Name" points at; an empty schema where nothing is."""
        found: object = self._root
        for name in path.removeprefix("#").strip("/").split("/"):
            found = found.get(name) if is_object(found) else None
        return found if is_object(found) else {}


def make_vectors(asked: Embeddable) -> list[list[float]]:
    """A vector of length 1 for each input; the same text has the same one everywhere."""
    return [_vector(text, asked.dimensions or DIMENSIONS) for text in asked.inputs]


def _vector(text: str, dimensions: int) -> list[float]:
    random = Random(text)  # noqa: S311 - a made-up direction, not a secret
    values = [random.uniform(-1, 1) for _ in range(dimensions)]
    length = math.hypot(*values) or 1.0
    return [value / length for value in values]


def count_tokens(prompt: object) -> int:
    """Approximate token count of a prompt."""
    return 1 + int(len(json.dumps(prompt).split()) * TOKENS_PER_WORD)


def sign(*said: object) -> str:
    """Signature of simulated text; the same text has the same signature."""
    text = json.dumps(said, sort_keys=True)
    return base64.b64encode(sha256(text.encode()).digest()).decode()
