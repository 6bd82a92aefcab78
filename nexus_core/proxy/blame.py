"""Attribute failed attempts to a model of a backend, a whole backend, or the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from nexus_core.fleet.circuit import NO_CREDIT_SECONDS
from nexus_core.fleet.registry import Registry
from nexus_core.providers import InferenceAgent
from nexus_core.proxy.exchange import Failure
from nexus_core.proxy.judge.fault import FailureKind
from nexus_core.proxy.retry_after import retry_after_seconds
from nexus_core.routing.router import RouteDecision

_HASHED_BYTES = 65_536  # at each end of a body: enough to tell prompts apart, and never slow


class _Failed(msgspec.Struct, frozen=True):
    backend: str
    model: str  # the backend's own name
    why: str  # for people


class Blame(msgspec.Struct, eq=False):
    """What became of one request's attempts; settled once it shows whether the request is at fault.

    | failed at | and then | counts |
    | --- | --- | --- |
    | one backend | another one answered | against it |
    | one backend | no other one was left | against it, but the same body only once |
    | several | another one answered | against each, and it takes many such requests |
    | several | nobody answered | against nobody: it is the request |
    | any | a backend said that the request is wrong | against nobody |

    So no prompt, however often it is sent, takes a model from everybody else.
    """

    registry: Registry
    body: bytes
    doubt: Callable[[str], None]  # has a probe find out whether a backend refuses the key
    now: Callable[[], float]  # seconds since the epoch
    # Of the latest attempt: its first candidate was tried, the others might be, if it fails.
    decision: RouteDecision | None = None
    unsettled: list[_Failed] = []
    _failed: int = 0  # backends that failed, settled or not
    _is_forgiven: bool = False

    def __repr__(self) -> str:
        """What may be shown: no prompt."""
        return f"Blame(unsettled={self.unsettled!r})"

    def learn(self, agent: InferenceAgent, model: str, failure: Failure) -> None:
        """What a failed attempt says: of the model, of the whole backend, or of nobody."""
        name, why, cooldowns = agent.name, failure.why, self.registry.cooldowns
        if failure.status == 403:
            self.doubt(name)  # whatever its words: they may repeat a prompt
        match failure.kind:
            case FailureKind.FAILED:
                self.add(name, model, why)
            case FailureKind.UNREACHABLE:
                cooldowns.unreachable(name, why)
            case FailureKind.BUSY:
                cooldowns.rest(name, model, self._asked_seconds(failure), why)
            case FailureKind.ACCOUNT_BUSY:
                note = f"{why}, for the whole account"
                cooldowns.rest(name, None, self._asked_seconds(failure), note)
            case FailureKind.NO_CREDIT:
                note = f"the account has no credit: {why}"
                cooldowns.rest(name, None, NO_CREDIT_SECONDS, note)
            case FailureKind.REFUSED_KEY if failure.status != 403:
                hint = f"{failure.status}: {agent.auth_hint}"
                self.registry.record_refused_key(name, hint)
            case FailureKind.REFUSED_KEY | FailureKind.FORBIDDEN:
                pass  # the probe says it
            case FailureKind.REFUSED_CONTENT:
                self.forgive()
            case FailureKind.TOO_LONG:
                pass  # another window may be longer
            case FailureKind.NOT_SENT:
                pass  # the operator's doing
            case _:
                assert_never(failure.kind)

    def _asked_seconds(self, failure: Failure) -> float | None:
        return retry_after_seconds(failure.headers, self.now())

    def add(self, backend: str, model: str, why: str) -> None:
        """An attempt failed in a way that may be the backend's fault or the request's."""
        self.unsettled.append(_Failed(backend, model, why))
        self._failed += 1

    @property
    def _has_others(self) -> bool:
        """Somebody else might be asked instead of the latest one."""
        order = self.decision.order if self.decision is not None else ()
        names = {choice.backend.name for choice in order}
        return len(names) > 1

    def forgive(self) -> None:
        """A backend has said that it is the request."""
        self._is_forgiven = True

    def settle(self, *, is_answered: bool = False) -> None:
        """Count what is not counted yet: the request is over.

        Args:
            is_answered: another backend answers it; those that failed before are known by that.
        """
        if not self.unsettled:
            return
        failed, self.unsettled = self.unsettled, []
        if self._is_forgiven or (self._failed > 1 and not is_answered):
            return
        is_repeatable = is_answered or self._has_others
        content = None if is_repeatable else _digest(self.body)
        for one in failed:
            self.registry.cooldowns.fail(
                one.backend, one.model, one.why, content=content, is_shared=self._failed > 1
            )


def _digest(body: bytes) -> int:
    """The same for the same body, in this process; bounded work for a body of any length."""
    return hash((len(body), body[:_HASHED_BYTES], body[-_HASHED_BYTES:]))
