"""Calls that are lost, repeated or late, of several processes, on the real program and store."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from nexus_core.state.valkey.program import program
from tests.fleet.server import StoreServer

MOST = 4
LIMIT, COST = 100, 10

# Of each step: which process, what it does, and what becomes of the call.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["begin", "end", "beat"]),
        st.sampled_from(["well", "well", "lost", "answer lost", "twice", "late"]),
    ),
    max_size=60,
)
_GIVEN = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Wire:
    """Calls to the store; those that are late arrive before the next but one."""

    def __init__(self, store: StoreServer) -> None:
        self._redis = Redis(unix_socket_path=str(store.socket))
        self._redis.flushall()
        store.known()
        self._run = self._redis.info("server")["run_id"]
        self._late: list[bytes] = []

    def call(self, process: str, fate: str, **said: object) -> dict[str, object] | None:
        """The answer; None where none comes."""
        body = msgspec.json.encode(
            {"process": process, "replica": process, "run": self._run, "dead_ms": 60_000, **said}
        )
        if fate == "late":
            self._late.append(body)
            return None
        if fate == "lost":
            return None
        answer = self._send(body)
        if fate == "twice":
            answer = self._send(body)
        if len(self._late) > 1:
            self._send(self._late.pop(0))
        return None if fate == "answer lost" else answer

    def _send(self, body: bytes) -> dict[str, object]:
        verb = "beat" if b'"parts"' in body else "take"
        found = self._redis.eval(program().body.decode(), 1, "{nexus:default}:run", verb, body)
        told: dict[str, object] = msgspec.json.decode(found)
        return told

    def close(self) -> None:
        self._redis.close()


class Slots:
    """A process that goes by the order: give back here first, take there first."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.wire, self.name = wire, name
        self.held = self.used = self.seq = 0

    def begin(self, fate: str) -> None:
        if self.used < self.held:
            self.used += 1
            return
        self.seq += 1
        asked = {"need": self.used + 1, "like": self.used + 1, "most": MOST}
        question = ["slots", {"seq": self.seq, "items": {"slots:b": asked}}]
        answer = self.wire.call(self.name, fate, takes=[question])
        if answer is None:
            return
        told = answer["takes"][0]["items"]["slots:b"]  # type: ignore[index]
        self.held = max(self.held, int(told["held"]))
        if self.used < self.held:
            self.used += 1

    def end(self, _: str) -> None:
        self.used = max(0, self.used - 1)

    def beat(self, fate: str) -> None:
        self.seq += 1
        self.held = min(self.held, self.used)
        item = {"held": self.held, "keep": self.held, "waiting": 0, "most": MOST}
        parts = {"slots": {"seq": self.seq, "items": {"slots:b": item}}}
        answer = self.wire.call(self.name, fate, parts=parts)
        if answer is not None:
            self.held = int(answer["parts"]["slots"]["items"]["slots:b"]["held"])  # type: ignore[index]


class Money:
    """A process that spends as much as it is granted."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.wire, self.name = wire, name
        self.ceiling = self.spent = self.seq = 0
        self.joined = False

    def begin(self, fate: str) -> None:
        if not self.joined:
            return
        if self.ceiling < self.spent + COST:
            self.seq += 1
            asked = {
                "spent": str(self.spent),
                "held": str(self.spent),
                "ceiling": str(self.spent + COST),
                "limit": str(LIMIT),
                "want": str(2 * COST),
            }
            said = {
                "month": "2026-11",
                "owner": self.name,
                "seq": self.seq,
                "accounts": {"*": asked},
            }
            answer = self.wire.call(self.name, fate, takes=[["money", said]])
            if answer is None:
                return
            told = answer["takes"][0]["accounts"]["*"]  # type: ignore[index]
            self.ceiling = max(self.ceiling, int(told["ceiling"]))
        if self.ceiling >= self.spent + COST:
            self.spent += COST

    def end(self, fate: str) -> None:
        """Idle: what is left is given back."""
        self.ceiling = min(self.ceiling, self.spent)
        self.beat(fate)

    def beat(self, fate: str) -> None:
        self.seq += 1
        said: dict[str, object] = {"month": "2026-11", "owner": self.name, "seq": self.seq}
        if not self.joined:
            said |= {"join": True, "ledger": self.name, "boot": self.name}
        else:
            told = {
                "spent": str(self.spent),
                "held": str(self.spent),
                "keep": str(self.ceiling),
                "want": str(2 * COST),
                "step": str(COST),
                "limit": str(LIMIT),
            }
            said["accounts"] = {"*": told}
        answer = self.wire.call(self.name, fate, parts={"money": said})
        if answer is None:
            return
        found = answer["parts"]["money"]  # type: ignore[index]
        if "joined" in found:
            self.joined = True
        elif "accounts" in found:
            self.ceiling = int(found["accounts"]["*"]["ceiling"])


@_GIVEN
@given(steps=STEPS)
def test_no_more_slots_are_used_than_there_are_and_all_come_back(
    store: StoreServer, steps: list[tuple[int, str, str]]
) -> None:
    wire = Wire(store)
    processes = [Slots(wire, f"p{number}") for number in range(3)]
    for each in processes:
        each.beat("well")

    for number, act, fate in steps:
        getattr(processes[number], act)(fate)
        assert sum(each.used for each in processes) <= MOST

    for _ in range(3):
        for each in processes:
            each.used = 0
            each.beat("well")
    assert store.ask("HLEN", "{nexus:default}:slots:b") == "0"
    wire.close()


@_GIVEN
@given(steps=STEPS)
def test_no_more_is_spent_than_the_limit_and_one_estimate(
    store: StoreServer, steps: list[tuple[int, str, str]]
) -> None:
    wire = Wire(store)
    processes = [Money(wire, f"p{number}") for number in range(3)]
    for each in processes:
        each.beat("well")

    for number, act, fate in steps * 2:
        getattr(processes[number], act)(fate)
        assert sum(each.spent for each in processes) <= LIMIT + COST

    for each in processes:
        each.end("well")
    for each in processes:
        assert store.ask("HGET", "{nexus:default}:spent:2026-11:*", each.name) in (
            str(each.spent),
            "$-1" if each.spent == 0 else str(each.spent),
        )
    wire.close()
