"""For every test: nothing is read from or written to the developer's own folders."""

from __future__ import annotations

import os
import signal
import ssl
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import settings

from tests import examples, forked

settings.load_profile(examples.USUAL)


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, home)
        yield


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_works() -> Iterator[None]:
    """A shell that runs the tests in the background has SIGINT ignored, by their children too."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def _certificates_are_read_once() -> Iterator[None]:
    """Each client of httpx reads those of the machine anew, which takes longer than most tests."""
    room: Any = httpx._transports.default
    create = room.create_ssl_context

    @cache
    def usual(*_environment: str | None) -> ssl.SSLContext:
        made: ssl.SSLContext = create()
        return made

    def made_once(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is True and cert is None and trust_env:
            return usual(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        made: ssl.SSLContext = create(verify=verify, cert=cert, trust_env=trust_env)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "create_ssl_context", made_once)
        yield


@pytest.fixture(autouse=True, scope="session")
def _nothing_outlives_the_tests() -> Iterator[None]:
    yield
    forked.end()
