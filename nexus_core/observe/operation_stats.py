"""Numbers of one backend, and of one kind of work."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from nexus_core.catalog import BackendType
from nexus_core.observe.histogram import Histogram, TokenHistogram

UNKNOWN_MODEL = "unknown"

# A backend may list any models it likes: beyond these its models are counted as one.
MAX_MODELS = 256
MAX_MODEL_LENGTH = 256


@dataclass(slots=True)
class BackendStats:
    """One backend's numbers, since the start or of a window."""

    attempts: int = 0  # requests that were sent to it
    answers: int = 0  # requests whose answer came from it
    failures: int = 0  # attempts that failed, and answers that broke off
    errors: Counter[str] = field(default_factory=Counter)  # what the failures were: a closed set
    prompt_tokens: int = 0  # as the backend reported them
    completion_tokens: int = 0
    counted_prompt_tokens: int = 0  # by Nexus, of answers without a report
    counted_completion_tokens: int = 0
    cost_nano_usd: int = 0  # of what has a price
    estimated_nano_usd: int = 0  # the part of it that is by counts of Nexus's own
    unpriced: int = 0  # answers that cost something, and nobody knows how much
    first_byte: Histogram = field(default_factory=Histogram)  # of what began with success
    total: Histogram = field(default_factory=Histogram)  # of whole answers
    models: set[str] = field(default_factory=set)  # that it was asked for, by its own names


BACKEND_COUNTS = tuple(one.name for one in fields(BackendStats) if one.default == 0)


class OperationKey(NamedTuple):
    """One kind of work: what was asked of which backend."""

    endpoint: str  # the path
    backend: str
    backend_type: BackendType
    model: str  # the backend's own name of it, or UNKNOWN_MODEL


@dataclass(slots=True)
class OperationStats:
    """How one kind of work went."""

    # By error, "" where there was none. From the attempt on: without failed attempts before it.
    duration: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    first_token: Histogram = field(default_factory=Histogram)  # streams; since the request came
    prompt_tokens: TokenHistogram = field(default_factory=TokenHistogram)
    completion_tokens: TokenHistogram = field(default_factory=TokenHistogram)
