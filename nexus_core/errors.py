"""What can go wrong, one class for each reaction of the caller."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nexus_core.types import PrivacyZone

AvailabilityStatus = Literal["healthy", "unhealthy", "at_capacity", "disabled"]


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """One backend that could serve a refused request, and what it is like now."""

    name: str
    status: AvailabilityStatus
    zone: PrivacyZone
    tier: int | None


@dataclass(frozen=True, slots=True)
class ActionableErrorContext:
    """What a client or its user can do about a 503."""

    required_tier: int | None
    available_backends: tuple[BackendStatus, ...]
    eta_seconds: int | None  # None when unknown


class NexusError(Exception):
    """Base of every failure a client may be told about."""

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
    """The client sent something it has to change."""

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
    """The key or origin is not for this surface."""

    status = 403
    code = "permission_denied"
    type = "permission_error"


class ModelNotFoundError(NexusError):
    """No backend serves the model, enabled or not."""

    status = 404
    code = "model_not_found"
    type = "invalid_request_error"


class EndpointNotServedError(NexusError):
    """Backends serve the model, and none of them is of a type that has the endpoint."""

    status = 404
    code = "endpoint_not_supported"
    type = "invalid_request_error"


class ContextLengthError(InvalidRequestError):
    """The prompt is longer than the window of every backend that serves the model."""

    code = "context_length_exceeded"


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


class BackendNotFoundError(NexusError):
    """There is no backend of that name."""

    status = 404
    code = "backend_not_found"
    type = "invalid_request_error"


class RequestNotFoundError(NexusError):
    """Nothing is known of a request of that id, or what is asked for was not kept."""

    status = 404
    code = "request_not_found"
    type = "invalid_request_error"


class LedgerUnreadableError(NexusError):
    """There should be a ledger, and it can't be read now."""

    status = 503
    code = "ledger_unreadable"


class PayloadTooLargeError(NexusError):
    """The body is over max_body_bytes."""

    status = 413
    code = "payload_too_large"
    type = "invalid_request_error"


class ServiceUnavailableError(NexusError):
    """Nobody can serve the request now; `context` says who could, and when."""

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
    """This process may open no further file or connection now: nobody's fault, soon over."""

    code = "capacity_exceeded"

    def __init__(self, message: str) -> None:
        super().__init__(message, ActionableErrorContext(None, (), eta_seconds=1))

    @classmethod
    def now(cls) -> OutOfDescriptorsError:
        """The error in the usual words."""
        return cls("Nexus is out of file descriptors; retry the request in a moment")


class PrivacyConstraintError(ServiceUnavailableError):
    """Only the restriction keeps the request from being served."""

    code = "privacy_constraint_violation"


class BudgetExceededError(ServiceUnavailableError):
    """The month's budget is spent, and nobody else may serve the request."""

    code = "budget_exceeded"


class NoCapableBackendError(ServiceUnavailableError):
    """Every backend that serves the model is off, unhealthy or not what was asked for."""

    code = "no_capable_backend"


class UpstreamFailedError(NexusError):
    """Every backend that was tried failed; the last failure in Nexus's own words."""

    status = 502
    code = "upstream_error"

    def __init__(self, message: str, *, status: int = 502, code: str = "upstream_error") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong with the configuration."""

    text: str  # one line: file:line: key: what is wrong, what is allowed
    excerpt: tuple[str, ...] = ()  # the line of the file and a caret below it; holds no secret


class ConfigError(Exception):
    """The configuration can't be used; tells everything that is wrong with it."""

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
