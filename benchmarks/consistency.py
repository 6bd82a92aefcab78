"""Whether nothing is lost under load: ledger, statistics and budget after many mixed requests.

Cloud and local, whole and streamed, translated ones, failovers, streams that break, clients that
leave before the answer or within it, and requests that are refused; 16 at once, over sockets.
Afterwards each request that was let in has one row, all three sums agree to the nano-dollar, what
was reported costs what its tokens cost, and nothing is in flight or reserved.
Run: python benchmarks/consistency.py [requests]
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.loads import as_request
from benchmarks.mixed_backend import KINDS, PRICE, Backend, price
from nexus_core.api.listen.server import bind, serve
from nexus_core.catalog import BackendType
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    HealthCheckConfig,
    StorageConfig,
)
from nexus_core.gateway import Gateway
from nexus_core.money.ledger_queries import read_ledger
from nexus_core.types import PrivacyZone
from nexus_tui.process.loop import loop_factory

REQUESTS = 50_000
AT_ONCE = 16
_MODELS = {"leaves early": "cloud", "leaves": "cloud", "breaks": "cloud"}  # of other kinds
_ID = re.compile(rb"x-nexus-request-id: *(\w+)", re.IGNORECASE)


@dataclass
class Told:
    """What the clients know afterwards."""

    sent: int = 0
    refused: int = 0  # before they were let in: no row is theirs
    ids: list[str] = field(default_factory=list)  # of answers, whole or begun
    paid: dict[str, int] = field(default_factory=dict)  # nano-dollars of whole cloud answers, by id
    statuses: Counter[int] = field(default_factory=Counter)


# --- the clients ----------------------------------------------------------------------------------


@dataclass
class Client:
    """One of those at once: a connection for as long as it lasts."""

    port: int
    backend: Backend
    told: Told
    _wire: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, number: int) -> None:
        kind, is_stream = KINDS[number % len(KINDS)]
        content = f"number {number} of {kind}!"
        asked = {
            "model": _MODELS.get(kind, kind),
            "messages": [{"role": "user", "content": content}] if kind != "invalid" else content,
            "stream": is_stream,
        }
        body = json.dumps(asked).encode()
        reader, writer = self._wire = self._wire or await asyncio.open_connection(
            "127.0.0.1", self.port
        )
        self.told.sent += 1
        if kind == "leaves early":
            came = self.backend.waiting[number] = asyncio.Event()
            writer.write(as_request(body))
            await came.wait()
            self.leave()
            return
        writer.write(as_request(body))
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        found = _ID.search(answer)
        assert found, answer
        name = found[1].decode()
        self.told.statuses[status] += 1
        if kind == "leaves" and status == 200:
            self.told.ids.append(name)
            await reader.readuntil(b"hello")
            self.leave()
            return
        is_whole = await self._read_body(reader, answer)
        if status == 400:
            self.told.refused += 1
            return
        self.told.ids.append(name)
        if status == 200 and is_whole and kind != "local":
            self.told.paid[name] = price(number)

    async def _read_body(self, reader: asyncio.StreamReader, head: bytes) -> bool:
        """Whether the answer was whole."""
        lower = head.lower()
        if b"content-length:" in lower:
            length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            return True
        body = b""
        try:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        except asyncio.IncompleteReadError:
            self.leave()
            return False
        return b"[DONE]" in body

    def leave(self) -> None:
        if self._wire is not None:
            self._wire[1].close()
        self._wire = None


# --- the gateway, and what it knows afterwards ----------------------------------------------------


def _config(url: str, folder: Path) -> Config:
    def backend(
        name: str, kind: BackendType, model: str, path: str = "", priority: int = 50
    ) -> BackendConfig:
        is_local = kind is BackendType.VLLM
        return BackendConfig(
            name=name,
            url=url + path,
            type=kind,
            zone=PrivacyZone.RESTRICTED if is_local else PrivacyZone.OPEN,
            priority=priority,
            models={model: model},
            api_key=None if is_local else "sk-none-0123456789",
        )

    models = {"cloud": PRICE, "claude": PRICE, "gemini": PRICE, "shaky": PRICE}
    return Config(
        health_check=HealthCheckConfig(enabled=False),
        storage=StorageConfig(path=str(folder / "ledger.db")),
        pricing=dict.fromkeys(("openai", "anthropic", "google"), models),
        backends=(
            backend("cloud", BackendType.OPENAI, "cloud"),
            backend("claude", BackendType.ANTHROPIC, "claude"),
            backend("gemini", BackendType.GOOGLE, "gemini"),
            backend("local", BackendType.VLLM, "local"),
            backend("shaky", BackendType.OPENAI, "shaky", "/shaky", 90),
            backend("steady", BackendType.OPENAI, "shaky"),
        ),
    )


@dataclass(frozen=True, slots=True)
class Books:
    """What the gateway's three accounts say once everything is over."""

    rows: int
    distinct: int
    ledger_nano_usd: int
    stats_nano_usd: int
    budget_nano_usd: int
    reserved_nano_usd: int
    in_flight: int  # by any of those who count them
    unknown: frozenset[str]  # answers that clients have, and the ledger has not
    mispriced: dict[str, tuple[int | None, int]]  # by id: the ledger's cost, and the right one
    failovers: int
    left: int  # clients

    def faults(self, told: Told) -> list[str]:
        """In words; none if all is well."""
        let_in = told.sent - told.refused
        sums = {self.ledger_nano_usd, self.stats_nano_usd, self.budget_nano_usd}
        found = {
            f"{let_in} requests were let in, the ledger has {self.rows}": self.rows != let_in,
            f"{self.rows - self.distinct} rows have an id twice": self.rows != self.distinct,
            f"ledger, statistics and budget differ: {sorted(sums)}": len(sums) > 1,
            f"{self.reserved_nano_usd} nano-dollars stay reserved": self.reserved_nano_usd != 0,
            f"{self.in_flight} stay in flight": self.in_flight != 0,
            f"{len(self.unknown)} answers are in no row": bool(self.unknown),
            f"{len(self.mispriced)} costs are wrong": bool(self.mispriced),
            f"an answer's id came twice of {len(told.ids)}": len(told.ids) != len(set(told.ids)),
        }
        return [words for words, is_so in found.items() if is_so]


