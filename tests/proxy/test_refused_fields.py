"""What a backend cannot do: a 422, or the next one."""

from __future__ import annotations

from nexus_core.dialects.request import Request
from nexus_core.errors import UnsupportedFieldsError
from nexus_core.providers.base import Call
from tests.proxy.test_forward import ScriptedAgent, World, whole


class Picky(ScriptedAgent):
    """Can't do what a field asks for."""

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        raise UnsupportedFieldsError({"n": "one answer at a time"})


async def test_a_field_that_can_not_be_done_is_a_422() -> None:
    world = World(Picky("a"), ScriptedAgent("b", whole()))

    reply = await world.ask()

    assert reply.status == 422
    _, finished = world.finished()
    assert not finished.failed
    assert finished.usage is None


async def test_after_a_failure_who_can_not_do_it_is_passed_over() -> None:
    world = World(ScriptedAgent("a", whole(status=500)), Picky("b"), ScriptedAgent("c", whole()))

    reply = await world.ask()

    assert reply.status == 200
    _, finished = world.finished()
    assert finished.backend == "c"
    assert [attempt.backend for attempt in finished.attempts] == ["a", "b"]


async def test_the_failure_that_passes_on_is_told_with_its_own_backend() -> None:
    world = World(ScriptedAgent("a", whole(status=500)), Picky("b"))

    reply = await world.ask()

    assert reply.status == 500
    assert reply.selected is not None
    assert reply.selected.backend.name == "a"
