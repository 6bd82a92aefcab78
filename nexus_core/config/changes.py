"""Changes of the configuration at run time that can be saved; `save.py` writes them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from nexus_core.config.schema import BackendConfig
from nexus_core.types import PrivacyZone


class ChangeRefusedError(Exception):
    """A change was not saved; the file is unchanged, and the message says why."""


class SetBackend(msgspec.Struct, frozen=True):
    """Set a key of one backend; None removes the key."""

    backend: str
    key: Literal["enabled", "tier", "priority"]
    value: bool | int | None


class AddBackend(msgspec.Struct, frozen=True):
    """Add a backend to the file, such as a discovered one."""

    backend: BackendConfig


class SetZone(msgspec.Struct, frozen=True):
    """A zone switch: reported in the notes, since the file has no key for it."""

    zone: PrivacyZone
    enabled: bool


Change: TypeAlias = SetBackend | AddBackend | SetZone
