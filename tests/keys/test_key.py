"""Secrets: their form, what opens a key, and until when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from nexus_core.api.auth import Guard
from nexus_core.config.schema import AuthConfig
from nexus_core.errors import AuthenticationError
from nexus_core.keys.held import HeldKey
from nexus_core.keys.key import Limits, StoredKey, digest_of, id_in, new_id, new_secret
from nexus_core.keys.table import KeyTable

AT = 1_800_000_000.0


@dataclass
class Created:
    table: KeyTable | None
    limited: Mapping[str, HeldKey] = field(default_factory=dict[str, HeldKey])


def key(secret: str, **more: object) -> StoredKey:
    made = StoredKey(
        id=id_in(secret.encode()).decode(), name="laptop", digest=digest_of(secret), created=AT
    )
    return replace(made, **more)


def test_a_secret_tells_its_id_and_is_never_the_same() -> None:
    key_id = new_id()
    secrets = {new_secret(key_id) for _ in range(100)}

    assert len(secrets) == 100
    for secret in secrets:
        assert re.fullmatch(r"nx-[a-z0-9]{8}-[A-Za-z0-9_-]{43}", secret)
        assert id_in(secret.encode()) == key_id.encode()


def test_only_the_whole_secret_opens_a_key() -> None:
    secret = new_secret(new_id())
    stored = key(secret)

    assert stored.is_opened_by(secret.encode(), AT)
    for wrong in (secret[:-1], secret + "x", new_secret(stored.id), secret.swapcase(), ""):
        assert not stored.is_opened_by(wrong.encode(), AT)


def test_an_expired_and_a_revoked_key_open_nothing() -> None:
    secret = new_secret(new_id())

    expiring = key(secret, limits=Limits(expires=AT + 10))

    assert expiring.is_opened_by(secret.encode(), AT + 9)
    assert not expiring.is_opened_by(secret.encode(), AT + 10)
    assert not key(secret, revoked=AT).is_opened_by(secret.encode(), AT - 1)
    assert [expiring.state(AT), expiring.state(AT + 10), key(secret, revoked=AT).state(AT)] == [
        "active",
        "expired",
        "revoked",
    ]


def test_the_secret_before_a_rotation_is_taken_for_its_grace() -> None:
    old = new_secret(new_id())
    stored = key(old)
    new = new_secret(stored.id)
    rotated = replace(stored, digest=digest_of(new), old_digest=digest_of(old), old_until=AT + 60)

    assert rotated.is_opened_by(new.encode(), AT)
    assert rotated.is_opened_by(old.encode(), AT + 59)
    assert not rotated.is_opened_by(old.encode(), AT + 60)
    assert not replace(rotated, revoked=AT).is_opened_by(old.encode(), AT)


def test_nothing_secret_stands_in_what_is_shown_of_a_key() -> None:
    secret = new_secret(new_id())
    stored = key(secret)

    assert secret not in repr(stored)
    assert repr(stored.digest) not in repr(stored)


def test_a_table_finds_a_key_and_keeps_what_is_used_of_it() -> None:
    secret = new_secret(new_id())
    table = KeyTable(lambda: AT, lambda: 0)
    assert table.is_open
    table.replace([key(secret)])
    held = table.find(secret.encode())
    assert held is not None
    held.meter.under_way = 3

    table.replace([key(secret, limits=Limits(parallel=3))])

    changed = table.find(secret.encode())
    assert changed is not None
    assert changed.meter.is_full
    for stranger in (b"", b"nx-", b"nx-abcdefgh-", secret.encode()[:20], b"sk-1"):
        assert table.find(stranger) is None


@pytest.mark.parametrize(("is_optional", "names"), [(True, {None, "laptop"}), (False, {"laptop"})])
def test_only_a_demo_goes_on_without_a_key(is_optional: bool, names: set[str | None]) -> None:
    secret = new_secret(new_id())
    table = KeyTable(lambda: AT, lambda: 0, is_optional=is_optional)
    table.replace([key(secret)])
    guard, came_in = Guard(AuthConfig(), Created(table)), set[str | None]()

    for presented in (None, secret, "nx-wrong"):
        headers = [(b"host", b"localhost")]
        if presented is not None:
            headers.append((b"authorization", f"Bearer {presented}".encode()))
        with suppress(AuthenticationError):
            came_in.add(guard.admit("/v1/models", headers).name)

    assert came_in == names


def test_once_a_key_was_made_nobody_comes_in_without_one() -> None:
    table = KeyTable(lambda: AT, lambda: 0)
    table.replace([key(new_secret(new_id()), revoked=AT)])
    assert not table.is_open

    table.replace([])

    assert not table.is_open
