"""The [fleet] section: replicas that share budgets, limits, slots, switches through a server."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from nexus_core.config.sections.base import NAME_PATTERN, Section, VariableName

_SCHEMES = ("redis", "rediss", "unix")
_SENTINEL_PORT = 26379


def _sentinel(text: str) -> str:
    host, port = split_address(text)
    if not host or not 0 < port < 65536 or any(char.isspace() or char in "@/?#" for char in text):
        raise ValueError("must be a host and a port, such as 10.0.0.5:26379")
    return text


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or re.search(r"[\s@?#]", url):
        raise ValueError(
            "must be http:// or https://, a host and a port, such as http://10.0.0.7:8000"
        )
    return url.rstrip("/")


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; without a port Sentinel's usual one, of a wrong one 0."""
    host, colon, port = text.rpartition(":")
    if not colon or (host.count(":") and not host.endswith("]")):
        host, port = text, str(_SENTINEL_PORT)
    return host.strip("[]"), int(port) if re.fullmatch("[0-9]{1,5}", port) else 0


ReplicaName = Annotated[str, Field(pattern=NAME_PATTERN)]


class FleetConfig(Section):
    """The [fleet] section; every key of it is read at the start."""

    url_env: VariableName = "NEXUS_REDIS_URL"
    url: str | None = Field(default=None, repr=False)  # read from the environment; has a password
    sentinels: tuple[Annotated[str, AfterValidator(_sentinel)], ...] = ()
    master: ReplicaName = "nexus"  # the sentinels' name of the primary
    cluster: bool = False
    name: ReplicaName = "default"  # of the fleet: several may use one server
    replica: ReplicaName | None = None  # None: the host name
    # Where other replicas and dashboards reach this one; None: the address it listens on
    advertise: Annotated[str, AfterValidator(_address)] | None = None
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None  # expected at a start without it
    beat_milliseconds: Annotated[int, Field(ge=100, le=1000)] = 250
    open_zone_lease_seconds: Annotated[float, Field(ge=0.2, le=60)] = 1
    when_alone: Literal["cut", "keep"] = "cut"
    budget_when_alone: Literal["block", "grant", "allow"] = "block"
    limits_when_alone: Literal["share", "block", "full"] = "share"
    dead_after_seconds: Annotated[float, Field(ge=0.5, le=600)] = 5

    @model_validator(mode="after")
    def _check_together(self) -> FleetConfig:
        beat, lease = self.beat_milliseconds / 1000, self.open_zone_lease_seconds
        if lease < 2 * beat:
            raise ValueError(
                f"open_zone_lease_seconds: {lease:g} is less than two beats of "
                f"{self.beat_milliseconds} ms, so that one late beat would close the open zone"
            )
        if self.dead_after_seconds < 2 * lease:
            raise ValueError(
                f"dead_after_seconds: {self.dead_after_seconds:g} is less than twice "
                f"open_zone_lease_seconds ({lease:g}), so that others would take over what a "
                "replica still uses"
            )
        if self.cluster and self.sentinels:
            raise ValueError("cluster: a cluster has no sentinels; remove one of the two keys")
        return self

    @property
    def replica_name(self) -> str:
        """The name of this replica."""
        return self.replica or host_name()

    @property
    def is_private(self) -> bool:
        """It is that of the workers of one port, which have one disk."""
        return self.name == "workers" and (self.url or "").startswith("unix:")

    @property
    def store_name(self) -> str:
        """The server, as a sentence for people names it."""
        return "the workers' store" if self.is_private else "the fleet's store"

    @property
    def store(self) -> str:
        """The same with its place, where that is not a file of Nexus's own."""
        return self.store_name if self.is_private else f"{self.store_name} at {self.place}"

    @property
    def place(self) -> str:
        """Where the server is, for people: never its user name or password."""
        if self.sentinels:
            return f"{self.master} of the sentinels {', '.join(self.sentinels)}"
        return place_of(self.url) if self.url else f"the URL in {self.url_env}"


def host_name() -> str:
    """The name of this machine, as a replica may be called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", socket.gethostname())[:64].strip("-") or "nexus"


def place_of(url: str) -> str:
    """A server's URL without user name, password and options."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def with_url(
    fleet: FleetConfig, environ: Mapping[str, str], tell: Callable[[str], None]
) -> FleetConfig:
    """Add the URL of the environment; `tell` gets what is wrong with it, for people."""
    text = environ.get(fleet.url_env, "").strip()
    for problem in _problems(fleet, text):
        tell(problem)
    return fleet.model_copy(update={"url": text or None})


def _problems(fleet: FleetConfig, text: str) -> Iterator[str]:
    if not text and not fleet.sentinels:
        yield (
            f"{fleet.url_env}: is not set; set it to the URL of a Valkey or Redis server, such as "
            "redis://10.0.0.5:6379, or remove [fleet]"
        )
    elif text and not _is_url(text):
        yield (
            f"{fleet.url_env}: is not the URL of a Valkey or Redis server, such as "
            "redis://10.0.0.5:6379, rediss://… or unix:///run/valkey.sock"
        )
    if find_spec("redis") is None:
        yield "[fleet] needs the extra: pip install 'nexus-gateway[fleet]'"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_socket = parts.scheme == "unix"
        is_whole = parts.path not in ("", "/") if is_socket else bool(parts.hostname)
        # Else a part of a password would be taken for the host, and shown and looked up as one.
        is_split = parts.netloc.count("@") < 2 and (is_socket or "@" not in parts.path)
        return parts.scheme in _SCHEMES and is_whole and is_split and parts.port != 0
    except ValueError:
        return False
