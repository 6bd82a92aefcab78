"""Monthly budget limits: reserve before a request is sent, settle when it is over.

Months are UTC's. Pure: the clock is passed in, nothing is read or written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from nexus_core.config.schema import BudgetConfig
from nexus_core.money.months import Month
from nexus_core.types import NANO, BudgetStatus

if TYPE_CHECKING:
    from nexus_core.state.leases.account import MoneyLease
    from nexus_core.state.leases.money import MoneyLeases

_ORDER = (BudgetStatus.NORMAL, BudgetStatus.SOFT_LIMIT, BudgetStatus.HARD_LIMIT)


class Reservation:
    """Money reserved for one attempt; pass it to `Budget.settle` exactly once."""

    __slots__ = ("client", "is_open", "nano_usd")

    def __init__(self, client: str | None, nano_usd: int) -> None:
        self.client = client
        self.nano_usd = nano_usd
        self.is_open = True


class Verdict(NamedTuple):
    """The budget's verdict on a client's next request: allowed backends and preference."""

    status: BudgetStatus
    may_use_local: bool
    may_use_cloud: bool
    may_use_unpriced: bool  # cloud models whose price is unknown
    is_free: bool  # all of these may be used
    prefers_local: bool
    is_cut_off: bool  # what others spend can't be known, so nothing limited may be spent
    resets_at: float  # when the limits start anew, in seconds since the epoch

    def resets_in_seconds(self, at: float) -> int:
        """Until the limits start anew."""
        return max(1, round(self.resets_at - at))

    def allows(self, *, is_cloud: bool, is_priced: bool) -> bool:
        """Whether a backend may serve the request, as far as money goes."""
        if not is_cloud:
            return self.may_use_local
        return self.may_use_cloud and (is_priced or self.may_use_unpriced)


class BudgetChange(msgspec.Struct, frozen=True):
    """A change of a budget's status, by spending or by the turn of a month."""

    client: str | None  # None: the limit of the whole gateway
    before: BudgetStatus
    after: BudgetStatus


@dataclass(slots=True)
class _Account:
    """One limit, and what counts towards it."""

    limit: int | None  # nano-dollars; None: no limit
    soft: int  # from here on local is preferred
    spent: int = 0
    reserved: int = 0
    status: BudgetStatus = BudgetStatus.NORMAL  # when it was judged last
    reported: BudgetStatus = BudgetStatus.NORMAL  # the status that `changes` gave last
    lease: MoneyLease | None = None  # where several processes share it

    def judged(self) -> BudgetStatus:
        """The status by what is spoken for now."""
        if self.limit is None:
            return BudgetStatus.NORMAL
        spoken_for = self.spent + self.reserved
        if self.lease is not None:
            if self.lease.is_refused:
                return BudgetStatus.HARD_LIMIT
            spoken_for += self.lease.elsewhere
        if spoken_for >= self.limit:
            return BudgetStatus.HARD_LIMIT
        return BudgetStatus.SOFT_LIMIT if spoken_for >= self.soft else BudgetStatus.NORMAL

    @property
    def spent_by_all(self) -> int:
        """What was spent, by every process that shares the limit."""
        return self.spent if self.lease is None else self.spent + self.lease.elsewhere


