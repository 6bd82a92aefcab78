"""Repair a chat history before translation: exactly one result after every tool call.

OpenAI's format says nothing of a call that was interrupted or a result that came twice, and many
servers let such a history pass. Anthropic and Gemini refuse it, and since clients send the whole
history each time, one broken turn would end the session for good. Pure, and the same for every
provider:

| in the history | what is sent |
| --- | --- |
| a call without a result (interrupted, crashed, left out by the client) | a result that says so |
| a result elsewhere than behind its call | stands behind it, before what came between |
| results in another order than their calls | in the order of the calls |
| two results of one call | one: the same text once, different texts one after the other |
| a result whose call is gone (compacted, truncated) | the user's text, with a line that says so |
| a call twice in one turn, with one result | the call once |
| an id that another call bore (`call_0` in every turn) | an id of its own |
| no id, an empty id | paired by the function's name where given, else by order |
| `function_call` and role `function` | `tool_calls` and role `tool` |
| an assistant message without text and calls | nothing |
| text of the assistant between a call and its result | stands before the call |
| nothing before the first call | a line of the user's that says that the beginning is missing |

Texts of different results are joined, not chosen from, because either may be the real one: clients
note "interrupted" first and the result when it arrives, or replay a result and note an error later.

Rules: https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use (results at
once and first, no text behind calls) and https://ai.google.dev/gemini-api/docs/function-calling
(as many responses as calls, a call only behind a user's turn).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias, cast

from nexus_core.dialects.hub.request import Message
from nexus_core.dialects.pairing import RESULT_ROLES, Pairs, ToolCall, pair_up, result_key
from nexus_core.dialects.report import Findings
from nexus_core.types import JsonObject

INTERRUPTED = "The call was interrupted. It has no result."
ORPHANED = "The result of a tool call that is no longer part of this conversation:"
CUT_OFF = "The beginning of this conversation is missing."

# Of an assistant message: with any of these it says something, or a provider judges it.
_SAYINGS = ("refusal", "audio", "thinking_blocks", "extra_content")


_Content: TypeAlias = str | list[JsonObject]


class Placed(NamedTuple):
    """A message of the repaired history, and the path of its origin in the request."""

    path: str  # messages[4]
    message: JsonObject


class Called(NamedTuple):
    """A tool call of a repaired message."""

    path: str  # messages[4].tool_calls[0], or messages[4].function_call
    id: str  # no other call of the history has it
    call: JsonObject  # with `function`, or `custom` where its `type` says so


def repair_history(messages: Sequence[Message], findings: Findings) -> list[Placed]:
    """Repair the messages so that every provider accepts them; repairs are noted in `changed`.

    `messages` are validated already and not changed. In the repaired history results have the role
    `tool` and directly follow the assistant's turn, one for each call, in the order of calls.
    """
    history = cast("Sequence[JsonObject]", messages)
    if _is_in_order(history):  # nearly always; looking costs a fifth of repairing
        return [Placed(f"messages[{index}]", message) for index, message in enumerate(history)]
    return _Writer(history, pair_up(history), findings).write()


def calls_of(placed: Placed) -> Iterator[Called]:
    """The calls of a repaired message, in order; a legacy function_call is one too."""
    path, message = placed
    legacy = message.get("function_call")
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield Called(
            f"{path}.function_call" if legacy else f"{path}.tool_calls[{index}]", call["id"], call
        )


def _is_in_order(history: Sequence[JsonObject]) -> bool:
    """Whether the history is certainly in order; False means that it has to be examined."""
    ids: set[str] = set()
    expected: list[str] = []  # the results of this turn that are yet to come, the next one last
    is_opened = False
    for message in history:
        role, content = message["role"], message.get("content")
        if role == "tool":
            if not expected or message.get("tool_call_id") != expected.pop() or content is None:
                return False
            continue
        if expected or role == "function":
            return False
        if role == "user":
            is_opened = is_opened or not _is_blank(content)
        elif role == "assistant":
            if message.get("function_call"):
                return False
            calls = message.get("tool_calls")
            if not calls:
                if _is_blank(content):
                    return False
                continue
            for call in calls:
                call_id = call.get("id")
                if not call_id or call_id in ids or not is_opened:
                    return False
                ids.add(call_id)
                expected.append(call_id)
            expected.reverse()
    return not expected


class _Writer:
    """Puts the repaired history together, and notes what it repairs."""

    def __init__(
        self,
        history: Sequence[JsonObject],
        pairs: Pairs,
        findings: Findings,
    ) -> None:
        self._history = history
        self._orphans = pairs.orphans
        self._findings = findings
        self._of_message: defaultdict[int, list[ToolCall]] = defaultdict(list)
        for call in pairs.calls:
            self._of_message[call.message].append(call)
            if call.doubles:
                self._note(call.path, "stands twice, sent once")
        self._at_home = self._read_homes()
        self._written: list[Placed] = []

    def write(self) -> list[Placed]:
        turn: list[int] = []
        for index, message in enumerate(self._history):
            role = message["role"]
            if role == "assistant":
                turn.append(index)
                continue
            self._write_turn(turn)
            turn = []
            if role not in RESULT_ROLES:
                self._written.append(Placed(f"messages[{index}]", message))
            elif index in self._orphans:
                self._write_orphan(index)
        self._write_turn(turn)
        self._open()
        return self._written

    def _note(self, path: str, what: str) -> None:
        self._findings.changed.append(f"{path}: {what}")

    def _read_homes(self) -> dict[int, int]:
        """Index of the assistant's message for each result that directly follows one."""
        homes: dict[int, int] = {}
        last = -1
        for index, message in enumerate(self._history):
            if message["role"] == "assistant":
                last = index
            elif message["role"] not in RESULT_ROLES:
                last = -1
            elif last >= 0:
                homes[index] = last
        return homes

    def _write_turn(self, turn: list[int]) -> None:
        """Write consecutive messages of the assistant, and all results of their calls."""
        calls_in = {index: self._calls(index) for index in turn}
        said = [index for index in turn if calls_in[index] or not self._is_empty(index)]
        if any(call.results for index in said for call in calls_in[index]):
            # The results come later, so what was said meanwhile can't stand behind the calls.
            said.sort(key=lambda index: bool(calls_in[index]))
        waiting: list[ToolCall] = []
        for index in said:
            calls = calls_in[index]
            if waiting and not (calls and _is_blank(self._history[index].get("content"))):
                self._write_results(waiting, turn[-1])
                waiting = []
            self._write_assistant(index, calls)
            waiting += calls
        self._write_results(waiting, turn[-1] if turn else -1)

    def _calls(self, index: int) -> list[ToolCall]:
        return [call for call in self._of_message.get(index, ()) if not call.doubles]

    def _is_empty(self, index: int) -> bool:
        message = self._history[index]
        if not _is_blank(message.get("content")):
            return False
        if any(message.get(name) for name in _SAYINGS):
            return False
        self._note(f"messages[{index}]", "says nothing, left out")
        return True

    def _write_assistant(self, index: int, calls: list[ToolCall]) -> None:
        message = self._history[index]
        if index in self._of_message:
            message = {**message, "tool_calls": [{**call.call, "id": call.id} for call in calls]}
            if not any(call.is_legacy for call in calls):
                message.pop("function_call", None)  # which some clients leave beside tool_calls
        for call in calls:
            if call.key is None:
                self._note(call.path, "has no id, got one")
            elif not call.is_legacy and call.id != call.key[1]:
                self._note(call.path, "its id was used before, got another")
        self._written.append(Placed(f"messages[{index}]", message))

    def _write_results(self, calls: list[ToolCall], turn_end: int) -> None:
        for call in calls:
            result: JsonObject = {"role": "tool", "tool_call_id": call.id}
            if call.results:
                self._note_places(call, turn_end)
                place = f"messages[{call.results[0]}]"
                result = {**self._history[call.results[0]], **result}
                result["content"] = self._joined(call)
            else:
                self._note(call.path, "has no result, answered as interrupted")
                place, result["content"] = call.path, INTERRUPTED
            self._written.append(Placed(place, result))

    def _note_places(self, call: ToolCall, turn_end: int) -> None:
        for index in call.results:
            path, message = f"messages[{index}]", self._history[index]
            if index == call.results[0] and self._at_home.get(index) != turn_end:
                self._note(path, f"moved behind its call, {call.path}")
            if message["role"] == "tool" and result_key(message) != call.key:
                self._note(path, f"names no call by its id, taken for the result of {call.path}")

    def _content(self, index: int) -> _Content:
        return self._history[index].get("content") or ""

    def _joined(self, call: ToolCall) -> _Content:
        """The texts of all results of a call, each once."""
        contents: list[_Content] = []
        texts: set[str] = set()
        for index in call.results:
            content = self._content(index)
            is_new = (
                content not in texts if isinstance(content, str) else content not in contents[-1:]
            )
            if index != call.results[0]:
                fate = "joined to the first" if content and is_new else "left out"
                self._note(f"messages[{index}]", f"another result of {call.path}, {fate}")
            if not content or not is_new:
                continue
            contents.append(content)
            if isinstance(content, str):
                texts.add(content)
        if len(contents) == 1:
            return contents[0]
        if len(texts) == len(contents):
            return "\n".join(cast("list[str]", contents))
        return [part for content in contents for part in _parts(content)]

    def _write_orphan(self, index: int) -> None:
        path, content = f"messages[{index}]", self._content(index)
        if _is_blank(content):
            self._note(path, "an empty result without a call, left out")
            return
        self._note(path, "a result without a call, sent as the user's text")
        # Apart, so that the places of its parts stay true.
        self._written.append(Placed(path, {"role": "user", "content": ORPHANED}))
        self._written.append(Placed(path, {"role": "user", "content": content}))

    def _open(self) -> None:
        """Put a user's line before a call that would otherwise begin the history."""
        first = None
        for place, (path, message) in enumerate(self._written):
            if message["role"] == "assistant":
                first = place if first is None else first
                if message.get("tool_calls"):
                    self._note(path, "a call with nothing before it, opened by a line of the user")
                    opening = Placed(path, {"role": "user", "content": CUT_OFF})
                    self._written.insert(first, opening)
                    return
            elif message["role"] == "user" and not _is_blank(message.get("content")):
                return


def _parts(content: _Content) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _is_blank(content: _Content | None) -> bool:
    if not content:
        return True
    if isinstance(content, str):
        return not content.strip()
    return all(part["type"] == "text" and not part["text"].strip() for part in content)
