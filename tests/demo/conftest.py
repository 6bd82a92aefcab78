from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _collect_what_a_cancelled_connect_leaves() -> Iterator[None]:
    """A connect that is cancelled as it succeeds leaves its socket to the garbage collector.

    asyncio's doing, and harmless; collected here, so that the warning does not fail a later test.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
