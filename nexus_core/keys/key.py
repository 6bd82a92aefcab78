"""A created client key: what is stored of it, and how its secret is made and recognised."""

from __future__ import annotations

import hmac
import re
import secrets
import string
from hashlib import sha256

import msgspec

from nexus_core.known_secrets import FORM
from nexus_core.types import PrivacyZone

PREFIX = b"nx-"
_ID_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 8
_ID = slice(len(PREFIX), len(PREFIX) + _ID_LENGTH)
_SECRET_BYTES = 32
_FORM = re.compile(FORM)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may use; None limits nothing."""

    budget_usd: float | None = None  # a month, of UTC
    rpm: int | None = None  # requests a minute
    tpm: int | None = None  # tokens a minute, of prompts and answers
    parallel: int | None = None  # requests under way at a time
    models: tuple[str, ...] | None = None  # globs
    zone: PrivacyZone = PrivacyZone.OPEN  # restricted: no header lifts it
    tier: int | None = None  # what its requests ask for at least
    expires: float | None = None  # seconds since the epoch


NO_LIMITS = Limits()


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is stored: its secret is not among it."""

    id: str  # stands in the secret
    name: str
    digest: bytes  # SHA-256 of the whole secret
    created: float  # seconds since the epoch, as all moments here
    limits: Limits = NO_LIMITS
    revoked: float | None = None
    blocked: float | None = None  # until an operator lets it in again
    old_digest: bytes | None = None  # of the secret before the last rotation,
    old_until: float = 0.0  # which is taken until then

    def __repr__(self) -> str:
        return f"StoredKey({self.name!r}, id={self.id!r})"  # a digest is nobody's to read

    def has_ended(self, at: float) -> bool:
        """Whether it was revoked, is blocked or has expired."""
        if self.revoked is not None or self.blocked is not None:
            return True
        expires = self.limits.expires
        return expires is not None and at >= expires

    def state(self, at: float) -> str:
        """`active`, `blocked`, `expired` or `revoked`."""
        if self.revoked is not None:
            return "revoked"
        if self.blocked is not None:
            return "blocked"
        return "expired" if self.has_ended(at) else "active"

    def is_opened_by(self, presented: bytes, at: float) -> bool:
        """Whether this is its secret, or the one before while that is still taken."""
        told = sha256(presented).digest()
        is_own = hmac.compare_digest(told, self.digest)
        if not is_own and self.old_digest is not None and at < self.old_until:
            is_own = hmac.compare_digest(told, self.old_digest)
        return is_own and not self.has_ended(at)


def new_id() -> str:
    """The id of a new key."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def new_secret(key_id: str) -> str:
    """A secret for the key: `nx-ID-` and 43 characters, of 256 random bits.

    So many can't be guessed, which is why a plain digest of it will do.
    """
    return f"{PREFIX.decode()}{key_id}-{secrets.token_urlsafe(_SECRET_BYTES)}"


def is_secret(text: str) -> bool:
    """Whether the text has the form of a created key's secret."""
    return _FORM.fullmatch(text) is not None


def digest_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return sha256(secret.encode()).digest()


def id_in(presented: bytes) -> bytes:
    """The id that stands in a secret, if it is one."""
    return presented[_ID]
