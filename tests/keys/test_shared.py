"""Created keys of several Nexuses: when a change is heard of, and what holds in doubt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nexus_core.keys import changes
from nexus_core.keys import shared as shared_module
from nexus_core.keys.database import DatabaseKeys
from nexus_core.keys.held import HeldKey
from nexus_core.keys.shared import TRUSTED_SECONDS, SharedKeys
from nexus_core.state.base import BeatPart, Member
from nexus_core.types import JsonObject
from tests.database.server import Place, own_server
from tests.waiting import until

AT = 1_800_000_000.0


class FakeLink:
    """A link of which a test says what it hears."""

    process, replica, live, restores, is_understood = "p", "box-1", 2, False, True
    members: tuple[Member, ...] = ()

    def __init__(self) -> None:
        self.alone_since: float | None = None
        self.parts: list[BeatPart] = []
        self.hurried = 0

    def add(self, part: BeatPart) -> None:
        self.parts.append(part)

    async def take(self, part: str, question: JsonObject) -> JsonObject:
        raise AssertionError

    def hurry(self) -> None:
        self.hurried += 1


@asynccontextmanager
async def running(
    database: Place, link: FakeLink | None = None, mark: Path | None = None
) -> AsyncIterator[SharedKeys]:
    keys = SharedKeys(database.storage(), lambda: AT, time.monotonic_ns, lambda _: None, mark=mark)
    if link is not None:
        keys.join(link)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(keys.run())
        try:
            yield keys
        finally:
            watching.cancel()


async def change(database: Place, make: Callable[[DatabaseKeys], changes.Issued | object]) -> str:
    """What another Nexus changes; the secret, if there is one."""
    store = DatabaseKeys(database.storage())
    done = await asyncio.to_thread(make, store)
    store.close()
    return done.secret if isinstance(done, changes.Issued) else ""


def opens(keys: SharedKeys, secret: str) -> bool:
    return keys.table is not None and keys.table.find(secret.encode()) is not None


async def test_keys_are_known_from_the_first_moment_and_changes_within_a_second(
    database: Place,
) -> None:
    secret = await change(database, lambda store: changes.create(store, "laptop", {}, AT, ()))

    async with running(database) as keys:
        assert opens(keys, secret)
        other = await change(database, lambda store: changes.create(store, "phone", {}, AT, ()))
        await until(lambda: opens(keys, other), 5)
        await change(database, lambda store: changes.revoke(store, "laptop", AT))
        await until(lambda: not opens(keys, secret), 5)

        assert opens(keys, other)


async def test_a_change_is_heard_of_by_the_beat_and_told_by_it(
    database: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_module, "LOOK_SECONDS", 60.0)
    secret = await change(database, lambda store: changes.create(store, "laptop", {}, AT, ()))
    link = FakeLink()
    async with running(database, link) as keys:
        assert link.parts == [keys]
        before = keys.version
        assert keys.report() == {"version": before}
        await change(database, lambda store: changes.revoke(store, "laptop", AT))

        keys.accept({"version": before}, 0.0)
        keys.accept({"version": before + 1}, 0.0)
        await until(lambda: not opens(keys, secret), 5)

        assert keys.report() == {"version": before + 1}
        assert link.hurried == 1


async def test_without_a_key_nobody_needs_one_and_after_the_first_all_do(database: Place) -> None:
    async with running(database) as keys:
        assert keys.table is None
        await change(database, lambda store: changes.create(store, "laptop", {}, AT, ()))
        await until(lambda: keys.table is not None, 5)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_module, "LOOK_SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
async def test_a_start_without_postgresql_opens_no_door_that_a_key_had_closed(
    tmp_path: Path,
) -> None:
    with own_server() as server:
        database, mark = server.new_database(), tmp_path / "keys.seen"
        secret = await change(database, lambda store: changes.create(store, "laptop", {}, AT, ()))
        async with running(database, mark=mark):
            assert mark.stat().st_mode & 0o777 == 0o600
        server.stop()
        async with running(database, mark=mark) as keys:
            assert keys.table is not None
            assert not opens(keys, secret)
            assert (keys.table.problem or "").startswith("client keys: PostgreSQL (")
            server.start()
            await until(lambda: opens(keys, secret))


@pytest.mark.usefixtures("quick")
async def test_where_no_key_was_made_nobody_needs_one_through_outages(tmp_path: Path) -> None:
    with own_server() as server:
        database, mark = server.new_database(), tmp_path / "keys.seen"
        async with running(database, mark=mark) as keys:
            assert keys.table is None
            server.stop()
            await until(lambda: keys.parts()[1].problem is not None)
            assert keys.table is None
        async with running(database, mark=mark) as keys:
            assert (keys.table, keys.parts()[1].problem is None) == (None, False)
            server.start()
            await until(lambda: keys.parts()[1].problem is None)
            assert keys.table is None
        assert not mark.exists()


@pytest.mark.usefixtures("quick")
async def test_known_keys_hold_while_postgresql_is_down_for_all() -> None:
    with own_server() as server:
        database, link = server.new_database(), FakeLink()
        secret = await change(database, lambda store: changes.create(store, "laptop", {}, AT, ()))
        async with running(database, link) as keys:
            keys._monotonic = lambda: time.monotonic() + 2 * TRUSTED_SECONDS
            server.stop()
            assert keys.table is not None
            await until(lambda: keys.table is not None and keys.table.problem is not None)
            await keys.refresh()

            assert opens(keys, secret)


@pytest.mark.usefixtures("quick")
async def test_a_worker_that_starts_without_postgresql_goes_by_what_another_one_knows() -> None:
    with own_server() as server:
        database, link = server.new_database(), FakeLink()
        secret = await change(database, lambda store: changes.create(store, "laptop", {}, AT, ()))
        async with running(database, link) as keys, running(database) as reading:
            server.stop()
            await keys.refresh()
            known = keys.known()
            assert known is not None
            assert known == (keys.version, tuple(one.stored for one in known_of(keys)))
            async with running(database) as other:
                assert other.known() is None
                other.adopt(known)
                assert opens(other, secret)
                assert other.version == keys.version
                assert other.parts()[1].problem is not None  # it goes on looking
                await other.refresh()
                assert opens(other, secret)
            reading.adopt((known[0], ()))
            assert opens(reading, secret)  # what it read itself is as good

            link.alone_since = AT
            await keys.refresh()
            assert keys.known() is None  # it has its own doubts


def known_of(keys: SharedKeys) -> tuple[HeldKey, ...]:
    assert keys.table is not None
    return keys.table.keys


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("hears", [False, True], ids=["alone", "of a change"])
async def test_nobody_s_keys_hold_for_longer_than_a_minute(*, hears: bool) -> None:
    with own_server() as server:
        database, link = server.new_database(), FakeLink()
        secret = await change(database, lambda store: changes.create(store, "laptop", {}, AT, ()))
        async with running(database, link) as keys:
            seconds = 0.0
            keys._monotonic = lambda: seconds
            if hears:
                keys._newest = keys.version + 1
            else:
                link.alone_since = AT
            server.stop()
            await until(lambda: keys._doubted_since is not None)
            seconds = TRUSTED_SECONDS - 1
            await keys.refresh()
            assert opens(keys, secret)
            seconds = TRUSTED_SECONDS
            await keys.refresh()
            assert not opens(keys, secret)
            assert keys.table is not None  # and who has no key is not let in either

            server.start()
            await until(lambda: opens(keys, secret))


def test_a_file_of_before_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shared_module.warn_of_file(tmp_path / "keys.db")
    shared_module.warn_of_file(None)
    assert caplog.text == ""
    (tmp_path / "keys.db").touch()

    shared_module.warn_of_file(tmp_path / "keys.db")

    assert f"those in {tmp_path / 'keys.db'} are not used" in caplog.text
