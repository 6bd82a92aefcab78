"""The [limits] section: requests, tokens and concurrency of client keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nexus_core.config.sections.base import Name, Section

_Count = Annotated[int, Field(ge=1, le=1_000_000_000)] | None


class KeyLimitsConfig(Section):
    """Limits of a client key; None limits nothing."""

    requests_per_minute: _Count = None
    tokens_per_minute: _Count = None  # of prompts and answers
    max_concurrent: _Count = None  # requests under way at a time


class LimitsConfig(KeyLimitsConfig):
    """The [limits] section: of every client key, and of single ones instead."""

    keys: dict[Name, KeyLimitsConfig] = Field(default={})  # by the name of the client key

    def of(self, name: str) -> KeyLimitsConfig:
        """A key's limits: what is not set for it alone holds as for all."""
        own = self.keys.get(name)
        return self if own is None else self.model_copy(update=own.model_dump(exclude_none=True))

    @property
    def is_set(self) -> bool:
        """Whether any key is limited."""
        return self != LimitsConfig()
