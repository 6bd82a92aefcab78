"""Servers announced on the local network by mDNS; needs zeroconf, the extra `discovery`."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from nexus_core.background import load_in_background
from nexus_core.catalog import BackendType

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncZeroconf

SERVICES = {kind.spec.mdns_service: kind for kind in BackendType if kind.spec.mdns_service}
_RESOLVE_MS = 3000
_MAX_WAITING = 256  # announcements not looked at yet: a flood on the network ends here


class BrowseFailedError(Exception):
    """mDNS browsing is not possible; the message says why."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A server was announced."""

    name: str  # of the service on the network
    kind: BackendType
    host: str  # an IPv4 address
    port: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A server's announcement was withdrawn or has expired."""

    name: str


class Browser(Protocol):
    """Browser of announced servers."""

    def changes(self) -> AsyncGenerator[Announced | Withdrawn]:
        """What comes and goes, until closed.

        Raises:
            BrowseFailedError: nothing can be heard here.
        """
        ...


def create_browser() -> Browser | None:
    """Create a browser; None without the extra `discovery`."""
    return ZeroconfBrowser() if importlib.util.find_spec("zeroconf") else None


class ZeroconfBrowser:
    """Browser on zeroconf, which is imported when browsing begins."""

    def __init__(self, interfaces: list[str] | None = None) -> None:
        self._interfaces = interfaces  # addresses; None: all

    async def changes(self) -> AsyncGenerator[Announced | Withdrawn]:
        """What comes and goes, until closed.

        Raises:
            BrowseFailedError: nothing can be heard here.
        """
        await load_in_background(_load)
        from zeroconf import ServiceStateChange
        from zeroconf.asyncio import AsyncServiceBrowser

        seen: asyncio.Queue[tuple[str, str, ServiceStateChange]] = asyncio.Queue(_MAX_WAITING)

        def note(
            zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
        ) -> None:
            with suppress(asyncio.QueueFull):
                seen.put_nowait((service_type, name, state_change))

        zeroconf = self._open()
        try:
            browser = AsyncServiceBrowser(zeroconf.zeroconf, list(SERVICES), handlers=[note])
            try:
                while True:
                    service_type, name, change = await seen.get()
                    if change is ServiceStateChange.Removed:
                        yield Withdrawn(name)
                    elif announced := await _resolve(zeroconf, service_type, name):
                        yield announced
            finally:
                await browser.async_cancel()
        finally:
            await zeroconf.async_close()

    def _open(self) -> AsyncZeroconf:
        from zeroconf import Error, InterfaceChoice, IPVersion
        from zeroconf.asyncio import AsyncZeroconf

        try:
            return AsyncZeroconf(
                interfaces=self._interfaces or InterfaceChoice.Default,
                ip_version=IPVersion.V4Only,
            )
        except OSError as error:
            raise BrowseFailedError(error.strerror or str(error)) from error
        except (Error, RuntimeError) as error:  # the latter: no interface
            raise BrowseFailedError(str(error)) from error


def _load() -> None:
    import_module("zeroconf.asyncio")


async def _resolve(zeroconf: AsyncZeroconf, service_type: str, name: str) -> Announced | None:
    from zeroconf import Error, IPVersion

    try:
        info = await zeroconf.async_get_service_info(service_type, name, _RESOLVE_MS)
    except Error:  # the name is the network's: it may be none
        return None
    addresses = info.parsed_addresses(IPVersion.V4Only) if info else []
    if info is None or not addresses or not info.port:
        return None
    return Announced(name, SERVICES[service_type], addresses[0], info.port)


def is_on_this_network(host: str) -> bool:
    """Whether an address is private: announcements of other addresses are not trusted.

    A loopback address in an announcement means the machine that announced it.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    is_special = address.is_loopback or address.is_unspecified or address.is_multicast
    return address.is_private and not is_special


def is_this_machine(host: str) -> bool:
    """Whether an address belongs to this machine: only then it can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
