"""The Lua program: whole, and known to the store by its digest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nexus_core.state.valkey.program import program
from tests.fleet.server import StoreServer, store_server


@pytest.fixture(scope="module")
def store() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server


def test_the_store_knows_it_by_this_digest(store: StoreServer) -> None:
    script = program()

    assert store.ask("SCRIPT", "LOAD", script.body.decode()) == script.sha1.decode()


def test_it_begins_with_what_is_common_and_ends_with_the_dispatch() -> None:
    body = program().body.decode()

    assert body.startswith("-- Run by the store for each call of a process")
    assert body.rstrip().endswith("return cjson.encode(answer)")
