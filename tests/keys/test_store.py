"""The file of created keys: what it keeps, who may read it, and what goes wrong with it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nexus_core.errors import (
    InvalidRequestError,
    KeyNotFoundError,
    KeysUnavailableError,
)
from nexus_core.keys import changes
from nexus_core.keys.store import KeyStore, KeyStoreError

AT = 1_800_000_000.0
ASKED = {
    "budget": 20,
    "rpm": 60,
    "tpm": "100k",
    "parallel": 4,
    "models": "llama*",
    "zone": "restricted",
    "tier": 2,
    "expires": "30d",
}


def test_what_was_made_is_read_back_and_its_secret_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "keys.db"
    issued = changes.create(KeyStore(path), "laptop", ASKED, AT, ())

    assert KeyStore(path).read() == (issued.key,)
    assert path.stat().st_mode & 0o777 == 0o600
    secret = issued.secret.encode()
    assert secret not in path.read_bytes()
    assert secret[12:] not in path.read_bytes()
    assert issued.secret not in repr(issued)


def test_without_a_file_there_is_no_key_and_none_is_made_by_looking(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")

    assert store.read() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    changes.create(KeyStore(path), "a", {}, AT, ())
    path.chmod(0o644)

    changes.create(KeyStore(path), "b", {}, AT, ())

    assert path.stat().st_mode & 0o777 == 0o600


def test_names_are_not_used_twice(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")
    changes.create(store, "a", {}, AT, ())
    changes.revoke(store, "a", AT)

    for name, taken in (("a", ()), ("ops", ("ops",))):
        with pytest.raises(InvalidRequestError, match=r"^name: "):
            changes.create(store, name, {}, AT, taken)


def test_a_revoked_key_stays_revoked(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")
    changes.create(store, "a", {}, AT, ())
    first = changes.revoke(store, "a", AT)

    assert changes.revoke(store, "a", AT + 5) == first
    for change in (
        lambda: changes.limit(store, "a", {"rpm": 1}, AT),
        lambda: changes.rotate(store, "a", 0, AT),
    ):
        with pytest.raises(InvalidRequestError, match="is revoked"):
            change()
    assert store.read() == (first,)


def test_a_rotation_gives_another_secret_to_the_same_key(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")
    before = changes.create(store, "a", {"rpm": 5}, AT, ())

    at_once = changes.rotate(store, "a", 0, AT)
    with_grace = changes.rotate(store, "a", 60, AT)

    assert len({before.secret, at_once.secret, with_grace.secret}) == 3
    assert at_once.key.old_digest is None
    assert (with_grace.key.old_digest, with_grace.key.old_until) == (at_once.key.digest, AT + 60)
    assert with_grace.key.limits == before.key.limits


def test_who_is_not_there_is_not_changed(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")

    with pytest.raises(KeyNotFoundError, match="'ghost'"):
        changes.revoke(store, "ghost", AT)
    with pytest.raises(InvalidRequestError, match="nothing to change"):
        changes.limit(store, "ghost", {}, AT)


def test_changes_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    changes.create(KeyStore(path), "shared", {}, AT, ())

    def change(number: int) -> None:
        changes.create(KeyStore(path), f"k{number}", {}, AT, ())
        field = ("rpm", "tpm", "parallel", "tier")[number % 4]
        changes.limit(KeyStore(path), "shared", {field: 3}, AT)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(8)))

    keys = {key.name: key for key in KeyStore(path).read()}
    assert len(keys) == 9
    limits = keys["shared"].limits
    assert (limits.rpm, limits.tpm, limits.parallel, limits.tier) == (3, 3, 3, 3)


@pytest.mark.parametrize("content", [b"no database at all, by no means" * 99, b""])
def test_a_file_that_is_none_is_told_with_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.db"
    path.write_bytes(content)
    store = KeyStore(path)
    if not content:  # as SQLite makes one
        assert store.read() == ()
        return

    with pytest.raises(KeyStoreError, match=r"keys\.db"):
        store.read()
    with pytest.raises(KeysUnavailableError, match=r"keys\.db"):
        changes.create(store, "a", {}, AT, ())
    assert path.read_bytes() == content


def test_a_file_of_a_newer_nexus_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(KeyStoreError, match="newer Nexus"):
        KeyStore(path).read()


def test_in_memory_a_store_keeps_its_keys_until_it_is_closed() -> None:
    store = KeyStore(None)
    issued = changes.create(store, "a", {}, AT, ())

    assert store.read() == (issued.key,)
    store.close()


# As version 1 of the file was: nobody could be blocked.
_FIRST = """
CREATE TABLE keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest BLOB NOT NULL, created REAL NOT NULL,
    revoked REAL, old_digest BLOB, old_until REAL NOT NULL DEFAULT 0,
    budget_usd REAL, rpm INTEGER, tpm INTEGER, parallel INTEGER,
    models TEXT, zone TEXT NOT NULL, tier INTEGER, expires REAL
) STRICT;
INSERT INTO keys (id, name, digest, created, zone) VALUES ('abcdefgh', 'old', x'00', 5, 'open');
PRAGMA user_version = 1;
"""


def test_a_file_of_an_older_nexus_goes_on_whoever_looks_first(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(_FIRST)
    connection.close()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: KeyStore(path).read(), range(16)))

    assert {key.name for keys in found for key in keys} == {"old"}
    assert changes.block(KeyStore(path), "old", AT).blocked == AT
    assert KeyStore(path).read()[0].blocked == AT


def test_a_blocked_key_opens_nothing_until_it_is_let_in_again(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.db")
    secret = changes.create(store, "laptop", {"expires": "30d"}, AT, ()).secret.encode()

    blocked = changes.block(store, "laptop", AT + 1)
    again = changes.block(store, "laptop", AT + 2)
    assert (blocked.state(AT + 1), blocked.is_opened_by(secret, AT + 1)) == ("blocked", False)
    assert again == blocked
    turned = changes.rotate(store, "laptop", 0.0, AT + 3)
    assert not turned.key.is_opened_by(turned.secret.encode(), AT + 3)
    free = changes.block(store, "laptop", None)
    assert (free.state(AT + 4), free.blocked) == ("active", None)
    changes.revoke(store, "laptop", AT + 5)
    with pytest.raises(InvalidRequestError, match="revoked"):
        changes.block(store, "laptop", AT + 6)
