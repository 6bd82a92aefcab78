"""Demand of an Ollama request: capabilities, tokens, limit, prefixes; read once, in one walk."""

from __future__ import annotations

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
from nexus_core.types import Capability, JsonObject, JsonValue, Operation, is_list, is_object

# Fields whose loss would change the answer, and that only Ollama takes.
ONLY_OLLAMA = ("template", "context", "width", "height", "steps")


def chat_demand(fields: JsonObject) -> Demand:
    """Validate the conversation, and read what it asks of model and backend.

    Values of a wrong type, beside the messages, demand nothing.

    Raises:
        InvalidRequestError: `messages` is of another type; names the field.
    """
    messages: JsonValue = fields.get("messages")
    if messages is not None and not is_list(messages):
        raise InvalidRequestError("messages: a list is required", param="messages")
    walk = _Walk(fields)
    for index, message in enumerate(messages or ()):
        role = message.get("role") if is_object(message) else None
        if not is_object(message) or not isinstance(role, str):
            raise wrong_entry(f"messages[{index}]", message, "role")
        walk.message(message, role, f"messages[{index}].")
    return walk.demand({Capability.CHAT})


def generate_demand(fields: JsonObject, operation: Operation) -> Demand:
    """The same of a single prompt.

    Raises:
        InvalidRequestError: `prompt`, `system` or `suffix` is no text.
    """
    for name in ("prompt", "system", "suffix"):
        if not isinstance(fields.get(name), str | None):
            raise InvalidRequestError(f"{name}: a string is required", param=name)
    walk = _Walk(fields)
    walk.message({"content": fields.get("system")}, "system", "")
    prompt = f"{fields.get('prompt') or ''}{fields.get('suffix') or ''}"
    walk.message({"content": prompt, "images": fields.get("images")}, "user", "")
    walk.only_ollama()
    is_chat = operation is Operation.CHAT
    return walk.demand({Capability.CHAT if is_chat else Capability.COMPLETIONS})


def embed_demand(fields: JsonObject, name: str) -> Demand:
    """The same of texts to embed; without any, the model is only loaded.

    Raises:
        InvalidRequestError: the field of that name is neither a text nor several.
    """
    given: object = fields.get(name)
    if given is None:
        given = ""
    texts: object = [given] if isinstance(given, str) else given
    if name == "prompt" and not isinstance(given, str):
        raise InvalidRequestError("prompt: a string is required", param=name)
    if not is_list(texts) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequestError(f"{name}: a string or a list of strings is required", param=name)
    chars = sum(len(text) for text in texts)
    return Demand(frozenset({Capability.EMBEDDINGS}), chars // CHARS_PER_TOKEN)


class _Walk:
    """Adds up a conversation."""

    def __init__(self, fields: JsonObject) -> None:
        self._fields = fields
        self._prefixes = Prefixes(fields["model"])
        self._chars = self._images = self._messages = 0
        self._places: dict[Capability, str] = {}

    def message(self, message: JsonObject, role: str, path: str) -> None:
        for name in ("content", "thinking"):
            if isinstance(text := message.get(name), str):
                self._text(text)
        if calls := message.get("tool_calls"):
            self._text(dumped(calls).decode("utf-8", "replace"))
        images = message.get("images")
        for number, image in enumerate(images if is_list(images) else ()):
            self._images += 1
            self._places.setdefault(Capability.VISION, f"{path}images[{number}]")
            self._prefixes.take(str(image))
        self._messages += 1
        self._prefixes.add(role)

    def only_ollama(self) -> None:
        """Note the first field that no other server takes."""
        given = next((name for name in ONLY_OLLAMA if self._fields.get(name)), None)
        if given is not None:
            self._places[Capability.OLLAMA_FIELDS] = given

    def demand(self, wanted: set[Capability]) -> Demand:
        """Everything together, with the tools, the format and the limit."""
        fields = self._fields
        wanted |= self._places.keys()
        tokens = self._chars // CHARS_PER_TOKEN + self._images * TOKENS_PER_IMAGE
        tokens += TOKENS_PER_MESSAGE * self._messages
        if tools := fields.get("tools"):
            wanted.add(Capability.TOOLS)
            tokens += len(dumped(tools)) // CHARS_PER_TOKEN
        if fields.get("format"):
            wanted.add(Capability.JSON)
        options = fields.get("options")
        limit = options.get("num_predict") if is_object(options) else None
        is_limit = isinstance(limit, int) and not isinstance(limit, bool) and limit > 0
        return Demand(
            capabilities=frozenset(wanted),
            prompt_tokens=tokens,
            completion_limit=limit if is_limit else None,
            wants_usage=True,  # every answer of this format has it
            prefixes=self._prefixes.found,
            places=tuple(self._places.items()),
        )

    def _text(self, text: str) -> None:
        self._chars += len(text)
        self._prefixes.take(text)