@asynccontextmanager
async def _serving(config: Config) -> AsyncGenerator[tuple[Gateway, int]]:
    gateway = Gateway(config)
    listener = bind("127.0.0.1", 0)
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(gateway, listener, stop=stop, ready=ready))
        await ready.wait()
        try:
            await gateway.cost_tracker.ready(wants_prices=True)
            yield gateway, listener.getsockname()[1]
        finally:
            stop.set()


async def many_requests(requests: int, folder: Path) -> tuple[Books, Told]:
    """Make so many of all kinds; what the gateway's books and the clients say of them."""
    backend, told = Backend(), Told()
    upstream = await asyncio.start_server(backend.serve, "127.0.0.1", 0, backlog=1024)
    numbers = iter(range(requests))

    async def work(client: Client) -> None:
        for number in numbers:
            await client.ask(number)
        client.leave()

    async with upstream:
        url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
        async with _serving(_config(url, folder)) as (gateway, port):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(AT_ONCE):
                    tasks.create_task(work(Client(port, backend, told)))
            await gateway.forwarder.idle()
    return _books(gateway, folder, told), told


def _books(gateway: Gateway, folder: Path, told: Told) -> Books:
    with read_ledger(folder / "ledger.db") as connection:
        found = dict(connection.execute("SELECT request_id, cost_nano_usd FROM requests"))
        rows, total = connection.execute(
            "SELECT count(*), sum(cost_nano_usd) FROM requests"
        ).fetchone()
    budget = gateway.cost_tracker.budget
    return Books(
        rows=rows,
        distinct=len(found),
        ledger_nano_usd=total,
        stats_nano_usd=gateway.stats.cost_nano_usd,
        budget_nano_usd=budget.spent_nano_usd,
        reserved_nano_usd=budget.reserved_nano_usd,
        in_flight=gateway.forwarder.in_flight
        + gateway.stats.in_flight
        + gateway.queued
        + sum(backend.in_flight for backend in gateway.registry.snapshots()),
        unknown=frozenset(told.ids) - found.keys(),
        mispriced={
            name: (found.get(name), right)
            for name, right in told.paid.items()
            if found.get(name) != right
        },
        failovers=gateway.stats.failovers,
        left=gateway.stats.client_left,
    )


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS
    logging.getLogger().addHandler(logging.NullHandler())
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        books, told = runner.run(many_requests(requests, Path(folder)))
    faults = books.faults(told)
    print(
        f"{told.sent:,} requests in {time.perf_counter() - began:.0f} s, {told.refused:,} refused; "
        f"{books.rows:,} rows; {books.ledger_nano_usd:,} nano-dollars in ledger, "
        f"{books.stats_nano_usd:,} in statistics, {books.budget_nano_usd:,} in the budget"
    )
    print(
        f"statuses: {dict(sorted(told.statuses.items()))}; {len(told.paid):,} costs compared; "
        f"{books.failovers:,} failovers; {books.left:,} clients left"
    )
    print("\n".join(faults) or "all agree; nothing is in flight or reserved")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
