"""Demand of a Responses request: capabilities, tokens, limit, prefixes; read once, in one walk."""

from __future__ import annotations

from nexus_core.dialects.openai_responses.carried import is_own
from nexus_core.dialects.reading.body import wrong_entry
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

# What refers to something that OpenAI keeps for an account, and nobody else can know.
STORED = ("previous_response_id", "conversation", "prompt")

_MEDIA = {
    "input_image": Capability.VISION,
    "input_file": Capability.FILES,
    "input_audio": Capability.AUDIO,
}
_TEXTS = ("text", "refusal", "arguments", "name", "namespace", "call_id", "input")
_NESTED = ("content", "output", "summary")
TOOL_ITEMS = frozenset({"additional_tools", "tool_search_output"})  # items that hold tools
# Tools that a client carries out itself; every other kind runs at OpenAI.
CLIENT_TOOLS = frozenset({"function", "custom", "namespace"})


def read_demand(fields: JsonObject) -> Demand:
    """Validate the input, and read what the request asks of model and backend.

    Values of a wrong type, beside the input, demand nothing.

    Raises:
        InvalidRequestError: `input` is missing or of another type; names the field.
    """
    walk = _Walk(fields["model"])
    walk.input(fields)
    tools = fields.get("tools")
    if is_list(tools):
        walk.tools(tools)
    if fields.get("store") is True:
        walk.places.setdefault(Capability.STORED_RESPONSES, "store")
    for name in STORED:
        if fields.get(name) is not None:
            walk.places.setdefault(Capability.STORED_RESPONSES, name)
    wanted = {Capability.CHAT, *walk.places}
    if walk.has_tools:
        wanted.add(Capability.TOOLS)
    text = fields.get("text")
    form = text.get("format") if is_object(text) else None
    if is_object(form) and form.get("type") in ("json_object", "json_schema"):
        wanted.add(Capability.JSON)
    limit, key = fields.get("max_output_tokens"), fields.get("prompt_cache_key")
    tokens = walk.chars // CHARS_PER_TOKEN + walk.media * TOKENS_PER_IMAGE
    return Demand(
        capabilities=frozenset(wanted),
        prompt_tokens=tokens + TOKENS_PER_MESSAGE * walk.items,
        completion_limit=limit if type(limit) is int and limit > 0 else None,
        wants_usage=True,  # every answer of this format has it
        prefixes=walk.prefixes.found,
        places=tuple(walk.places.items()),
        # https://platform.openai.com/docs/guides/prompt-caching
        session=hash((fields["model"], key)) if isinstance(key, str) and key else None,
    )


class _Walk:
    """Adds up a conversation; ids, which a client may give anew, count as nothing."""

    def __init__(self, model: str) -> None:
        self.prefixes = Prefixes(model)
        self.chars = self.media = self.items = 0
        self.has_tools = False
        self.places: dict[Capability, str] = {}

    def input(self, fields: JsonObject) -> None:
        """
        Raises:
            InvalidRequestError: it is missing or of another type.
        """
        if isinstance(instructions := fields.get("instructions"), str):
            self._text(instructions)
        given = fields.get("input")
        if given is None and any(fields.get(name) is not None for name in STORED):
            given = ""
        if isinstance(given, str):
            self.items = 1
            self._text(given)
            self.prefixes.add("user")
            return
        if not is_list(given):
            raise InvalidRequestError("input: a string or a list is required", param="input")
        self.prefixes.add("instructions")
        self.items = len(given)
        for index, item in enumerate(given):
            kind = item.get("type", "message") if is_object(item) else None
            if not is_object(item) or not isinstance(kind, str):
                raise wrong_entry(f"input[{index}]", item, "type")
            self._item(item, kind, f"input[{index}]")

    def tools(self, tools: list[object]) -> None:
        """Tools of the request, or of an item."""
        for tool in tools:
            kind = tool.get("type") if is_object(tool) else None
            is_client = isinstance(kind, str) and kind in CLIENT_TOOLS
            if is_object(tool) and kind == "tool_search":
                is_client = tool.get("execution") == "client"
            if is_client:
                self.has_tools = True
                self.chars += len(dumped(tool))

    def _item(self, item: JsonObject, kind: str, path: str) -> None:
        if kind in TOOL_ITEMS:
            tools = item.get("tools")
            self.tools(tools if is_list(tools) else [])
        elif kind == "item_reference":
            self.places.setdefault(Capability.STORED_RESPONSES, path)
        elif kind == "reasoning" and not is_own(item.get("encrypted_content")):
            pass  # no other model reads it
        else:
            self._part(item, path)
        role = item.get("role")
        self.prefixes.add(role if isinstance(role, str) else kind)

    def _part(self, part: JsonObject, path: str) -> None:
        kind = part.get("type")
        need = _MEDIA.get(kind) if isinstance(kind, str) else None
        if need is not None:
            self.media += 1
            self.places.setdefault(need, path)
            for name in ("image_url", "file_data", "file_url", "file_id"):
                if isinstance(source := part.get(name), str):
                    self.prefixes.take(source)
            return
        for name in _TEXTS:
            if name in part and isinstance(text := part[name], str):
                self._text(text)
        for name in _NESTED:
            if name not in part:
                continue
            inner = part[name]
            if isinstance(inner, str):
                self._text(inner)
            for number, one in enumerate(inner if is_list(inner) else ()):
                if is_object(one):
                    self._part(one, f"{path}.{name}[{number}]")

    def _text(self, text: str) -> None:
        self.chars += len(text)
        self.prefixes.take(text)
