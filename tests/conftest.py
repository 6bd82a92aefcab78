"""For every test: nothing is read from or written to the developer's own folders."""

from __future__ import annotations

import gc
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from nexus_core.known_secrets import SECRETS
from tests import examples, forked

if TYPE_CHECKING:
    from tests.database.server import Place

settings.load_profile(examples.USUAL)


def pytest_collection_finish() -> None:
    """What was imported by now stays: the garbage collector need not walk it again and again."""
    gc.collect()
    gc.freeze()


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
    """Each HTTP client reads those of the machine anew, which takes longer than most tests.

    The vendors' SDKs bring httpx under another name.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("httpx", "httpx2"):
            if find_spec(name) is not None:
                room = import_module(f"{name}._transports.default")
                patch.setattr(room, "create_ssl_context", _made_once(room.create_ssl_context))
        yield


def _made_once(create: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    @cache
    def usual(*_environment: str | None) -> ssl.SSLContext:
        return create()

    def made(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is True and cert is None and trust_env:
            return usual(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        return create(verify=verify, cert=cert, trust_env=trust_env)

    return made


@pytest.fixture(autouse=True)
def _secrets_are_those_of_one_test() -> Iterator[None]:
    """They are of a process: without this a key of one test would be cut out in the next."""
    yield
    if SECRETS.is_any:
        SECRETS.forget()


@pytest.fixture(autouse=True, scope="session")
def _nothing_outlives_the_tests() -> Iterator[None]:
    yield
    forked.end()


@pytest.fixture
def database() -> Place:
    """An empty database of a real PostgreSQL, which is started when it is first asked for."""
    from tests.database.server import server

    return server().new_database()
