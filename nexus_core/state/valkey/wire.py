"""Connections to the store: by URL, through Sentinel, in a cluster. redis-py's errors become ours.

Only the link's own tasks hold a connection: a call that is cancelled leaves its answer on it
(https://github.com/redis/redis-py/issues/2665), so a connection with an answer due is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import msgspec
from redis.asyncio.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from nexus_core.config.sections.fleet import FleetConfig, split_address
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.program import program
from nexus_core.state.valkey.words import at_first, our_errors
from nexus_core.types import JsonObject, is_object

CALL_SECONDS = 0.2
_CONNECT_SECONDS = 1.0  # its first words included
# A try that begins before its server is back is not answered: the next one is to come while the
# others of a fleet still wait for this process. A URL may say otherwise.
_REACH_SECONDS = 0.4
_DEFAULT_PORT = 6379
_BAD_OPTION = "an option in its URL can't be used; remove what follows the question mark"
# Of pools of connections, or of what comes back: options of a URL that others may need.
_NOT_OURS = frozenset(
    {
        *("max_connections", "timeout", "decode_responses", "encoding", "encoding_errors"),
        *("retry_on_timeout", "retry_on_error", "health_check_interval"),
    }
)

Words = tuple[str | bytes | int, ...]
Node = tuple[str, int]  # host and port


class _Connection(Protocol):
    """What is used of redis-py's connections."""

    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = ...) -> None: ...
    async def send_command(self, *words: str | bytes | int, check_health: bool = ...) -> None: ...
    async def read_response(self) -> Any: ...


class Facts(msgspec.Struct, frozen=True):
    """What a server says of itself."""

    run_id: str
    version: str
    eviction: str | None  # its maxmemory-policy; None where it may not be asked
    is_valkey: bool = False  # else it is a Redis, or says so


