"""A promoted store whose clock is another one: a limit holds, and waits stay true."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from nexus_core.state.leases.rates import WINDOW_SECONDS
from tests.fleet.clocks import wrong_clock
from tests.fleet.cut import cut_before
from tests.fleet.server import StoreServer, free_port
from tests.state.leases.processes import process
from tests.state.leases.test_rates import begin
from tests.state.valkey.processes import running
from tests.waiting import until

LIMIT = 60


@pytest.mark.slow_fleet
@pytest.mark.parametrize("ahead", [30.0, -30.0])
async def test_a_rate_holds_and_waits_stay_true(ahead: float) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nx-")))

        def started(server: StoreServer) -> StoreServer:
            stack.callback(server.kill)
            return server.start()

        primary = started(StoreServer(folder, port=free_port())).known()
        follows = ("--replicaof", f"127.0.0.1 {primary.port}")
        environ = wrong_clock(ahead)
        other = started(StoreServer(folder, *follows, port=free_port(), environ=environ))
        await until(lambda: "master_link_status:up" in other.ask("INFO", "replication"))
        assert primary.port is not None
        async with cut_before(primary.port) as cut:
            processes = [process(cut.url, f"box-{number}") for number in range(2)]
            rates = [one.rates.share("rpm laptop", LIMIT) for one in processes]
            async with running(*(one.link for one in processes)):
                began, let_in, waits = time.monotonic(), 0, list[float]()

                async def use_up() -> None:
                    nonlocal let_in
                    for one, rate in zip(processes, rates, strict=True):
                        while not (wait := await begin(one, rate)):
                            let_in += 1
                        waits.append(wait)

                await use_up()
                await asyncio.gather(*(one.beat() for one in processes))
                assert other.ask("REPLICAOF", "NO", "ONE") == "OK"
                cut._target = other.port or 0
                primary.kill()
                cut.cut()
                await until(lambda: all(one.link.is_quarantined for one in processes))
                await until(lambda: not any(one.link.is_quarantined for one in processes))
                waits.clear()
                await use_up()

                elapsed = time.monotonic() - began
                assert let_in <= LIMIT + LIMIT * elapsed / WINDOW_SECONDS + LIMIT / 4
                assert let_in >= LIMIT
                assert 0 < max(waits) <= 2
