"""A stream of Responses events as the whole response that it tells. Pure."""

from __future__ import annotations

from nexus_core.dialects.openai_responses.events import dumped
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.sse import SseParser
from nexus_core.types import JsonObject, is_object

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class ResponseCollector:
    """Takes the response of a stream: its last event has it whole."""

    def __init__(self) -> None:
        self._parser = SseParser()
        self._response: JsonObject | None = None
        self._items: dict[int, JsonObject] = {}  # that have ended: some servers tell no others

    def feed(self, data: bytes) -> None:
        """Take bytes of the stream.

        Raises:
            ValueError: they are no events of a response.
        """
        for event in self._parser.feed(data):
            self._take(event.data)

    def whole(self) -> bytes:
        """The response, once the stream has ended.

        Raises:
            ValueError: it had none.
        """
        for event in self._parser.finish():
            self._take(event.data)
        if self._response is None:
            raise ValueError("answered with a stream that has no response at its end")
        if not self._response.get("output"):
            output = [self._items[index] for index in sorted(self._items)]
            self._response = {**self._response, "output": output}
        return dumped(self._response).encode()

    def _take(self, data: str) -> None:
        if data.startswith("[DONE]"):  # some servers end every stream with it
            return
        fields = parse_json(data)
        if not is_object(fields):
            return
        kind, item, index = (fields.get(name) for name in ("type", "item", "output_index"))
        if kind == "response.output_item.done" and is_object(item) and isinstance(index, int):
            self._items[index] = item
        elif kind in _ENDS and is_object(fields.get("response")):
            self._response = fields["response"]
