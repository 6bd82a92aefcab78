"""A cluster of real nodes: the node of the fleet's slot is found, also after it is another one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.wire import connected
from tests.fleet.server import StoreServer, free_port
from tests.state.valkey.processes import make, running, settings
from tests.waiting import until, wait_until

RUN = "{nexus:default}:run"


@contextmanager
def nodes(count: int) -> Iterator[list[StoreServer]]:
    """Nodes that know each other; they have no slots yet."""
    with ExitStack() as stack:
        started: list[StoreServer] = []
        for _ in range(count):
            # Each has a file of its own; its bus would listen at the port plus 10,000.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nx-")))
            options: tuple[str, ...] = (
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                str(free_port()),
            )
            options += ("--cluster-node-timeout", "2000", "--cluster-replica-validity-factor", "0")
            node = StoreServer(folder, *options, port=free_port())
            stack.callback(node.kill)
            started.append(node.start())
        first, *others = started
        for node in others:
            assert first.ask(*meeting(node)) == "OK"
        wait_until(lambda: all(f"cluster_known_nodes:{count}" in info(one) for one in started))
        yield started


def meeting(node: StoreServer) -> tuple[str, ...]:
    options = node.options
    bus = options[options.index("--cluster-port") + 1]
    return "CLUSTER", "MEET", "127.0.0.1", str(node.port), bus


def info(node: StoreServer) -> str:
    return node.ask("CLUSTER", "INFO")


async def test_the_node_of_the_fleets_slot_is_found() -> None:
    with nodes(1) as (only,):
        assert only.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == "OK"
        await until(lambda: "cluster_state:ok" in info(only))
        link = make(only.known().url, "box-1", cluster=True)
        async with running(link):
            assert link.live == 1


async def test_after_a_failover_by_hand_it_is_another_and_the_urls_node_may_be_gone() -> None:
    with nodes(3) as (first, second, spare):
        slot = int(first.ask("CLUSTER", "KEYSLOT", RUN))
        for node, begin, end in ((first, 0, slot), (second, slot + 1, 16383)):
            assert node.ask("CLUSTER", "ADDSLOTSRANGE", str(begin), str(end)) == "OK"
        assert spare.ask("CLUSTER", "REPLICATE", first.ask("CLUSTER", "MYID")) == "OK"
        await until(lambda: all("cluster_state:ok" in info(one) for one in (first, second, spare)))
        await until(lambda: "master_link_status:up" in spare.ask("INFO", "replication"))

        elsewhere = make(second.url, "box-2", cluster=True)
        link = make(first.known().url, "box-1", cluster=True)
        async with running(link, elsewhere):
            assert first.ask("EXISTS", RUN) == "1"
            assert spare.ask("CLUSTER", "FAILOVER") == "OK"
            await until(lambda: "role:master" in spare.ask("INFO", "replication"))
            await until(lambda: link.is_quarantined)  # it may not have all that the other was told
            await until(lambda: not link.is_quarantined and link.live == 2)

            first.kill()
            spare.ask("CLIENT", "KILL", "TYPE", "normal")
            beats, calls = link.beats, elsewhere.beats
            await until(lambda: link.beats > beats + 2 and elsewhere.beats > calls + 2)
            assert {one.replica for one in link.members} == {"box-1", "box-2"}


@pytest.mark.parametrize("options", [(), ("--cluster-enabled", "yes")], ids=["plain", "alone"])
async def test_where_the_urls_node_is_of_no_cluster_any_more_the_others_are_asked(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    with nodes(1) as (only,):
        assert only.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383") == "OK"
        await until(lambda: "cluster_state:ok" in info(only))
        left = StoreServer(tmp_path, *options, *bus(options), port=free_port()).start()
        try:
            config = settings(left.url, "box-1", cluster=True)
            assert only.port is not None
            known = [("127.0.0.1", 1), ("127.0.0.1", only.port)]  # nobody is at the first
            async with connected(config, nodes=known) as wire:
                assert await wire.ask("EXISTS", RUN) == 0
            assert known == [("127.0.0.1", only.port)]
            with pytest.raises(StoreUnavailableError, match=r"cluster support disabled|no node of"):
                async with connected(config, nodes=[]):
                    pass
        finally:
            left.kill()


def bus(options: tuple[str, ...]) -> tuple[str, ...]:
    return ("--cluster-port", str(free_port())) if options else ()