class Wire:
    """An open connection; one call at a time."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.facts = Facts("", "", None)

    async def ask(self, *words: str | bytes | int) -> Any:
        """The answer to a command.

        Raises:
            StoreUnavailableError: there is none in time, or it is an error.
        """
        with our_errors():
            async with asyncio.timeout(CALL_SECONDS):
                await self._connection.send_command(*words)
                return await self._connection.read_response()

    async def run(self, key: str, verb: str, said: bytes) -> JsonObject:
        """Have the program run; gives its answer.

        Raises:
            StoreUnavailableError: as `ask`.
        """
        script = program()
        with our_errors():
            async with asyncio.timeout(CALL_SECONDS):
                try:
                    await self._connection.send_command(
                        "EVALSHA", script.sha1, 1, key, verb, said, check_health=False
                    )
                    answer = await self._connection.read_response()
                except NoScriptError:
                    await self._connection.send_command(
                        "EVAL", script.body, 1, key, verb, said, check_health=False
                    )
                    answer = await self._connection.read_response()
        found = msgspec.json.decode(answer)
        if not is_object(found):
            raise StoreUnavailableError("the program gave no object")
        return found

    async def listen(self, channel: str) -> AsyncGenerator[str]:
        """The messages of a channel, until the connection ends.

        Raises:
            StoreUnavailableError: it has ended.
        """
        await self.ask("SUBSCRIBE", channel)
        while True:
            with our_errors():
                kind, _, text = await self._connection.read_response()
            if kind == b"message":
                yield text.decode()

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


@asynccontextmanager
async def connected(
    config: FleetConfig, *, knows: bool = True, nodes: list[Node] | None = None
) -> AsyncGenerator[Wire]:
    """A connection to the server that takes writes now, for the block.

    Args:
        knows: whether to read its run id and facts, as the first thing on this connection.
        nodes: of a cluster, as they were known last: they are asked where the URL's is silent.
            With Sentinel the one that answered last, which is asked first. Kept up to date here.

    Raises:
        StoreUnavailableError: there is none, or it ends in the block.
    """
    url = None if config.sentinels else config.url
    with at_first(url):
        wire = Wire(await _connect(config, [] if nodes is None else nodes))
    try:
        if knows:
            with at_first(url):
                wire.facts = await _facts(wire)
        yield wire
    finally:
        await wire.close()


async def _connect(config: FleetConfig, nodes: list[Node]) -> _Connection:
    own = {"socket_connect_timeout": _REACH_SECONDS, **_settings(config.url)}
    if config.sentinels:
        own = {**own, **await _of_sentinels(config, own, nodes)}
    elif config.cluster:
        own = {**own, **await _of_cluster(config, own, nodes)}
    return await _opened(own)


def _settings(url: str | None) -> dict[str, Any]:
    try:
        found = dict(parse_url(url)) if url else {}
    except ValueError as error:
        raise StoreUnavailableError(_BAD_OPTION) from error
    return {name: value for name, value in found.items() if name not in _NOT_OURS}


async def _opened(settings: dict[str, Any]) -> _Connection:
    rest = dict(settings)
    kind = rest.pop("connection_class", Connection)
    if kind is UnixDomainSocketConnection:
        rest.pop("host", None)
        rest.pop("port", None)
    rest |= {"protocol": 2, "retry": Retry(NoBackoff(), 0), "socket_timeout": None}
    try:
        connection = cast(_Connection, kind(**rest, driver_info=None))
    except (TypeError, ValueError, RedisError) as error:
        raise StoreUnavailableError(_BAD_OPTION) from error
    try:
        with our_errors():
            async with asyncio.timeout(_CONNECT_SECONDS):
                await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def _of_sentinels(
    config: FleetConfig, own: dict[str, Any], nodes: list[Node]
) -> dict[str, Any]:
    """Where the primary is, as the first sentinel says that knows.

    Where one is gone with the primary's machine, the time to find that out is lost once.
    With TLS in the URL a sentinel may have it, too; that is tried second, as it then ends a
    connection without it at once. The primary shows its certificate in any case.
    """
    why = "no sentinel knows it"
    reach = own["socket_connect_timeout"]
    ways: list[dict[str, Any]] = [{"socket_connect_timeout": reach}]
    if own.get("connection_class") is SSLConnection:
        is_of_tls = ("connection_class", "ssl_")
        of_tls = {name: value for name, value in own.items() if name.startswith(is_of_tls)}
        ways.append(ways[0] | of_tls)
    asked = [split_address(text) for text in config.sentinels]
    for host, port in sorted(asked, key=lambda one: one not in nodes):
        for way in ways:
            try:
                wire = Wire(await _opened({"host": host, "port": port, **way}))
                try:
                    found = await wire.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", config.master)
                finally:
                    await wire.close()
            except StoreUnavailableError as error:
                why = str(error)
            else:
                if found:
                    nodes[:] = [(host, port)]
                    return {"host": found[0].decode(), "port": int(found[1])}
                break
    raise StoreUnavailableError(f"{config.master} is not known to the sentinels: {why}")


async def _of_cluster(
    config: FleetConfig, own: dict[str, Any], nodes: list[Node]
) -> dict[str, Any]:
    """Which node has the slot of the fleet's keys, as the first one says that knows."""
    why: StoreUnavailableError | None = None
    for node in [{}, *({"host": host, "port": port} for host, port in nodes)]:
        asked = {**own, **node}
        try:
            wire = Wire(await _opened(asked))
            try:
                slot = await wire.ask("CLUSTER", "KEYSLOT", key_prefix(config.name))
                slots = await wire.ask("CLUSTER", "SLOTS")
            finally:
                await wire.close()
        except StoreUnavailableError as error:
            why = why or error  # that of the URL's node
            continue
        places = [
            (first <= slot <= last, [_node(one, str(asked.get("host"))) for one in those])
            for first, last, *those in slots
        ]
        for is_ours, (primary, *_) in places:
            if is_ours:
                nodes[:] = dict.fromkeys(one for _, those in places for one in those)
                return {"host": primary[0], "port": primary[1]}
        # One that left its cluster still answers, and knows no slots.
        why = why or StoreUnavailableError("no node of the cluster has the fleet's slot")
    assert why is not None  # noqa: S101 - each node gave one, for the type checker
    raise why


def _node(told: Sequence[Any], asked: str) -> Node:
    """A node as CLUSTER SLOTS tells of it; without a host it is where it was asked."""
    return (told[0] or b"").decode() or asked, int(told[1])


def key_prefix(fleet: str) -> str:
    """What every key of a fleet begins with; its tag keeps them in one slot of a cluster."""
    return f"{{nexus:{fleet}}}:"


async def _facts(wire: Wire) -> Facts:
    told = _lines((await wire.ask("INFO", "server")).decode())
    try:
        memory = _lines((await wire.ask("INFO", "memory")).decode())
    except StoreUnavailableError:
        memory = {}
    version = told.get("valkey_version") or told.get("redis_version", "")
    policy, is_valkey = memory.get("maxmemory_policy"), "valkey_version" in told
    return Facts(told.get("run_id", ""), version, policy, is_valkey)


def _lines(info: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.splitlines())
    return {name: value.strip() for name, _, value in pairs}