@dataclass(slots=True)
class Budget:
    """Spent and reserved money of this month: of the whole gateway and each limited client.

    A request may start while less than the limit is spoken for; so each one that runs can overspend
    by its own estimate at the most, and by what the estimate was wrong. For one thread.
    """

    config: BudgetConfig
    month: Month
    created: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    # False: nothing is limited, and no change of a status is left to report. Then whoever asks for
    # nothing but a verdict, a status or changes may do without: it is NORMAL, and all is allowed.
    is_limited: bool = field(init=False)
    has_news: bool = field(init=False, default=True)  # False: `changes` has none to give
    _month_end: float = field(init=False)  # seconds since the epoch
    _all: _Account = field(init=False)
    _clients: dict[str, _Account] = field(init=False)
    # What is reserved, by client; the clients of whom nothing is are left out.
    _reserved: dict[str | None, int] = field(init=False, default_factory=dict[str | None, int])
    _spent: Counter[str | None] = field(init=False, default_factory=Counter)  # by client
    # By client, until a status changes.
    _verdicts: dict[str | None, Verdict] = field(
        init=False, default_factory=dict[str | None, Verdict]
    )
    _is_stale: bool = field(init=False, default=True)  # the accounts' statuses may be others
    _shared: MoneyLeases | None = field(init=False, default=None)
    _is_cut_off: bool = field(init=False, default=False)
    # The leases on limited accounts: those of a client with its own limit, else of everybody.
    leases_of_all: tuple[MoneyLease, ...] = field(init=False, default=())
    leases: dict[str | None, tuple[MoneyLease, ...]] = field(
        init=False, default_factory=dict[str | None, "tuple[MoneyLease, ...]"]
    )

    def __post_init__(self) -> None:
        self._all = self._account(self.config.monthly_limit_usd)
        limits = dict(self.created)
        for name, key in self.config.keys.items():
            told = [usd for usd in (key.monthly_limit_usd, limits.get(name)) if usd is not None]
            limits[name] = min(told, default=None)
        self._clients = {name: self._account(usd) for name, usd in limits.items()}
        accounts = (self._all, *self._clients.values())
        self.is_limited = any(account.limit is not None for account in accounts)
        self.heard()
        self._month_end = self.month.end

    def share(self, leases: MoneyLeases) -> None:
        """From now on other processes share the limits: these leases say how much is spent here."""
        self._shared = leases
        self._lease()

    def _lease(self) -> None:
        if self._shared is None:
            return
        self._shared.is_enforced = self.config.hard_limit_action != "warn"
        self._shared.turn(str(self.month))
        self._all.lease = self._shared.account(None, self._all)
        for name, account in self._clients.items():
            if account.limit is not None:
                account.lease = self._shared.account(name, account)
        limited = {name: one for name, one in self._clients.items() if one.limit is not None}
        self._shared.keep(limited)
        self.leases_of_all = self._leases_on(self._all)
        self.leases = {name: self._leases_on(self._all, one) for name, one in limited.items()}
        self.heard()

    @staticmethod
    def _leases_on(*accounts: _Account) -> tuple[MoneyLease, ...]:
        limited = [account.lease for account in accounts if account.limit is not None]
        return tuple(lease for lease in limited if lease is not None)

    def heard(self) -> None:
        """What other processes spend is another sum than before."""
        self._is_stale = self.has_news = True

    def limit_created(self, created: Mapping[str, float | None]) -> None:
        """Go by these limits of created keys, in dollars, from now on."""
        if created != self.created:
            self.created = created
            self.configure(self.config)

    def account(self, client: str, at: float) -> tuple[int, int]:
        """What a client has spent this month, and what is reserved, in nano-dollars."""
        self.turn(at)
        account, spent = self._clients.get(client), self._spent[client]
        if account is not None:
            spent = account.spent_by_all
        return spent, self._reserved.get(client, 0)

    def limit_usd(self, client: str) -> float | None:
        """A client's own limit a month, in dollars."""
        own = self._clients.get(client)
        return None if own is None or own.limit is None else own.limit / NANO

    def configure(self, config: BudgetConfig) -> None:
        """Go by these limits from now on; what is spent and reserved counts towards them."""
        reported = {name: account.reported for name, account in self._clients.items()}
        reported_for_all = self._all.reported
        self.config = config
        self.__post_init__()
        self._all.reported = reported_for_all
        self._all.spent = self._spent.total()
        self._all.reserved = sum(self._reserved.values())
        for name, account in self._clients.items():
            account.reported = reported.get(name, BudgetStatus.NORMAL)
            account.spent = self._spent[name]
            account.reserved = self._reserved.get(name, 0)
        self._lease()
        accounts = (self._all, *self._clients.values())
        if any(account.reported is not account.judged() for account in accounts):
            self.is_limited = True

    @classmethod
    def rebuilt(
        cls, config: BudgetConfig, month: Month, spent_by_client: Mapping[str | None, int]
    ) -> Budget:
        """A budget that goes on from what the ledger says of the month, in nano-dollars."""
        budget = cls(config, month)
        budget.recall(spent_by_client, month)
        return budget

    def recall(self, spent_by_client: Mapping[str | None, int], month: Month) -> None:
        """Add what was spent in a month before this process began; nothing if it is over."""
        if month != self.month:
            return
        for client, nano_usd in spent_by_client.items():
            self._count(client, spent=nano_usd)

    @property
    def spent_nano_usd(self) -> int:
        """What the month has cost so far, without what is reserved."""
        return self._all.spent_by_all

    @property
    def reserved_nano_usd(self) -> int:
        return self._all.reserved

    @property
    def limit_nano_usd(self) -> int | None:
        return self._all.limit

    def unknown_clients(self, names: Iterable[str]) -> tuple[str, ...]:
        """The limited clients for which there is no key: their limits hold nobody."""
        return tuple(sorted(self._clients.keys() - self.created.keys() - set(names)))

    def status(self, client: str | None, at: float) -> BudgetStatus:
        """The stricter of the gateway's status and the client's own."""
        return self.verdict(client, at).status

    def verdict(self, client: str | None, at: float) -> Verdict:
        """What a request of this client may use now. Ask before every attempt."""
        if at >= self._month_end:
            self.turn(at)
        shared = self._shared
        is_in_doubt = shared is not None and (shared.is_out or shared.term.is_alone)
        is_cut_off = is_in_doubt and shared is not None and shared.is_cut_off
        if self._is_stale or is_cut_off is not self._is_cut_off:
            self._is_cut_off = is_cut_off
            self._judge_all()
        verdict = self._verdicts.get(client)
        if verdict is None:
            verdict = self._verdicts[client] = self._verdict(client)
        return verdict

    def _verdict(self, client: str | None) -> Verdict:
        accounts, action = self._accounts(client), self.config.hard_limit_action
        status = max((account.status for account in accounts), key=_ORDER.index)
        is_over = status is BudgetStatus.HARD_LIMIT
        # What has no price escapes every limit, so where one blocks, such models may be shut out.
        is_limited = any(account.limit is not None for account in accounts)
        is_cut_off, blocks = self._is_cut_off and is_limited, is_limited and action != "warn"
        may_use_local = not (is_over and action == "block_all")
        may_use_cloud = not ((is_over or is_cut_off) and action != "warn")
        may_use_unpriced = not (blocks and self.config.unpriced == "block")
        return Verdict(
            status=status,
            may_use_local=may_use_local,
            may_use_cloud=may_use_cloud,
            may_use_unpriced=may_use_unpriced,
            is_free=may_use_local and may_use_cloud and may_use_unpriced,
            prefers_local=status is not BudgetStatus.NORMAL,
            is_cut_off=is_cut_off and not is_over,
            resets_at=self._month_end,
        )

    def _judge_all(self) -> None:
        self._is_stale = False
        self._verdicts.clear()
        for account in (self._all, *self._clients.values()):
            account.status = account.judged()

    def reserve(self, client: str | None, estimate_nano_usd: int | None, at: float) -> Reservation:
        """Set an attempt's estimate aside, right before it is sent. None: nobody knows the price.

        Decides nothing: `verdict` does, and no await may stand between the two.
        """
        if at >= self._month_end:
            self.turn(at)
        reservation = Reservation(client, max(0, estimate_nano_usd or 0))
        self._count(client, reserved=reservation.nano_usd)
        return reservation

    def settle(self, reservation: Reservation, cost_nano_usd: int | None, at: float) -> None:
        """The attempt is over: what it cost, as the ledger's row of the same moment says.

        None or 0 when it cost nothing, or nobody knows how much.

        Raises:
            KeyError: it was settled before.
        """
        if at >= self._month_end:
            self.turn(at)
        if not reservation.is_open:
            raise KeyError(reservation)
        reservation.is_open = False
        self._count(reservation.client, reserved=-reservation.nano_usd, spent=cost_nano_usd or 0)

    def changes(self, at: float) -> tuple[BudgetChange, ...]:
        """What changed since the last call; ask after every reservation and settlement."""
        self.turn(at)
        if not self.has_news:
            return ()
        self.has_news = False
        if self._is_stale:
            self._judge_all()
        found: list[BudgetChange] = []
        for client, account in ((None, self._all), *self._clients.items()):
            status = account.status
            if status is not account.reported:
                found.append(BudgetChange(client, account.reported, status))
                account.reported = status
        return tuple(found)

    def _count(self, client: str | None, *, reserved: int = 0, spent: int = 0) -> None:
        """Add to what is reserved and spent; a negative sum is not reserved any more."""
        all_reserved = self._reserved.get(client, 0) + reserved
        if all_reserved:
            self._reserved[client] = all_reserved
        else:
            self._reserved.pop(client, None)
        if spent:
            self._spent[client] += spent
        own = self._clients.get(client) if client is not None else None
        for account in (self._all,) if own is None else (self._all, own):
            account.reserved += reserved
            account.spent += spent
            if account.limit is not None and account.judged() is not account.status:
                self.heard()

    def _account(self, limit_usd: float | None) -> _Account:
        if limit_usd is None:
            return _Account(None, 0)
        limit = Decimal(repr(limit_usd)) * NANO
        soft = limit * Decimal(repr(self.config.soft_limit_percent)) / 100
        return _Account(int(limit), int(soft))

    def _accounts(self, client: str | None) -> tuple[_Account, ...]:
        own = self._clients.get(client) if client is not None else None
        return (self._all,) if own is None else (self._all, own)

    def turn(self, at: float) -> None:
        """Start anew with a new month, before a number is read; whatever takes a moment does so.

        What is still reserved will be settled in the new month, and counts. A clock that is put
        back changes nothing.
        """
        if at < self._month_end:
            return
        self.month = Month.of(at)
        self._month_end = self.month.end
        self.heard()
        for account in (self._all, *self._clients.values()):
            account.spent = 0
        self._spent.clear()
        if self._shared is not None:
            self._shared.turn(str(self.month))
