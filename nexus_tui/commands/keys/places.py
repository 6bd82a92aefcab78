"""Where `nexus keys` works: at a running Nexus, or in the store of one that does not run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nexus_core.config.schema import Config
from nexus_core.errors import KeyNotFoundError, KeysUnavailableError
from nexus_core.keys import changes
from nexus_core.keys.as_json import as_json
from nexus_core.keys.asked import read_duration
from nexus_core.keys.changes import Issued
from nexus_core.keys.live import keys_path
from nexus_core.keys.store import KeyStorage, KeyStore, KeyStoreError
from nexus_tui.commands.base.client import (
    answered,
    authorization,
    content_of,
    find_running,
    seconds_to_answer,
)
from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.listener import who_answers
from nexus_tui.commands.base.target import local_url

_KEYS = "/nexus/keys"


def place_of(url: str | None, config: Config) -> RunningNexus | KeptKeys:
    """The running Nexus at `url`, else the one at the configured address, else its store.

    Raises:
        NoAnswerError: there is none of them.
    """
    if url is not None:
        return RunningNexus(find_running(url, config), config)
    server = config.server
    if server.port:
        here = local_url(server.host, server.port)
        if who_answers(here, server.connect_timeout_seconds).kind == "nexus":
            return RunningNexus(here, config)
    if config.storage.url is not None:
        from nexus_core.keys.database import DatabaseKeys

        database = DatabaseKeys(config.storage)
        return KeptKeys(database, database.name, config)
    path = keys_path(config)
    if path is None:
        raise NoAnswerError(
            "no Nexus is running, and none would keep keys: set [storage] path to a writable file"
        )
    return KeptKeys(KeyStore(path), str(path), config)


class RunningNexus:
    """Keys of a running Nexus, over its control API."""

    def __init__(self, url: str, config: Config) -> None:
        self.where = url
        self.replica: str | None = None  # of a fleet, that answered last
        self._config = config

    def listed(self) -> dict[str, Any]:
        """All keys."""
        return self._ask("GET", _KEYS)

    def shown(self, name: str) -> dict[str, Any]:
        """One of them."""
        return self._ask("GET", _path(name))

    def create(self, name: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """A new one, with its secret."""
        return self._ask("POST", _KEYS, {"name": name, **asked})

    def limit(self, name: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """Change limits."""
        return self._ask("POST", _path(name), dict(asked))

    def rotate(self, name: str, grace: str | None) -> dict[str, Any]:
        """Another secret."""
        return self._ask("POST", f"{_path(name)}/rotate", {"grace": grace})

    def block(self, name: str, *, blocked: bool) -> dict[str, Any]:
        """Let it open nothing until it is let in again, or let it in again."""
        return self._ask("POST", f"{_path(name)}/block", {"blocked": blocked})

    def revoke(self, name: str) -> dict[str, Any]:
        """End it."""
        return self._ask("POST", f"{_path(name)}/revoke", {})

    def close(self) -> None:
        """Nothing is held."""

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        import httpx

        key = authorization(self._config)
        headers = {} if key is None else {"Authorization": key}
        seconds = seconds_to_answer(self._config)
        with (
            answered(self.where, seconds),
            httpx.Client(base_url=self.where, timeout=seconds, trust_env=False) as client,
        ):
            answer = client.request(method, path, json=body, headers=headers)
        self.replica = answer.headers.get("x-nexus-replica")
        content: dict[str, Any] = content_of(answer, self._config)
        return content


def _path(name: str) -> str:
    return f"{_KEYS}/{quote(name, safe='')}"


class KeptKeys:
    """Keys in the file of a Nexus that does not run, or in PostgreSQL.

    One that does run goes by a change within a second.
    """

    def __init__(self, store: KeyStorage, where: str, config: Config) -> None:
        self.where = where
        self.replica: str | None = None
        self._store = store
        self._config = config
        self._taken = [key.name for key in config.auth.api_keys]

    def listed(self) -> dict[str, Any]:
        """All keys."""
        try:
            keys = self._store.read()
        except KeyStoreError as error:
            raise KeysUnavailableError(str(error)) from error
        told = [as_json(key, time.time()) for key in keys]
        environment = [{"name": name, "budget_usd": None} for name in self._taken]
        return {"keys": told, "environment": environment, "problem": None}

    def shown(self, name: str) -> dict[str, Any]:
        """One of them."""
        for told in self.listed()["keys"]:
            if told["name"] == name:
                found: dict[str, Any] = told
                return found
        raise KeyNotFoundError(f"there is no created client key {name!r} in {self.where}")

    def create(self, name: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """A new one, with its secret."""
        if (why := changes.why_no_new_keys(self._config)) is not None:
            raise KeysUnavailableError(why)
        return _issued(changes.create(self._store, name, asked, time.time(), self._taken))

    def limit(self, name: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """Change limits."""
        return as_json(changes.limit(self._store, name, asked, time.time()), time.time())

    def rotate(self, name: str, grace: str | None) -> dict[str, Any]:
        """Another secret."""
        seconds = 0.0 if grace is None else read_duration("grace", grace)
        return _issued(changes.rotate(self._store, name, seconds, time.time()))

    def block(self, name: str, *, blocked: bool) -> dict[str, Any]:
        """Let it open nothing until it is let in again, or let it in again."""
        at = time.time()
        return as_json(changes.block(self._store, name, at if blocked else None), at)

    def revoke(self, name: str) -> dict[str, Any]:
        """End it."""
        return as_json(changes.revoke(self._store, name, time.time()), time.time())

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()


def _issued(issued: Issued) -> dict[str, Any]:
    return {**as_json(issued.key, time.time()), "secret": issued.secret}
