"""Write Ollama's streams from the hub's chunks: a line for each piece, calls whole, counts last."""

from __future__ import annotations

from collections.abc import Callable

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.hub.chunk_bytes import TextFrame
from nexus_core.dialects.hub.chunk_reader import ChunkReader, Said, Sign, Texts
from nexus_core.dialects.hub.said import estimated_usage
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.ollama.bridge.answer import (
    call_of,
    done_reason,
    dumped,
    said,
    silence,
    stamp,
    wants_thinking,
)
from nexus_core.dialects.ollama.dialect import CHAT
from nexus_core.dialects.ollama.errors import report_line
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_MAX_CALL_CHARS = 4 * 1024 * 1024  # of all arguments, which are held until they are whole


class _Call:
    """A call whose arguments come in pieces."""

    __slots__ = ("arguments", "extra", "id", "index", "name")

    def __init__(self, index: object, call_id: str, name: str) -> None:
        self.index = index  # among the deltas
        self.id = call_id
        self.name = name
        self.arguments: list[str] = []
        self.extra: JsonObject | None = None


class LineWriter:
    """Writer of one stream. Holds its tool calls until the end: here they have no pieces."""

    def __init__(
        self,
        request: Request,
        now: Callable[[], float],
        ticks: Callable[[], int],
        began: int,
    ) -> None:
        """
        Args:
            now: seconds since the epoch.
            ticks: nanoseconds of a clock by which `began` is, too.
        """
        self._request = request
        self._now = now
        self._ticks = ticks
        self._began = began
        self._first: int | None = None  # when the first content came
        self._chunks = ChunkReader()
        self._head = b'{"model":' + dumped(request.parsed["model"]) + b',"created_at":"'
        # What stands around a text behind the time of its line, or around thinking (True).
        self._rests: dict[bool, tuple[bytes, bytes]] = {}
        self._with_thinking = wants_thinking(request)
        self._calls: list[_Call] = []
        self._held_chars = self._text_bytes = 0
        self._finish: object = None

    def write(self, lines: bytes, run: TextRun | None = None) -> bytes:
        """What these lines are for the client.

        Raises:
            ValueError: an event is too long, or the arguments of its calls are.
        """
        return b"".join(map(self._take, self._chunks.read(lines, run)))

    def end(self, usage: TokenUsage | None) -> bytes:
        """The end of a complete answer."""
        made = [*map(self._take, self._chunks.finish())]
        if self._calls and self._request.path == CHAT.path:
            calls = [_written(number, call) for number, call in enumerate(self._calls)]
            message = {"role": "assistant", "content": "", "tool_calls": calls}
            made.append(self._line({"message": message}, is_done=False))
        if usage is None:
            usage = estimated_usage(self._request, self._text_bytes)
        now = self._ticks()
        first = now if self._first is None else self._first
        counts = {
            "done_reason": done_reason(self._finish),
            "total_duration": now - self._began,
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": first - self._began,
            "eval_count": usage.completion_tokens,
            "eval_duration": now - first,
        }
        made.append(self._line(silence(self._request), is_done=True, **counts))
        return b"".join(made)

    def fail(self, report: ErrorReport) -> bytes:
        """The error that the backend reported in the middle of its stream."""
        return report_line(report)

    def _line(self, said: JsonObject, *, is_done: bool, **more: object) -> bytes:
        rest = dumped({**said, "done": is_done, **more})
        return self._head + stamp(self._now()).encode() + b'",' + rest[1:] + b"\n"

    def _take(self, said: Said) -> bytes:
        """Write what the hub's stream said; a sign of life is a line of no text."""
        if isinstance(said, Texts):
            return self._say_all(said)
        if said is Sign.OF_LIFE:
            return self._line(silence(self._request), is_done=False)
        return b"".join([self._choice(one) for one in said if not one.get("index")])

    def _say_all(self, texts: Texts) -> bytes:
        """Lines of one text or thinking."""
        if texts.is_thinking and not self._with_thinking:
            return b""
        self._text_bytes += texts.size
        if self._first is None:
            self._first = self._ticks()
        before, after = self._rests.get(texts.is_thinking) or self._rest(texts.is_thinking)
        before = b'%b%b",%b' % (self._head, stamp(self._now()).encode(), before)
        return TextFrame(before, after).around(texts.pieces)

    def _rest(self, is_thinking: bool) -> tuple[bytes, bytes]:
        piece = silence(self._request)
        if is_thinking:
            piece.get("message", piece)["thinking"] = ""
        before, _, after = dumped({**piece, "done": False})[1:].rpartition(b'""')
        rest = self._rests[is_thinking] = (before + b'"', b'"' + after + b"\n")
        return rest

    def _choice(self, choice: JsonObject) -> bytes:
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
        delta = choice.get("delta") or choice.get("message")
        calls = delta.get("tool_calls") if is_object(delta) else None
        for number, call in enumerate(calls if is_list(calls) else ()):
            if is_object(call):
                self._add(number, call)
        piece = said(self._request, choice, with_thinking=self._with_thinking)
        if not piece:
            return b""
        spoken: JsonObject = piece.get("message", piece)
        for name in ("content", "response", "thinking"):
            self._text_bytes += len(spoken.get(name, "").encode("utf-8", "replace"))
        if self._first is None:
            self._first = self._ticks()
        return self._line(piece, is_done=False)

    def _add(self, number: int, piece: JsonObject) -> None:
        """Add a piece of a call: to the last one at its index, unless it names another."""
        if self._first is None:
            self._first = self._ticks()
        index, call_id = piece.get("index", number), piece.get("id")
        function = piece.get("function")
        function = function if is_object(function) else {}
        name, arguments = function.get("name"), function.get("arguments")
        call = next((one for one in reversed(self._calls) if one.index == index), None)
        is_other = call is not None and isinstance(call_id, str) and call_id not in ("", call.id)
        if call is None or is_other:
            call = _Call(index, call_id if isinstance(call_id, str) else "", "")
            self._calls.append(call)
        if isinstance(name, str) and name and not call.name:
            call.name = name
        if is_object(extra := piece.get("extra_content")):
            call.extra = extra
        if is_object(arguments):
            arguments = dumped(arguments).decode()
        if isinstance(arguments, str):
            call.arguments.append(arguments)
            self._held_chars += len(arguments)
            self._text_bytes += len(arguments)
            if self._held_chars > _MAX_CALL_CHARS:
                raise ValueError("arguments of tool calls are too long")


def _written(number: int, call: _Call) -> JsonObject:
    made = call_of(number, call.id, call.name, "".join(call.arguments))
    return made if call.extra is None else {**made, "extra_content": call.extra}
