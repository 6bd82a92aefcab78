import asyncio

from nexus_core.errors import NexusError
from nexus_tui.sources.client_keys import ClientKey, KeyList
from nexus_tui.sources.local import LocalSource
from nexus_tui.view.keys.watch import KeyWatch
from tests.tui.fleet import make_source
from tests.waiting import until


class _Asked(LocalSource):
    answers: list[KeyList | NexusError]

    async def client_keys(self) -> KeyList:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, NexusError):
            raise answer
        return answer


def _source(*answers: KeyList | NexusError) -> _Asked:
    plain, gateway = make_source(plays=False)
    plain.close()
    source = _Asked(gateway)
    source.answers = list(answers)
    return source


async def test_what_was_known_stays_when_nobody_can_say() -> None:
    keys = (ClientKey(name="laptop", state="active"),)
    source, watch = _source(KeyList(keys), NexusError("link lost")), KeyWatch()
    assert watch.names == []

    await watch.read(source)
    await watch.read(source)

    assert (watch.keys, watch.problem) == (keys, "link lost")
    assert watch.names == ["laptop"]


async def test_it_asks_again_at_once_when_they_changed() -> None:
    painted = list[int]()
    source, watch = _source(KeyList()), KeyWatch()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.keep(source, lambda: painted.append(1)))
        watch.look(is_open=True)
        await until(lambda: len(painted) == 1)
        watch.changed()
        await until(lambda: len(painted) == 2)
        task.cancel()
    assert len(painted) == 2
