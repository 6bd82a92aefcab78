"""A created key in use: what its requests may ask for, and whether there is room for one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nexus_core.config.schema import RoutingConfig
from nexus_core.errors import ModelNotAllowedError, RateLimitedError
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.keys.key import StoredKey
from nexus_core.keys.meter import SECOND, KeyMeter
from nexus_core.routing.requirements import (
    NO_HINTS,
    Requirements,
    RoutingHints,
    read_requirements,
    spellings,
)
from nexus_core.types import PrivacyZone

if TYPE_CHECKING:
    from nexus_core.keys.shared_limits import SharedLimits

_MAX_KNOWN = 4096  # requirements whose verdict is kept
_Verdict = tuple[Requirements, Requirements | None]  # as asked, and as allowed; None: not at all


class HeldKey:
    """A key and its meter. Another one takes its place when the key is changed."""

    __slots__ = ("_hints", "_verdicts", "clock", "meter", "stored")

    def __init__(self, stored: StoredKey, meter: KeyMeter, clock: Callable[[], int]) -> None:
        """
        Args:
            meter: that holds the key's limits, and those of [limits] where they are stricter.
            clock: gives monotonic nanoseconds.
        """
        self.stored = stored
        self.meter = meter
        self.clock = clock
        self._hints = self._bound(NO_HINTS)
        self._verdicts: dict[int, _Verdict] = {}  # by the identity of the requirements

    @property
    def name(self) -> str:
        return self.stored.name

    def need(self, model: str, asked: RoutingHints, routing: RoutingConfig) -> Requirements:
        """Requirements of a request with the key.

        Raises:
            ModelNotAllowedError: the key may not use the model.
        """
        return self.allowed(read_requirements(model, self.hints(asked), routing))

    def hints(self, asked: RoutingHints) -> RoutingHints:
        """A request's hints under the key's zone and tier: the stricter wins."""
        return self._hints if asked is NO_HINTS else self._bound(asked)

    def _bound(self, asked: RoutingHints) -> RoutingHints:
        limits = self.stored.limits
        tiers = [tier for tier in (asked.min_tier, limits.tier) if tier is not None]
        zone = PrivacyZone.RESTRICTED if self._is_restricted else asked.zone
        bound = replace(asked, zone=zone, min_tier=max(tiers, default=None))
        return NO_HINTS if bound == NO_HINTS else bound

    @property
    def _is_restricted(self) -> bool:
        return self.stored.limits.zone is PrivacyZone.RESTRICTED

    def allowed(self, need: Requirements) -> Requirements:
        """The requirements, without the fallbacks that the key may not use.

        Raises:
            ModelNotAllowedError: it may not use the model itself.
        """
        if self.stored.limits.models is None:
            return need
        verdict = self._verdicts.get(id(need))
        if verdict is None or verdict[0] is not need:
            if len(self._verdicts) >= _MAX_KNOWN:
                self._verdicts.clear()
            verdict = self._verdicts[id(need)] = need, self._judge(need)
        allowed = verdict[1]
        if allowed is None:
            asked = need.resolved[0] if need.resolved else need.model
            raise ModelNotAllowedError(
                f"client key {self.name!r} may not use the model {asked!r}; "
                "GET /v1/models lists those that it may",
                param="model",
            )
        return allowed

    def _judge(self, need: Requirements) -> Requirements | None:
        if not self.may_ask(need.resolved or (need.model,)):
            return None
        fallbacks = tuple(one for one in need.fallbacks if self.may_ask(one.resolved))
        return need if fallbacks == need.fallbacks else replace(need, fallbacks=fallbacks)

    def may_ask(self, names: tuple[str, ...]) -> bool:
        """Whether a model is among the key's, by the asked name or the one behind its aliases."""
        globs = self.stored.limits.models
        if globs is None:
            return True
        told = {spelling for name in (names[0], names[-1]) for spelling in spellings(name)}
        return any(fnmatchcase(name, glob) for glob in globs for name in told)

    def sees(self, backend: BackendSnapshot) -> bool:
        """Whether requests with the key may go to the backend, as far as zone and tier go."""
        limits = self.stored.limits
        if self._is_restricted and backend.zone is not PrivacyZone.RESTRICTED:
            return False
        return limits.tier is None or (backend.tier is not None and backend.tier >= limits.tier)

    def permit(self) -> KeyPermit:
        """A permit for one request; to be entered before it is routed."""
        return KeyPermit(self)


class KeyPermit:
    """The share of one request in its key's limits."""

    __slots__ = ("_began", "_key", "_taken")

    def __init__(self, key: HeldKey) -> None:
        self._key = key
        self._taken = 0
        self._began: int | None = None  # None: it is not under way

    def enter(self, tokens: Callable[[], int]) -> Awaitable[None] | None:
        """Take part in the limits.

        Args:
            tokens: about how many the request and its answer come to; asked where they count.

        Raises:
            RateLimitedError: there is no room; nothing was taken.

        Returns:
            What is to be awaited before the request is in, which raises the same, where other
            processes have to be asked.
        """
        key, meter = self._key, self._key.meter
        at = key.clock()
        tpm = meter.tpm
        if tpm is not None:
            self._taken = min(tpm.limit, tokens())
        shared = meter.shared
        if shared is not None:
            meter.begin(at)
        elif wait := meter.wait(self._taken, at):
            raise RateLimitedError(_why(key, self._taken, at), -(-wait // SECOND))
        self._began = at
        return None if shared is None or shared.enters(self._taken) else self._ask(shared, at)

    async def _ask(self, shared: SharedLimits, at: int) -> None:
        try:
            await shared.obtain(self._taken)
        except BaseException:
            self._began = None
            self._key.meter.refuse(at)
            raise

    def may_ask(self, names: tuple[str, ...]) -> bool:
        """Whether a model is among the key's: the asked name, then each alias it goes through."""
        return self._key.may_ask(names)

    def leave(self, used: int) -> None:
        """The request is over, and came to so many tokens; once, whether it was entered or not."""
        began = self._began
        if began is not None:
            self._began = None
            self._key.meter.leave(self._taken, used, began, self._key.clock())


def _why(key: HeldKey, tokens: int, at: int) -> str:
    """Which of the limits it is: the one that takes longest, where it is more than one."""
    meter = key.meter
    whose = f"client key {key.name!r}"
    rpm, tpm = meter.rpm, meter.tpm
    for_requests = 0 if rpm is None else rpm.wait(1, at)
    for_tokens = 0 if tpm is None else tpm.wait(tokens, at)
    if tpm is not None and for_tokens > for_requests:
        return (
            f"{whose} is at its limit of {tpm.limit} tokens a minute; "
            f"this request was taken for about {tokens}"
        )
    if rpm is not None and for_requests:
        return f"{whose} is at its limit of {rpm.limit} requests a minute"
    return f"{whose} has {meter.under_way} requests under way, as many as it may"
