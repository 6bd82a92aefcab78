"""A real store for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet.server import StoreServer, store_server


@pytest.fixture(scope="session")
def shared_store() -> Iterator[StoreServer]:
    """One server for tests that do it no harm."""
    with store_server() as server:
        yield server


@pytest.fixture
def store(shared_store: StoreServer) -> StoreServer:
    """An empty store."""
    shared_store.flush()
    return shared_store.known()


@pytest.fixture
def own_store() -> Iterator[StoreServer]:
    """A server that a test may kill."""
    with store_server() as server:
        yield server.known()
