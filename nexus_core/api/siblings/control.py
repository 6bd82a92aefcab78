"""A worker's control socket: what the supervisor asks of this worker alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from nexus_core.api.app import FrontDoor
from nexus_core.api.asgi.messages import Incoming, Outgoing, RawHeaders, Scope, send_whole
from nexus_core.api.auth import Caller, Guard
from nexus_core.api.errors import JSON_TYPE
from nexus_core.api.listen.server import Server, http_config
from nexus_core.api.siblings import handover
from nexus_core.api.siblings.trust import CALLER, CLIENT, ECHO, value_of
from nexus_core.config.schema import AuthConfig
from nexus_core.control.actions import is_echo
from nexus_core.control.commands import ReloadConfig
from nexus_core.gateway import Gateway
from nexus_core.observe.stats_json import stats_as_json
from nexus_core.types import Actor, Via
from nexus_core.worker import listen_at

COUNTS_PATH = "/counts"
KEYS_PATH = "/keys-changed"  # POST: another worker has changed the client keys
SIGNAL_PATH = "/hang-up"  # POST: the supervisor was sent SIGHUP

_BY_SIGNAL = Actor(via=Via.SIGNAL, name="SIGHUP")


class ControlDoor(FrontDoor):
    """The front door for the supervisor, whose word on who asks is taken."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._guard = _Trusting()
        self._speaks_for_all = False

    async def _serve(
        self, scope: Scope, incoming: Incoming, outgoing: Outgoing, request_id: str
    ) -> None:
        if scope["path"] == COUNTS_PATH:
            gateway = self._gateway
            shared = gateway.shared
            process = None if shared is None else shared.link.process
            said = [gateway.now(), process, stats_as_json(gateway.stats)]
            counts = json.dumps(said).encode()
            await send_whole(outgoing, 200, [JSON_TYPE], counts)
            return
        if scope["path"] == handover.PATH:
            kept = handover.written(handover.handover_of(self._gateway))
            await send_whole(outgoing, 200, [], kept)
            return
        if scope["path"] == KEYS_PATH:
            await self._gateway.keys.refresh()
            await send_whole(outgoing, 200, [], b"")
            return
        client = value_of(scope["headers"], CLIENT)
        scope["client"] = None if client is None else (client, 0)
        is_echo.set(value_of(scope["headers"], ECHO) is not None)
        if scope["path"] == SIGNAL_PATH:
            outcome = await self._gateway.operator.execute(ReloadConfig(), _BY_SIGNAL)
            told = json.dumps([outcome.message, *outcome.lines]).encode()
            await send_whole(outgoing, 200, [JSON_TYPE], told)
            return
        await super()._serve(scope, incoming, outgoing, request_id)


class _Trusting(Guard):
    def __init__(self) -> None:
        super().__init__(AuthConfig())

    def admit(self, path: str, headers: RawHeaders) -> Caller:
        return Caller(value_of(headers, CALLER))


async def serve_control(gateway: Gateway, path: Path, stop: asyncio.Event) -> None:
    """Serve the control socket until `stop` is set."""
    with listen_at(path) as listener:
        async with asyncio.TaskGroup() as tasks:
            server = Server(http_config(ControlDoor(gateway), 0), tasks, None)
            tasks.create_task(server.serve(sockets=[listener]), name="control-server")
            await stop.wait()
            server.stop_taking()
