"""A real store for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet.server import StoreServer, store_server


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server.known()
