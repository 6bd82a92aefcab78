"""Connections to the store: by URL, through Sentinel, in a cluster. redis-py's errors become ours.

Only the link's own tasks hold a connection: a call that is cancelled leaves its answer on it
(https://github.com/redis/redis-py/issues/2665), so a connection with an answer due is dropped.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, cast

import msgspec
from redis.asyncio.connection import Connection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from nexus_core.config.sections.fleet import FleetConfig, split_address
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.program import program
from nexus_core.types import JsonObject, is_object

CALL_SECONDS = 0.2
_CONNECT_SECONDS = 1.0
_DEFAULT_PORT = 6379
_BAD_OPTION = "an option in its URL can't be used; remove what follows the question mark"
# Of pools of connections, or of what comes back: options of a URL that others may need.
_NOT_OURS = frozenset(
    {
        *("max_connections", "timeout", "decode_responses", "encoding", "encoding_errors"),
        *("retry_on_timeout", "retry_on_error", "health_check_interval"),
    }
)
_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")

Words = tuple[str | bytes | int, ...]


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
        with _our_errors():
            async with asyncio.timeout(CALL_SECONDS):
                await self._connection.send_command(*words)
                return await self._connection.read_response()

    async def run(self, key: str, verb: str, said: bytes) -> JsonObject:
        """Have the program run; gives its answer.

        Raises:
            StoreUnavailableError: as `ask`.
        """
        script = program()
        with _our_errors():
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
            with _our_errors():
                kind, _, text = await self._connection.read_response()
            if kind == b"message":
                yield text.decode()

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


@asynccontextmanager
async def connected(config: FleetConfig, *, knows: bool = True) -> AsyncGenerator[Wire]:
    """A connection to the server that takes writes now, for the block.

    Args:
        knows: whether to read its run id and facts, as the first thing on this connection.

    Raises:
        StoreUnavailableError: there is none, or it ends in the block.
    """
    wire = Wire(await _connect(config))
    try:
        if knows:
            wire.facts = await _facts(wire)
        yield wire
    finally:
        await wire.close()


async def _connect(config: FleetConfig) -> _Connection:
    own = _settings(config.url)
    if config.sentinels:
        own = {**own, **await _of_sentinels(config)}
    elif config.cluster:
        own = {**own, **await _of_cluster(config, own)}
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
        with _our_errors():
            async with asyncio.timeout(_CONNECT_SECONDS):
                await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


async def _of_sentinels(config: FleetConfig) -> dict[str, Any]:
    """Where the primary is, as the first sentinel says that knows."""
    why = "no sentinel knows it"
    for text in config.sentinels:
        host, port = split_address(text)
        try:
            wire = Wire(await _opened({"host": host, "port": port}))
        except StoreUnavailableError as error:
            why = str(error)
            continue
        try:
            found = await wire.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", config.master)
        except StoreUnavailableError as error:
            why = str(error)
            continue
        finally:
            await wire.close()
        if found:
            return {"host": found[0].decode(), "port": int(found[1])}
    raise StoreUnavailableError(f"{config.master} is not known to the sentinels: {why}")


async def _of_cluster(config: FleetConfig, own: dict[str, Any]) -> dict[str, Any]:
    """Which node has the slot of the fleet's keys."""
    wire = Wire(await _opened(own))
    try:
        slot = await wire.ask("CLUSTER", "KEYSLOT", key_prefix(config.name))
        for first, last, (host, port, *_), *_ in await wire.ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return {"host": host.decode() or own.get("host"), "port": int(port)}
    finally:
        await wire.close()
    raise StoreUnavailableError("no node of the cluster has the fleet's slot")


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


@contextmanager
def _our_errors() -> Generator[None]:
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailableError("it does not answer in time") from error
    except (RedisError, OSError) as error:
        raise StoreUnavailableError(in_words(error)) from error


def in_words(error: Exception) -> str:
    """What a server or the network said, for people; never a password."""
    text = " ".join(_CREDENTIALS.sub("", str(error)).split())[:200] or type(error).__name__
    for mark, words in _MEANINGS:
        if mark in text:
            return words
    return text.rstrip(".")


_MEANINGS = (
    ("read only replica", "it is a read-only replica; name the primary, or its sentinels"),
    ("> 'maxmemory'", "its memory is full (maxmemory)"),
    ("NOPERM", "its ACL refuses a command that the fleet needs (EVALSHA, EVAL, INFO, SUBSCRIBE)"),
    ("no permissions", "its ACL refuses a command that the fleet needs (EVALSHA, EVAL, INFO)"),
    ("WRONGPASS", "it refuses the password"),
    ("invalid username-password", "it refuses the password"),
    ("Authentication required", "it asks for a password"),
    ("MOVED", "the fleet's keys are on another node of its cluster; set cluster = true"),
    ("is loading the dataset", "it is loading its data"),
)
