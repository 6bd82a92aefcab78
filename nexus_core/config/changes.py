"""Changes of the configuration at run time that can be saved; `save.py` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from nexus_core.config.schema import BackendConfig
from nexus_core.types import PrivacyZone


class ChangeRefusedError(Exception):
    """A change was not saved; the file is unchanged, and the message says why."""


@dataclass(frozen=True, slots=True)
class SetBackend:
    """Set a key of one backend; None removes the key."""

    backend: str
    key: Literal["enabled", "tier", "priority"]
    value: bool | int | None


@dataclass(frozen=True, slots=True)
class AddBackend:
    """Add a backend to the file, such as a discovered one."""

    backend: BackendConfig


@dataclass(frozen=True, slots=True)
class SetZone:
    """A zone switch: reported in the notes, since the file has no key for it."""

    zone: PrivacyZone
    enabled: bool


Change: TypeAlias = SetBackend | AddBackend | SetZone
