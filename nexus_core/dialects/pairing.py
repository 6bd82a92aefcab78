"""Match tool calls and tool results in a chat history. Pure; linear in the history."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from nexus_core.types import JsonObject

RESULT_ROLES = frozenset({"tool", "function"})


@dataclass(slots=True, eq=False)
class ToolCall:
    """A tool call, and the results found for it."""

    path: str
    message: int  # the index of its message
    turn: int  # messages of the assistant in a row are one
    key: tuple[str, str] | None  # what results name it by; None where it has no id
    name: str
    call: JsonObject
    results: list[int] = field(default_factory=list)  # their messages
    doubles: bool = False  # an earlier call of its turn, and has no result of its own
    id: str = ""  # that it gets

    @property
    def is_bare(self) -> bool:
        return self.key is None

    @property
    def is_legacy(self) -> bool:
        return self.key is not None and self.key[0] == "name"


class Pairs(msgspec.Struct, frozen=True):
    """The calls of a history with their results."""

    calls: list[ToolCall]  # in order
    orphans: set[int]  # the indexes of results without a call


def pair_up(history: Sequence[JsonObject]) -> Pairs:
    """Match tool calls and results by id, by name or by order, and give every call an id."""
    calls = _read_calls(history)
    left = {index for index, message in enumerate(history) if message["role"] in RESULT_ROLES}
    for step in (_pair_by_key, _pair_by_order, _pair_forward):
        if left and calls:
            left = step(history, calls, left)
    _name(_without_doubles(calls))
    return Pairs(calls, left)


def _read_calls(history: Sequence[JsonObject]) -> list[ToolCall]:
    found: list[ToolCall] = []
    turn, before = 0, ""
    for index, message in enumerate(history):
        role = message["role"]
        if role == "assistant":
            turn += before != role
            path = f"messages[{index}]"
            for number, call in enumerate(message.get("tool_calls") or ()):
                key = ("id", call["id"]) if call.get("id") else None
                function = call["custom" if call.get("type") == "custom" else "function"]
                place = f"{path}.tool_calls[{number}]"
                found.append(ToolCall(place, index, turn, key, function["name"], call))
            legacy = message.get("function_call")
            if legacy and not message.get("tool_calls"):
                name = legacy["name"]
                call = {"type": "function", "function": legacy}
                key = ("name", name)
                found.append(ToolCall(f"{path}.function_call", index, turn, key, name, call))
        before = role
    return found


def _pair_by_key(history: Sequence[JsonObject], calls: list[ToolCall], left: set[int]) -> set[int]:
    """Pair by id, or legacy by name, with the latest earlier turn that lacks such a result."""
    waiting: defaultdict[tuple[str, str], _Waiting] = defaultdict(_Waiting)
    answered: dict[tuple[str, str], ToolCall] = {}
    over: set[int] = set()
    coming = deque(calls)
    for index, message in enumerate(history):
        while coming and coming[0].message == index:
            call = coming.popleft()
            if call.key is not None:
                waiting[call.key].add(call)
        if index not in left:
            continue
        key = result_key(message)
        answers = waiting[key].take() or answered.get(key) if key is not None else None
        if answers is None or key is None:
            over.add(index)
        else:
            answers.results.append(index)
            answered[key] = answers
    return over


def result_key(message: JsonObject) -> tuple[str, str] | None:
    if message["role"] == "function":
        return "name", message["name"]
    return ("id", message["tool_call_id"]) if message.get("tool_call_id") else None


def _pair_by_order(
    history: Sequence[JsonObject], calls: list[ToolCall], left: set[int]
) -> set[int]:
    """Pair where one side has no id: by the function's name, else by order."""
    whole = _Waiting()
    bare = _Waiting()
    by_name: defaultdict[tuple[str, bool], _Waiting] = defaultdict(_Waiting)
    over: set[int] = set()
    coming = deque(calls)
    for index, message in enumerate(history):
        while coming and coming[0].message == index:
            call = coming.popleft()
            whole.add(call)
            by_name[call.name, False].add(call)
            if call.is_bare:
                bare.add(call)
                by_name[call.name, True].add(call)
        if index not in left:
            continue
        # A result with an id may yet be of a call that lost its own, never of one with another.
        only_bare = bool(message.get("tool_call_id"))
        answers = by_name[_name_of(message), only_bare].take()
        if answers is None and message["role"] == "tool":
            answers = (bare if only_bare else whole).take()
        if answers is None:
            over.add(index)
        else:
            answers.results.append(index)
    return over


def _name_of(message: JsonObject) -> str:
    name = message.get("name")
    return name if isinstance(name, str) else ""


def _pair_forward(history: Sequence[JsonObject], calls: list[ToolCall], left: set[int]) -> set[int]:
    """Pair a result that comes before its call, with no user's message between them.

    Beyond a user's message it more likely belongs to an earlier call with the same id.
    """
    over = set(left)
    later: dict[tuple[str, str], ToolCall] = {}
    coming = list(calls)
    for index in range(len(history) - 1, -1, -1):
        while coming and coming[-1].message == index:
            call = coming.pop()
            if call.key is not None and not call.results:
                later[call.key] = call
        if history[index]["role"] == "user":
            later.clear()
        elif index in left:
            key = result_key(history[index])
            answers = later.pop(key, None) if key is not None else None
            if answers is not None:
                answers.results.append(index)
                over.discard(index)
    return over


def _without_doubles(calls: Iterable[ToolCall]) -> Iterator[ToolCall]:
    """Mark a call that stands twice in its turn; a result of its own makes it another call.

    Clients add up a stream's calls wrongly or replay a message, and servers number calls alike.
    """
    seen: dict[tuple[int, tuple[str, str]], ToolCall] = {}
    for call in calls:
        first = None
        if call.key is not None:
            first = seen.setdefault((call.turn, call.key), call)
        if first is not None and first is not call and not call.results:
            call.doubles = _said(first.call) == _said(call.call)
            if call.doubles:  # what else a client keeps, such as a signature, may be on either
                first.call = {**call.call, **_present(first.call)}
        if not call.doubles:
            yield call


def _said(call: JsonObject) -> object:
    """Name and arguments of a call."""
    return call.get("custom") if call.get("type") == "custom" else call["function"]


def _present(call: JsonObject) -> JsonObject:
    return {name: value for name, value in call.items() if value is not None}


def _name(calls: Iterable[ToolCall]) -> None:
    """Give each call an id of its own; the first that has an id keeps it.

    Only what stands before a call counts, so that a history that grows keeps its beginning, and
    the provider's cache is of use.
    """
    taken: set[str] = set()
    uses: defaultdict[str, int] = defaultdict(int)
    for call in calls:
        wanted = call.key[1] if call.key is not None else "call"
        if call.is_legacy:
            wanted = f"function-{wanted}"
        call.id = wanted
        while call.id in taken:
            uses[wanted] += 1
            call.id = f"{wanted}-{uses[wanted] + 1}"
        taken.add(call.id)


class _Waiting:
    """Calls without a result: the latest turn first, within a turn in order."""

    def __init__(self) -> None:
        self._turns: list[tuple[int, deque[ToolCall]]] = []

    def add(self, call: ToolCall) -> None:
        if not self._turns or self._turns[-1][0] != call.turn:
            self._turns.append((call.turn, deque()))
        self._turns[-1][1].append(call)

    def take(self) -> ToolCall | None:
        while self._turns:
            calls = self._turns[-1][1]
            while calls:
                call = calls.popleft()
                if not call.results:  # another way may have led to it
                    return call
            self._turns.pop()
        return None
