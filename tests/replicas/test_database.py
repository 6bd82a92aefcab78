"""A fleet with PostgreSQL: its keys, its costs, and every row once through outages and kills."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.database.server import Place
from tests.fleet.cut import cut_before, silent_port
from tests.fleet.replica import Replica, backend, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.replicas.test_alone import late
from tests.replicas.test_shared_money import BODY, CONFIG, COST_USD, spend_the_rest
from tests.waiting import until

ADMIN = {"Authorization": "Bearer root"}
STORAGE = '[storage]\npath = "nexus.db"\nurl_env = "THE_DATABASE"\n'
_COUNT = "SELECT count(*), count(DISTINCT request_id) FROM nexus.requests"


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server.known()


@pytest.fixture
async def local() -> AsyncIterator[Upstream]:
    async with upstream() as serving:
        yield serving


async def post(replica: Replica, path: str, body: object) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10, headers=ADMIN) as http:
        return await http.post(f"{replica.url}{path}", json=body)


async def status(replica: Replica, secret: str) -> int:
    return (await replica.ask("m", Authorization=f"Bearer {secret}")).status_code


async def seconds_until(replica: Replica, secret: str, wanted: int) -> float:
    began = time.monotonic()

    async def holds() -> bool:
        return await status(replica, secret) == wanted

    await until(holds)
    return time.monotonic() - began


async def test_a_database_that_does_not_answer_holds_a_start_up_for_a_moment_only(
    tmp_path: Path, store: StoreServer, local: Upstream, database: Place
) -> None:
    config = backend("local", local.url) + STORAGE
    own = {"Authorization": "Bearer the-laptops-own-key"}
    with silent_port() as port:
        more = {
            "THE_DATABASE": database.url_at(port),
            "NEXUS_API_KEYS": "laptop:the-laptops-own-key",
        }
        began = time.monotonic()
        with replicas(tmp_path, config, {"box-1": store.url}, **more) as (one,):
            await one.ready()
            ready = time.monotonic()
            assert (await one.ask("m", **own)).status_code == 200
            answered = time.monotonic()

            assert answered - ready < 2.5  # with libpq's own limit it is 3 s
            assert answered - began < 5.5  # and 6 s
            assert one.log.count("no connection within 1 s") >= 1
            rows = tmp_path / "box-1" / "nexus.db"
            await until(lambda: _rows(rows) == 1)  # where it waits


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as ledger:
        found: tuple[int] = ledger.execute("SELECT count(*) FROM requests").fetchone()
        return found[0]


async def test_a_key_made_and_revoked_at_one_replica_is_so_at_the_other(
    tmp_path: Path, store: StoreServer, local: Upstream, database: Place
) -> None:
    async with cut_before(store.socket) as cut:
        urls = {"box-1": store.url, "box-2": cut.url}
        config = backend("local", local.url) + STORAGE
        more = {"THE_DATABASE": database.url, "NEXUS_ADMIN_KEY": "root"}
        with replicas(tmp_path, config, urls, **more) as (one, two):
            await asyncio.gather(one.ready(), two.ready())
            first = (await post(one, "/nexus/keys", {"name": "first"})).json()["secret"]
            second = (await post(two, "/nexus/keys", {"name": "second"})).json()["secret"]
            known = [await seconds_until(two, first, 200), await seconds_until(one, second, 200)]
            async with late() as lateness:
                assert (await post(one, "/nexus/keys/first/revoke", {})).status_code == 200
                revoked = await seconds_until(two, first, 401)
            assert await status(two, second) == 200

            cut.refuses = True
            cut.cut()
            await until(lambda: _is_alone(two))
            assert await status(two, second) == 200
            assert (await post(one, "/nexus/keys/second/revoke", {})).status_code == 200
            alone = await seconds_until(two, second, 401)

    assert revoked < 0.3 + max(lateness), (revoked, lateness)
    assert max(known) < 0.8, known  # who knows the database alone would need a second
    assert alone < 5  # by PostgreSQL, which is looked at once a second


async def _is_alone(replica: Replica) -> bool:
    return bool((await replica.get("/health"))["alone"])


async def test_costs_of_both_replicas_are_told_by_each(
    tmp_path: Path, store: StoreServer, local: Upstream, database: Place
) -> None:
    urls = {"box-1": store.url, "box-2": store.url}
    config = backend("local", local.url) + STORAGE
    with replicas(tmp_path, config, urls, THE_DATABASE=database.url) as both:
        await asyncio.gather(*(one.ready() for one in both))
        for replica, count in zip(both, (2, 3), strict=True):
            for _ in range(count):
                assert (await replica.ask()).status_code == 200

        async def all_are_told() -> bool:
            told = [await one.get("/nexus/costs?by=model") for one in both]
            return [(one["scope"], one["total"]["requests"]) for one in told] == [("fleet", 5)] * 2

        await until(all_are_told)

    by_replica = "SELECT replica, count(*) FROM nexus.requests GROUP BY 1 ORDER BY 1"
    assert database.ask(by_replica) == [("box-1", 2), ("box-2", 3)]


async def test_what_the_store_lost_of_dead_replicas_is_known_by_the_database(
    tmp_path: Path, store: StoreServer, local: Upstream, database: Place
) -> None:
    config = CONFIG.format(url=local.url, limit=0.05) + STORAGE
    more = {"THE_DATABASE": database.url, "CLOUD_KEY": "k"}
    with replicas(tmp_path, config, {"box-1": store.url}, **more) as (one,):
        await one.ready()
        for _ in range(3):
            assert await _buys(one)
        await until(lambda: database.ask(_COUNT) == [(3, 3)], 10)
        one.kill()
        store.flush()

        with replicas(tmp_path, config, {"box-2": store.url}, **more) as (two,):
            await two.ready()
            await until(lambda: _spent(two, 3), 10)
            await until(lambda: _buys(two))  # nothing is granted for a second

            # It returns, with a ledger that is in the database as well: nothing counts twice.
            store.flush()
            await one.start()
            served = len(local.arrived)
            for replica in (one, two):
                await until(partial(_spent, replica, served), 10)
            await spend_the_rest([one, two])
            assert len(local.arrived) in (5, 6)  # one may pass the limit


async def _buys(replica: Replica) -> bool:
    return (await replica.post("/v1/chat/completions", BODY)).status_code == 200


async def _spent(replica: Replica, requests: int) -> bool:
    told = (await replica.get("/v1/stats"))["budget"]["spent_usd"]
    return told is not None and round(float(told), 6) == round(COST_USD * requests, 6)


@pytest.mark.parametrize(
    ("seconds", "kills"), [(1.0, 1), pytest.param(30.0, 6, marks=pytest.mark.slow_fleet)]
)
async def test_no_row_is_lost_or_doubled_by_an_outage_and_kills(
    tmp_path: Path,
    store: StoreServer,
    local: Upstream,
    database: Place,
    seconds: float,
    kills: int,
) -> None:
    config, served = backend("local", local.url) + STORAGE, 0
    async with cut_before(database.server.port) as cut:
        url = database.url_at(int(cut.url.rpartition(":")[2]))
        with replicas(tmp_path, config, {"box-1": store.url}, THE_DATABASE=url) as (one,):
            await one.ready()
            for number in range(kills + 1):
                ends = time.monotonic() + seconds / kills
                while time.monotonic() < ends:
                    assert (await one.ask()).status_code == 200
                    served += 1
                await recorded(tmp_path / "box-1" / "nexus.db", served)
                if number == 0:  # some rows are there, some on the way
                    cut.refuses = True
                    cut.cut()
                else:
                    one.kill()
                    await one.start()
            await until(lambda: waits(one))
            cut.refuses = False
            await until(lambda: database.ask(_COUNT) == [(served, served)], 40)
            assert one.stop() == 0

    assert len(local.arrived) == served


async def waits(replica: Replica) -> bool:
    return bool((await replica.get("/health"))["ledger"]["waiting"])


async def recorded(path: Path, rows: int) -> None:
    """Wait until the file has so many rows: those of the last half second a kill may take."""

    def there() -> bool:
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT count(*) FROM requests").fetchone()
        return bool(found == (rows,))

    await until(there)
