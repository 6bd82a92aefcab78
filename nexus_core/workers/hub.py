"""The supervisor's socket: what a worker is asked about all of them, it passes on to here."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from nexus_core.api.admin.logs import read_logs
from nexus_core.api.asgi.body import read_body
from nexus_core.api.asgi.messages import (
    ClientLeftError,
    Incoming,
    Receive,
    Scope,
    Send,
    send_whole,
)
from nexus_core.api.errors import JSON_TYPE
from nexus_core.api.listen.server import Server, http_config
from nexus_core.background import in_background, load_in_background
from nexus_core.control.actions import CAPACITY as ACTIONS
from nexus_core.dialects.inbound import dialect_of
from nexus_core.errors import NexusError
from nexus_core.fleet.snapshot_json import read_snapshot
from nexus_core.observe.log_ring import CAPACITY as LOG_LINES
from nexus_core.observe.log_ring import LogRing
from nexus_core.observe.requests import CAPACITY as REQUESTS
from nexus_core.types import JsonObject
from nexus_core.worker import listen_at
from nexus_core.workers.backends import sum_backends
from nexus_core.workers.commands import Commands, Passed
from nexus_core.workers.events import Events
from nexus_core.workers.keys import sum_keys
from nexus_core.workers.numbers import sum_states
from nexus_core.workers.records import Logs, actions, requests
from nexus_core.workers.roster import Roster
from nexus_core.workers.sibling import SilentError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

_MAX_BODY_BYTES = 1024 * 1024 * 1024  # the worker that passed it on has looked


class _MalformedError(Exception):
    """A query's value is none that a worker would take."""


class NoWorkerError(NexusError):
    """No worker answers at the moment."""

    status = 503
    code = "workers_unreachable"


class Hub:
    """The ASGI application behind the supervisor's socket."""

    def __init__(self, folder: Path, ring: LogRing) -> None:
        self.roster = Roster(folder)
        self.commands = Commands(self.roster)
        self._logs = Logs(self.roster, ring)
        self._events = Events(self.roster, self._logs)
        self._told_before: list[Metric] = []  # by workers that are gone
        self._answers: dict[str, Callable[[dict[str, str]], Awaitable[Passed]]] = {
            "/metrics": self._metrics,
            "/v1/stats": self._stats,
            "/nexus/state": self._state,
            "/nexus/requests": self._requests,
            "/nexus/logs": self._log_lines,
            "/nexus/actions": self._actions,
            "/nexus/keys": self._keys,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._serve(scope, Incoming(receive), send)
        except ClientLeftError:
            return
        except NexusError as error:
            await _refuse(send, scope, error)
        except (SilentError, IndexError):
            await _refuse(send, scope, NoWorkerError("no worker answers at the moment; try again"))

    async def _serve(self, scope: Scope, incoming: Incoming, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        query = scope["query_string"].decode("latin-1")
        body = await read_body(scope, incoming, _MAX_BODY_BYTES)
        if method == "GET" and path == "/nexus/events":
            await self._events.serve(scope, incoming.receive, send)
            return
        answer = self._answers.get(path) if method == "GET" else None
        if answer is None:
            target = scope["raw_path"].decode("latin-1").partition("?")[0]
            target = f"{target}?{query}" if query else target
            passed = await self.commands.pass_on(method, target, scope["headers"], body)
        else:
            try:
                passed = await answer(dict(parse_qsl(query, keep_blank_values=True)))
            except _MalformedError:  # a worker says what is wrong, as it does alone
                target = f"{path}?{query}"
                passed = await self.commands.pass_on(method, target, scope["headers"], body)
        await send_whole(send, passed.status, passed.headers, passed.body)

    # What is read of all ----------------------------------------------------------------------

    async def _metrics(self, _: dict[str, str]) -> Passed:
        told = await self.roster.each(lambda one: one.text("/metrics"))
        # What was told once is kept: so it is asked for after the metrics, and never before.
        counted = await self.roster.each(lambda one: one.state())
        present = [sibling for sibling, _ in counted]
        states = [state for _, state in counted]
        texts = [(one.number, text) for one, text in told if one in present]
        backends = sum_backends([state["backends"] for state in states])
        snapshots = [read_snapshot(one, 0.0) for one in backends]
        past = self.roster.past([one for one, _ in told if one in present])
        await load_in_background(_load_metrics)
        from nexus_core.workers import metrics

        for one, text in told:
            one.metrics = text
        gone, self.roster.ended_metrics = self.roster.ended_metrics, []
        self._told_before = before = metrics.told_by_those_gone(self._told_before, gone)
        silent = [one.metrics for one in self.roster.siblings if one.metrics and one not in present]
        before = metrics.told_by_those_gone(before, silent)
        restarts = self.roster.restarts
        made = await in_background(
            lambda: metrics.sum_metrics(texts, past, snapshots, restarts, before)
        )
        return Passed(200, [(b"content-type", metrics.CONTENT_TYPE.encode())], made)

    async def _stats(self, _: dict[str, str]) -> Passed:
        state = await self._whole_state()
        return _as_json(state["stats"])

    async def _state(self, _: dict[str, str]) -> Passed:
        state = await self._events.state()
        return _as_json(state)

    async def _whole_state(self) -> JsonObject:
        told = await self.roster.each(lambda one: one.state())
        past = self.roster.past([sibling for sibling, _ in told])
        return sum_states([state for _, state in told], past, self.roster.windows)

    async def _requests(self, asked: dict[str, str]) -> Passed:
        limit = _limit(asked, 100, most=REQUESTS)
        rows = await requests(self.roster, limit, asked.get("before"))
        return _as_json({"run": self._events.run_word, "requests": rows})

    async def _log_lines(self, asked: dict[str, str]) -> Passed:
        await self._logs.read()
        limit = _limit(asked, 200, most=LOG_LINES)
        return _as_json(read_logs(self._logs.ring, limit, asked.get("after")))

    async def _actions(self, asked: dict[str, str]) -> Passed:
        limit = _limit(asked, 50, most=ACTIONS)
        return _as_json({"actions": await actions(self.roster, limit)})

    async def _keys(self, _: dict[str, str]) -> Passed:
        told = await self.roster.each(lambda one: one.ask("/nexus/keys"))
        return _as_json(sum_keys([keys for _, keys in told]))

    async def run(self, path: Path) -> None:
        """Serve the socket until cancelled."""
        with listen_at(path) as listener:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.roster.run(), name="counts")
                tasks.create_task(self._events.run(), name="events")
                server = Server(http_config(self, 0), tasks, None)
                await server.serve(sockets=[listener])


async def _refuse(send: Send, scope: Scope, error: NexusError) -> None:
    body = dialect_of(scope["path"]).error(error)
    await send_whole(send, error.status, [JSON_TYPE], body)


def _limit(asked: dict[str, str], default: int, *, most: int) -> int:
    """Raises: _MalformedError."""
    try:
        limit = int(asked.get("limit", default))
    except ValueError:
        raise _MalformedError from None
    if not 1 <= limit <= most:
        raise _MalformedError
    return limit


def _as_json(value: object) -> Passed:
    return Passed(200, [JSON_TYPE], json.dumps(value).encode())


def _load_metrics() -> None:
    import_module("nexus_core.workers.metrics")
