"""Created keys in PostgreSQL: the same as in a file, and a version that tells of every change."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nexus_core.config.schema import Config
from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.errors import InvalidRequestError, KeyNotFoundError, KeysUnavailableError
from nexus_core.keys import changes
from nexus_core.keys.database import DatabaseKeys
from tests.database.server import SECRET, Place
from tests.keys.test_store import ASKED, AT


@pytest.fixture
def store(database: Place) -> Iterator[DatabaseKeys]:
    keys = DatabaseKeys(database.storage())
    yield keys
    keys.close()


def test_what_was_made_is_read_back_and_its_secret_is_not_there(
    store: DatabaseKeys, database: Place
) -> None:
    issued = changes.create(store, "laptop", ASKED, AT, ())
    plain = changes.create(store, "phone", {}, AT + 1, ())

    assert store.read() == (issued.key, plain.key)
    (row,) = database.ask("SELECT t::text FROM nexus.keys t WHERE name = 'laptop'")
    assert issued.secret not in row
    assert issued.secret[12:] not in row


def test_every_change_raises_the_version_and_a_look_does_not(store: DatabaseKeys) -> None:
    versions = [store.version()]
    changes.create(store, "laptop", {}, AT, ())
    versions.append(store.version())
    for change in (
        lambda: changes.limit(store, "laptop", {"rpm": 60}, AT),
        lambda: changes.rotate(store, "laptop", 60, AT),
        lambda: changes.block(store, "laptop", AT),
        lambda: changes.revoke(store, "laptop", AT),
    ):
        change()
        versions.append(store.version())

    assert versions == sorted({*versions})
    version, (key,) = store.read_at()
    assert version == store.version() == versions[-1]
    assert (key.limits.rpm, key.blocked, key.revoked) == (60, AT, AT)
    assert key.old_digest is not None


def test_names_are_used_once_by_all(store: DatabaseKeys, database: Place) -> None:
    stores = [DatabaseKeys(database.storage()) for _ in range(4)]

    def make(one: DatabaseKeys) -> bool:
        try:
            changes.create(one, "laptop", {}, AT, ())
        except InvalidRequestError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        made = [*threads.map(make, stores)]
    for one in stores:
        one.close()

    assert sorted(made) == [False, False, False, True]
    changes.revoke(store, "laptop", AT)
    assert not make(store)


def test_changes_of_one_key_at_the_same_time_are_both_done(
    store: DatabaseKeys, database: Place
) -> None:
    changes.create(store, "laptop", {}, AT, ())
    other = DatabaseKeys(database.storage())

    with ThreadPoolExecutor(2) as threads:
        done = [
            threads.submit(changes.limit, one, "laptop", asked, AT)
            for one, asked in ((store, {"rpm": 60}), (other, {"parallel": 2}))
        ]
        for one in done:
            one.result()
    other.close()

    (key,) = store.read()
    assert (key.limits.rpm, key.limits.parallel) == (60, 2)


def test_what_cannot_be_done_says_why_without_the_password(
    store: DatabaseKeys, database: Place
) -> None:
    with pytest.raises(KeyNotFoundError):
        changes.revoke(store, "nobody", AT)
    dead = DatabaseKeys(database.storage(url=database.url_at(1)))
    with pytest.raises(KeysUnavailableError) as refused:
        changes.create(dead, "laptop", {}, AT, ())

    assert refused.value.message.startswith("client keys: PostgreSQL (NEXUS_DATABASE_URL): ")
    assert SECRET not in refused.value.message


def test_replicas_need_postgresql_to_make_keys_and_workers_do_not(database: Place) -> None:
    fleet = FleetConfig(url="redis://127.0.0.1:6379")
    workers = FleetConfig(url="unix:///run/store.sock", name="workers")

    assert "[storage] url_env" in (changes.why_no_new_keys(Config(fleet=fleet)) or "")
    assert changes.why_no_new_keys(Config(fleet=fleet, storage=database.storage())) is None
    assert changes.why_no_new_keys(Config(fleet=workers)) is None
    assert changes.why_no_new_keys(Config()) is None
