"""Errors, one class for each reaction of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from nexus_core.types import PrivacyZone

AvailabilityStatus = Literal["healthy", "unhealthy", "at_capacity", "disabled"]


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """Status of a backend that could serve a refused request."""

    name: str
    status: AvailabilityStatus
    zone: PrivacyZone
    tier: int | None


@dataclass(frozen=True, slots=True)
class ActionableErrorContext:
    """Context of a 503: what the client or its user can do."""

    required_tier: int | None
    available_backends: tuple[BackendStatus, ...]
    eta_seconds: int | None  # None when unknown


class NexusError(Exception):
    """Base of all errors that may be reported to clients."""

    status = 500  # HTTP
    code = "internal_error"
    type = "api_error"  # OpenAI's error type
    headers: tuple[tuple[str, str], ...] = ()  # what HTTP wants beside such a status

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message  # for the client: never holds a key or a body
        self.param = param  # the field or header at fault

    @property
    def may_pass(self) -> bool:
        """Whether the same request may fare better in a while, without anybody's doing."""
        return self.status >= 500 or self.status in _PASSING


# Of 4xx: a time-out, a conflict, a limit of requests. SDKs repeat these as they repeat a 5xx.
_PASSING = frozenset({408, 409, 429})


class InvalidRequestError(NexusError):
    """The request is invalid; the client has to change it."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class AuthenticationError(NexusError):
    """The client key is missing or wrong."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"
    headers = (("www-authenticate", "Bearer"),)


class PermissionDeniedError(NexusError):
    """The key, Host or Origin is not allowed on this path."""

    status = 403
    code = "permission_denied"
    type = "permission_error"


class ModelNotAllowedError(PermissionDeniedError):
    """The client key may not use the model."""

    code = "model_not_allowed"


class RateLimitedError(NexusError):
    """The client key is at one of its limits; the same request fits in after a while."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"

    def __init__(self, message: str, seconds: int) -> None:
        """`seconds` until the request would be let in, at least 1."""
        super().__init__(message)
        self.headers = (("retry-after", str(max(1, seconds))),)


class SharedLimitsError(NexusError):
    """The client key's limits are shared by replicas, and can't be asked for now."""

    status = 503
    code = "coordination_unavailable"
    type = "service_unavailable"
    headers = (("retry-after", "1"),)


class ReplicaNotFoundError(NexusError):
    """No such replica, or none that can be reached, or a call that is not passed on to it."""

    status = 404
    code = "replica_not_found"
    type = "invalid_request_error"


class KeyNotFoundError(NexusError):
    """No created client key has this name."""

    status = 404
    code = "key_not_found"
    type = "invalid_request_error"


class KeysUnavailableError(NexusError):
    """The store of client keys can't be read or written now."""

    status = 503
    code = "keys_unavailable"


class ModelNotFoundError(NexusError):
    """No backend serves the model, enabled or not."""

    status = 404
    code = "model_not_found"
    type = "invalid_request_error"


class EndpointNotServedError(NexusError):
    """The model is served, but by no backend type with this endpoint."""

    status = 404
    code = "endpoint_not_supported"
    type = "invalid_request_error"


class ContextLengthError(InvalidRequestError):
    """The prompt exceeds the context window of every backend that serves the model."""

    code = "context_length_exceeded"

    @classmethod
    def of(
        cls, needed: int | None, maximum: int | None, more: str, *, param: str = "messages"
    ) -> ContextLengthError:
        """The error in the words by which coding agents know that they have to compact.

        Claude Code reads `prompt is too long: N tokens > M maximum`, digits alone.

        Args:
            needed: tokens of the prompt; None: not known.
            maximum: tokens of the longest window; None: not known.
            more: whose window it is, for people.
        """
        sizes = ""
        if needed is not None and maximum is not None:
            sizes = f": {needed} tokens > {maximum} maximum"
        elif maximum is not None:
            sizes = f": more than {maximum} tokens"
        return cls(f"prompt is too long{sizes}; {more}", param=param)


