"""Connections to a store: Sentinel, and the words for what went wrong."""

from __future__ import annotations

import time

import pytest

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.wire import Node, connected
from tests.fleet.cut import silent_port
from tests.fleet.server import StoreServer, free_port, store_server


async def test_a_sentinel_says_where_the_primary_is() -> None:
    with store_server(port=free_port()) as server:
        monitor = f"sentinel monitor ours 127.0.0.1 {server.port} 1\n"
        sentinel = StoreServer(server.directory, port=free_port(), sentinel=monitor)
        try:
            sentinel.start()
            config = FleetConfig(
                sentinels=("127.0.0.1:1", f"127.0.0.1:{sentinel.port}"), master="ours"
            )
            async with connected(config) as wire:
                assert wire.facts.run_id in server.ask("INFO", "server")
                assert wire.facts.eviction == "noeviction"
            other = config.model_copy(update={"master": "theirs"})
            with pytest.raises(StoreUnavailableError, match="theirs is not known to the sentinels"):
                async with connected(other):
                    pass
        finally:
            sentinel.kill()


async def test_a_try_that_nothing_answers_ends_while_others_wait_for_this_process() -> None:
    with silent_port() as port:
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="does not answer in time"):
            async with connected(FleetConfig(url=f"redis://127.0.0.1:{port}")):
                pass
        assert time.monotonic() - started < 0.9  # of the second for which all wait
        patient = f"redis://127.0.0.1:{port}?socket_connect_timeout=0.7"
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            async with connected(FleetConfig(url=patient)):
                pass
        assert time.monotonic() - started > 0.65


async def test_a_sentinel_that_is_gone_costs_time_once() -> None:
    with silent_port() as gone, store_server(port=free_port()) as server:
        monitor = f"sentinel monitor ours 127.0.0.1 {server.port} 1\n"
        sentinel = StoreServer(server.directory, port=free_port(), sentinel=monitor)
        try:
            sentinel.start()
            there = ("127.0.0.1", sentinel.port)
            config = FleetConfig(sentinels=tuple(f"127.0.0.1:{p}" for p in (gone, sentinel.port)))
            config = config.model_copy(update={"master": "ours"})
            nodes: list[Node] = []
            async with connected(config, nodes=nodes):
                assert nodes == [there]
            started = time.monotonic()
            async with connected(config, nodes=nodes):
                assert time.monotonic() - started < 0.35
        finally:
            sentinel.kill()


async def test_nobody_there_is_told_without_the_password() -> None:
    config = FleetConfig(url=f"redis://:hush@127.0.0.1:{free_port()}/0")

    with pytest.raises(StoreUnavailableError) as told:
        async with connected(config):
            pass

    assert "hush" not in str(told.value)
    assert "127.0.0.1" in str(told.value)


@pytest.mark.parametrize("option", ["max_connections=10", "decode_responses=true", "timeout=3"])
async def test_options_of_a_pool_in_a_url_do_no_harm(option: str) -> None:
    with store_server() as server:
        async with connected(FleetConfig(url=f"{server.url}?{option}")) as wire:
            assert wire.facts.run_id in server.ask("INFO", "server")


@pytest.mark.parametrize("option", ["db=x", "socket_timeout=soon", "color=hush"])
async def test_an_option_that_a_connection_does_not_have_is_told(option: str) -> None:
    with pytest.raises(StoreUnavailableError, match="an option in its URL") as told:
        async with connected(FleetConfig(url=f"redis://:hush@127.0.0.1:1/?{option}")):
            pass

    assert "hush" not in str(told.value)
