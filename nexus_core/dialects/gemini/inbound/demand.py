"""Demand of a request: capabilities, tokens, limit, prefixes; read once, in one walk."""

from __future__ import annotations

from collections.abc import Iterator

from nexus_core.dialects.gemini.inbound.paths import Method
from nexus_core.dialects.reading.prefixes import (
    CHARS_PER_TOKEN,
    TOKENS_PER_IMAGE,
    TOKENS_PER_MESSAGE,
    Prefixes,
    dumped,
)
from nexus_core.dialects.request import Demand
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Capability, JsonObject, is_list, is_object

_MAX_NAME_CHARS = 60
_MEDIA = {"image": Capability.VISION, "audio": Capability.AUDIO}
_KEPT_AT_GOOGLE = ("generativelanguage.googleapis.com/", "gs://", "youtube.com/", "youtu.be/")
_SCHEMAS = ("responseSchema", "responseJsonSchema")
_FUNCTIONS = "functionDeclarations"


def read_demand(fields: JsonObject, model: str) -> Demand:
    """Validate the conversation, and read what the request asks of model and backend.

    Values of a wrong type, beside the contents, demand nothing.

    Raises:
        InvalidRequestError: `contents` is missing or of another type; names the field.
    """
    walk = _Walk(model)
    for part in parts_of(fields.get("systemInstruction")):
        walk.part(part, "systemInstruction")
    walk.prefixes.add("system")
    contents = list(contents_of(fields))
    for path, content in contents:
        for number, part in enumerate(parts_of(content)):
            walk.part(part, f"{path}.parts[{number}]")
        walk.prefixes.add(str(content.get("role") or "user"))
    tokens = walk.chars // CHARS_PER_TOKEN + walk.media * TOKENS_PER_IMAGE
    tokens += TOKENS_PER_MESSAGE * len(contents)
    for path, name, declared in tools_of(fields):
        if name == _FUNCTIONS:
            walk.places.setdefault(Capability.TOOLS, path)
            tokens += len(dumped(declared)) // CHARS_PER_TOKEN
        else:
            walk.places.setdefault(Capability.GOOGLE_FEATURES, path)
    config = fields.get("generationConfig")
    config = config if is_object(config) else {}
    _read_config(config, walk.places)
    if fields.get("cachedContent"):
        walk.places.setdefault(Capability.GOOGLE_FEATURES, "cachedContent")
    limit, choices = config.get("maxOutputTokens"), config.get("candidateCount")
    return Demand(
        capabilities=frozenset({Capability.CHAT, *walk.places}),
        prompt_tokens=tokens,
        completion_limit=limit if isinstance(limit, int) and limit > 0 else None,
        choices=choices if isinstance(choices, int) and choices > 1 else 1,
        wants_usage=True,  # every answer of this format has it
        prefixes=walk.prefixes.found,
        places=tuple(walk.places.items()),
    )


def read_embedding_demand(method: Method, fields: JsonObject) -> Demand:
    """The same of texts to embed.

    Raises:
        InvalidRequestError: what is to be embedded is missing or of another type.
    """
    chars = 0
    for _, one in embedded(method, fields):
        for part in parts_of(one.get("content")):
            text = part.get("text")
            chars += len(text) if isinstance(text, str) else 0
    return Demand(
        capabilities=frozenset({Capability.EMBEDDINGS}), prompt_tokens=chars // CHARS_PER_TOKEN
    )


