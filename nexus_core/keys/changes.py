"""Changes of created keys, from made to revoked; each is in the file when it returns.

Blocks: call it in a thread. Every function raises a NexusError where it can't be done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from nexus_core.config.schema import Config
from nexus_core.errors import InvalidRequestError, KeyNotFoundError, KeysUnavailableError
from nexus_core.keys.asked import changed, read_name
from nexus_core.keys.key import (
    NO_LIMITS,
    StoredKey,
    digest_of,
    is_secret,
    new_id,
    new_secret,
)
from nexus_core.keys.store import KeyStorage, KeyStoreError, NameTakenError

NEEDS_DATABASE = (
    "replicas keep created keys in PostgreSQL: set [storage] url_env to the name of a variable "
    "with its URL; keys of the environment work without"
)
_TRIES = 5  # of a change while others change the same key


def why_no_new_keys(config: Config) -> str | None:
    """Why replicas have no place in common where a new key would be kept; None where they have."""
    is_fleet = config.fleet is not None and not config.fleet.is_private
    return NEEDS_DATABASE if is_fleet and config.storage.url is None else None


class Issued(NamedTuple):
    """A key, and its secret: the only time that anybody sees it."""

    key: StoredKey
    secret: str

    def __repr__(self) -> str:
        return f"Issued({self.key!r})"


def create(
    store: KeyStorage, name: str, asked: Mapping[str, Any], at: float, taken: Collection[str]
) -> Issued:
    """A new key.

    Args:
        asked: its limits, as `changed` reads them.
        at: seconds since the epoch.
        taken: names of the keys of the environment.
    """
    limits = changed(NO_LIMITS, asked, at)
    if read_name(name) in taken:
        raise InvalidRequestError(
            f"name: a client key of the environment is called {name!r}; take another", param="name"
        )
    key_id = new_id()
    secret = new_secret(key_id)
    key = StoredKey(id=key_id, name=name, digest=digest_of(secret), created=at, limits=limits)
    try:
        store.add(key)
    except NameTakenError:
        raise InvalidRequestError(
            f"name: there is or was a client key {name!r}; names are not used twice", param="name"
        ) from None
    except KeyStoreError as error:
        raise KeysUnavailableError(str(error)) from error
    return Issued(key, secret)


def limit(store: KeyStorage, name: str, asked: Mapping[str, Any], at: float) -> StoredKey:
    """Change limits of a key; those that are not asked for stay."""
    if not asked:
        raise InvalidRequestError("nothing to change: name at least one limit")
    return _change(store, name, lambda key: replace(key, limits=changed(key.limits, asked, at)))


def rotate(store: KeyStorage, name: str, grace_seconds: float, at: float) -> Issued:
    """Give a key another secret; the one before is taken for so long."""
    secrets: list[str] = []

    def renew(key: StoredKey) -> StoredKey:
        secrets.append(new_secret(key.id))
        digest, has_grace = digest_of(secrets[-1]), grace_seconds > 0
        old = key.digest if has_grace else None
        until = at + grace_seconds if has_grace else 0.0
        return replace(key, digest=digest, old_digest=old, old_until=until)

    return Issued(_change(store, name, renew), secrets[-1])


def block(store: KeyStorage, name: str, at: float | None) -> StoredKey:
    """Let a key open nothing from this moment on; None: let it in again."""

    def switch(key: StoredKey) -> StoredKey:
        is_so_already = (key.blocked is None) is (at is None)
        return key if is_so_already else replace(key, blocked=at)

    return _change(store, name, switch)


def revoke(store: KeyStorage, name: str, at: float) -> StoredKey:
    """Let a key open nothing any more, for good; again changes nothing."""
    return _change(
        store, name, lambda key: key if key.revoked is not None else replace(key, revoked=at)
    )


def _change(store: KeyStorage, name: str, change: Callable[[StoredKey], StoredKey]) -> StoredKey:
    if is_secret(name):
        raise InvalidRequestError(
            "name: this is a key's secret; a key is called by its name, "
            "which `nexus keys list` tells",
            param="name",
        )
    try:
        for _ in range(_TRIES):
            before = next((key for key in store.read() if key.name == name), None)
            if before is None:
                raise KeyNotFoundError(
                    f"there is no created client key {name!r}; "
                    "those of the environment are changed there",
                    param="name",
                )
            after = change(before)
            if after is before:
                return before
            if before.revoked is not None:
                raise InvalidRequestError(f"client key {name!r} is revoked: make another one")
            if store.replace(before, after):
                return after
    except KeyStoreError as error:
        raise KeysUnavailableError(str(error)) from error
    raise KeysUnavailableError(f"client key {name!r} is changed by others just now; try again")