class UnsupportedFieldsError(NexusError):
    """The chosen provider can't do what fields of the request ask for."""

    status = 422
    code = "unsupported_parameter"
    type = "invalid_request_error"

    def __init__(self, fields: dict[str, str]) -> None:
        """`fields` says of each field, by its path, why it can't be done; at least one."""
        reasons = "; ".join(f"{name}: {why}" for name, why in fields.items())
        super().__init__(reasons, param=next(iter(fields)))
        self.fields = fields

    def called(self, names: Mapping[str, str]) -> UnsupportedFieldsError:
        """The same error by a client's own names of the fields.

        Args:
            names: of a path's beginning. What a number follows is named as a whole: the parts of
                another format have other numbers.
        """
        fields: dict[str, str] = {}
        for path, why in self.fields.items():
            own = called(path, names)
            fields[own] = f"{fields[own]}, {why}" if own in fields else why
        return UnsupportedFieldsError(fields)


def called(path: str, names: Mapping[str, str]) -> str:
    """A field's path by a client's own names of its beginning, the longest that is known."""
    begin = path
    while begin not in names:
        cut = max(begin.rfind("."), begin.rfind("["))
        if cut < 0:
            return path
        begin = begin[:cut]
    own, rest = names[begin], path[len(begin) :]
    return own if rest.startswith("[") else own + rest


class BackendNotFoundError(NexusError):
    """No backend has this name."""

    status = 404
    code = "backend_not_found"
    type = "invalid_request_error"


class RequestNotFoundError(NexusError):
    """No request with this id is kept, or its bodies were not captured."""

    status = 404
    code = "request_not_found"
    type = "invalid_request_error"


class LedgerUnreadableError(NexusError):
    """The ledger exists but can't be read now."""

    status = 503
    code = "ledger_unreadable"


class PayloadTooLargeError(NexusError):
    """The body is larger than max_body_bytes."""

    status = 413
    code = "payload_too_large"
    type = "invalid_request_error"


class ServiceUnavailableError(NexusError):
    """No backend can serve the request now; `context` lists candidates and the retry time."""

    status = 503
    type = "service_unavailable"

    def __init__(
        self, message: str, context: ActionableErrorContext, *, may_pass: bool = True
    ) -> None:
        """`may_pass`: a slot, a cooldown or a probe may let the same request through soon."""
        super().__init__(message)
        self.context = context
        self._may_pass = may_pass

    @property
    def may_pass(self) -> bool:
        return self._may_pass


class CapacityExceededError(ServiceUnavailableError):
    """Backends that may serve this request exist, and all of them are busy."""

    code = "capacity_exceeded"


class OutOfDescriptorsError(ServiceUnavailableError):
    """Nexus is out of file descriptors; usually over in a moment."""

    code = "capacity_exceeded"

    def __init__(self, message: str) -> None:
        super().__init__(message, ActionableErrorContext(None, (), eta_seconds=1))

    @classmethod
    def now(cls) -> OutOfDescriptorsError:
        """The error in the usual words."""
        return cls("Nexus is out of file descriptors; retry the request in a moment")


class PrivacyConstraintError(ServiceUnavailableError):
    """Only the privacy restriction keeps the request from being served."""

    code = "privacy_constraint_violation"


class BudgetExceededError(ServiceUnavailableError):
    """The monthly budget blocks every backend that could serve the request."""

    code = "budget_exceeded"


class CoordinationUnavailableError(ServiceUnavailableError):
    """What replicas share can't be reached: not for the open zone, nor for limited money."""

    code = "coordination_unavailable"


class NoCapableBackendError(ServiceUnavailableError):
    """Every backend that serves the model is off, unhealthy or not capable."""

    code = "no_capable_backend"


class UpstreamFailedError(NexusError):
    """Every tried backend failed; the last failure in Nexus's own words."""

    status = 502
    code = "upstream_error"

    def __init__(self, message: str, *, status: int = 502, code: str = "upstream_error") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """A problem of the configuration."""

    text: str  # one line: file:line: key: what is wrong, what is allowed
    excerpt: tuple[str, ...] = ()  # the line of the file and a caret below it; holds no secret


class ConfigError(Exception):
    """Invalid configuration; holds all of its problems."""

    def __init__(self, problems: Iterable[str | ConfigProblem]) -> None:
        self.found = tuple(
            one if isinstance(one, ConfigProblem) else ConfigProblem(one) for one in problems
        )
        super().__init__("\n".join(self.problems))

    @property
    def problems(self) -> list[str]:
        """One line each, for records and programs."""
        return [problem.text for problem in self.found]

    @property
    def lines(self) -> list[str]:
        """For people: each problem, then the line of the file and a caret below it."""
        return [line for problem in self.found for line in (problem.text, *problem.excerpt)]