def embedded(method: Method, fields: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Each request for one embedding, with its path: of a batch there may be many.

    Raises:
        InvalidRequestError: one is missing or of another type.
    """
    requests = fields.get("requests") if method is Method.BATCH_EMBED else [fields]
    if not is_list(requests) or not requests:
        raise InvalidRequestError("requests: a non-empty list is required", param="requests")
    for number, one in enumerate(requests):
        path = f"requests[{number}]" if method is Method.BATCH_EMBED else ""
        if not is_object(one):
            raise InvalidRequestError(f"{path}: an object is required", param=path)
        where = f"{path}.content".removeprefix(".")
        content = one.get("content")
        if not (is_object(content) or isinstance(content, str)):
            raise InvalidRequestError(f"{where}: an object is required", param=where)
        yield path, one


def contents_of(fields: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """The turns of a conversation, each with its path.

    Raises:
        InvalidRequestError: they are missing or of another type.
    """
    contents = fields.get("contents")
    if is_object(contents):
        contents = [contents]
    if not is_list(contents) or not contents:
        raise InvalidRequestError("contents: a non-empty list is required", param="contents")
    for number, content in enumerate(contents):
        path = f"contents[{number}]"
        if not is_object(content):
            raise InvalidRequestError(f"{path}: an object is required", param=path)
        parts = content.get("parts")
        if parts is not None and not is_object(parts):
            if not is_list(parts):
                raise InvalidRequestError(f"{path}.parts: a list is required", param=path)
            for place, part in enumerate(parts):
                if not is_object(part):
                    where = f"{path}.parts[{place}]"
                    raise InvalidRequestError(f"{where}: an object is required", param=where)
        yield path, content


def parts_of(content: object) -> list[JsonObject]:
    """The parts of a content; a string is one part of text."""
    if isinstance(content, str):
        return [{"text": content}]
    if is_list(content):
        return [part for each in content for part in _one_or_more(each)]
    parts = content.get("parts") if is_object(content) else None
    if isinstance(parts, str):
        return [{"text": parts}]
    if is_object(parts):
        return [parts]
    return [part for part in parts if is_object(part)] if is_list(parts) else []


def _one_or_more(value: object) -> list[JsonObject]:
    if isinstance(value, str):
        return [{"text": value}]
    if is_object(value):
        return parts_of(value) if "parts" in value else [value]
    return []


def tools_of(fields: JsonObject) -> Iterator[tuple[str, str, object]]:
    """Each tool that is given: its path, its name and its settings."""
    tools = fields.get("tools")
    for number, tool in enumerate(tools if is_list(tools) else [tools] if tools else ()):
        for name, given in tool.items() if is_object(tool) else ():
            if given is not None and given is not False:
                shown = name[:_MAX_NAME_CHARS]
                yield f"tools[{number}].{shown}", name, given


def is_kept_at_google(uri: object) -> bool:
    """Whether only Google can read the file behind a URI."""
    if not isinstance(uri, str):
        return True
    return any(mark in uri for mark in _KEPT_AT_GOOGLE) or not uri.startswith("https:")


def _read_config(config: JsonObject, places: dict[Capability, str]) -> None:
    at = "generationConfig"
    if config.get("responseMimeType") == "application/json" or any(map(config.get, _SCHEMAS)):
        places.setdefault(Capability.JSON, f"{at}.responseMimeType")
    modalities = config.get("responseModalities")
    for one in modalities if is_list(modalities) else ():
        if str(one).upper() not in ("TEXT", "MODALITY_UNSPECIFIED"):
            places.setdefault(Capability.GOOGLE_FEATURES, f"{at}.responseModalities")


class _Walk:
    """Adds up a conversation; signatures count as nothing."""

    def __init__(self, model: str) -> None:
        self.prefixes = Prefixes(model)
        self.chars = self.media = 0
        self.places: dict[Capability, str] = {}

    def part(self, part: JsonObject, path: str) -> None:
        text = part.get("text")
        if isinstance(text, str):
            self._text(text)
            return
        for name in ("inlineData", "fileData"):
            if is_object(given := part.get(name)):
                self._media(given, f"{path}.{name}")
        for name in ("functionCall", "functionResponse", "executableCode", "codeExecutionResult"):
            if is_object(given := part.get(name)):
                inner = given.get("parts") if name == "functionResponse" else None
                rest = {key: value for key, value in given.items() if key != "parts"}
                self._text(dumped(rest).decode("utf-8", "replace"))
                for number, one in enumerate(inner if is_list(inner) else ()):
                    if is_object(one):
                        self.part(one, f"{path}.{name}.parts[{number}]")

    def _media(self, given: JsonObject, path: str) -> None:
        kind = str(given.get("mimeType") or "").partition("/")[0].lower()
        if kind == "text" and "data" in given:
            self._text(str(given["data"]))
            return
        uri = given.get("fileUri")
        if "data" not in given and is_kept_at_google(uri):
            self.places.setdefault(Capability.GOOGLE_FEATURES, path)
        self.media += 1
        self.places.setdefault(_MEDIA.get(kind, Capability.FILES), path)
        self.prefixes.take(str(given.get("data") or uri))

    def _text(self, text: str) -> None:
        self.chars += len(text)
        self.prefixes.take(text)
