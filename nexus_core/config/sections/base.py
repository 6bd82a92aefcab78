"""What every section of nexus.toml is made of: its base, its marks, and common values."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# A vendor's prefix, or a long run of small letters and digits. It errs on the side of hiding:
# all it decides is whether a message repeats what the file says.
_KEY_LIKE = re.compile(
    r"(?:^|[^A-Za-z])(?:AIza|(?:sk|pk|rk|gsk|xai|hf|ghp|pat|Bearer)[-_ ])[A-Za-z0-9]"
    r"|(?=[A-Za-z-]*\d)(?=[A-Z0-9-]*[a-z])[A-Za-z0-9-]{24,}"
)


def may_be_a_key(text: str) -> bool:
    """Whether `text` looks like a secret that messages must not repeat."""
    return _KEY_LIKE.search(text) is not None


def _variable_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) or may_be_a_key(name):
        raise ValueError(
            "is not the name of an environment variable (letters, digits and _); "
            "keys must not be in the file"
        )
    return name


HOST_PATTERN = r"^\S+$"
NAME_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"

Seconds = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]
VariableName = Annotated[str, AfterValidator(_variable_name)]


class AtStart:
    """Mark of a key or table whose change takes effect after a restart; all others are live."""


AT_START = AtStart()


class Section(BaseModel):
    """Base of config tables: unknown keys and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def at_start(section: type[Section]) -> tuple[str, ...]:
    """Names of a table's keys that are read at the start only."""
    return tuple(
        name
        for name, field in section.model_fields.items()
        if any(isinstance(mark, AtStart) for mark in field.metadata)
    )
