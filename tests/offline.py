"""A network that is cut: any attempt to reach it fails the test that made it."""

from __future__ import annotations

import socket
from typing import Any

import pytest


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection and no name look-up is possible while the test runs."""

    monkeypatch.setattr(socket.socket, "connect", _refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", _refuse)
    monkeypatch.setattr(socket, "getaddrinfo", _refuse)
    monkeypatch.setattr(socket, "create_connection", _refuse)


@pytest.fixture
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, but for this machine's own address, written as a number."""

    def connect(own: socket.socket, address: tuple[str, int]) -> None:
        if address[0] != "127.0.0.1":
            _refuse(address)
        super(socket.socket, own).connect(address)

    look_up = socket.getaddrinfo

    def resolve(host: str, *arguments: Any, **options: Any) -> Any:
        return (look_up if host == "127.0.0.1" else _refuse)(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", _refuse)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def _refuse(*arguments: object, **options: object) -> object:
    raise AssertionError(f"reached for the network: {arguments}")
