"""Limits hold under concurrency, failures and the turn of a month; the sums are the ledger's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from nexus_core.config.schema import BudgetConfig
from nexus_core.money.budget import Budget, BudgetChange, Reservation
from nexus_core.money.ledger_queries import spent_by_client
from nexus_core.money.ledger_reader import SQLITE, LedgerReader
from nexus_core.money.ledger_schema import insert, migrate
from nexus_core.money.months import Month
from nexus_core.types import NANO, BudgetStatus
from tests.examples import promised
from tests.money.ledger_rows import row

NORMAL, SOFT, HARD = BudgetStatus.NORMAL, BudgetStatus.SOFT_LIMIT, BudgetStatus.HARD_LIMIT
NOVEMBER = Month(2026, 11)
AT = datetime(2026, 11, 24, tzinfo=UTC).timestamp()


def budget(spent_usd: float = 0, client: str | None = None, **config: Any) -> Budget:
    section = BudgetConfig.model_validate({"monthly_limit_usd": 10.0} | config)
    return Budget.rebuilt(section, NOVEMBER, {client: int(spent_usd * NANO)})


@pytest.mark.parametrize(
    ("spent", "expected"),
    [(0, NORMAL), (7.49, NORMAL), (7.5, SOFT), (9.99, SOFT), (10, HARD), (50, HARD)],
)
def test_the_status_follows_what_is_spent(spent: float, expected: BudgetStatus) -> None:
    assert budget(spent).status(None, AT) is expected


def test_without_a_limit_nothing_is_limited() -> None:
    unlimited = budget(10**6, monthly_limit_usd=None, unpriced="block")

    verdict = unlimited.verdict(None, AT)

    assert verdict.status is NORMAL
    assert verdict.allows(is_cloud=True, is_priced=False)
    assert not unlimited.is_limited
    assert budget(keys={"laptop": {"monthly_limit_usd": 1.0}}, monthly_limit_usd=None).is_limited


def test_a_limit_that_is_taken_away_is_still_reported() -> None:
    limited = budget(10)
    limited.changes(AT)

    limited.configure(BudgetConfig())

    assert limited.is_limited
    assert limited.changes(AT) == (BudgetChange(None, HARD, NORMAL),)


def test_a_change_is_told_once_and_one_that_went_back_not_at_all() -> None:
    limited = budget(keys={"laptop": {"monthly_limit_usd": 1.0}})

    first = limited.reserve("laptop", 2 * NANO, AT)
    told = [limited.changes(AT), limited.changes(AT)]
    limited.settle(first, 0, AT)
    second = limited.reserve("laptop", 2 * NANO, AT)
    limited.settle(second, 0, AT)

    assert told == [(BudgetChange("laptop", NORMAL, HARD),), ()]
    assert limited.changes(AT) == (BudgetChange("laptop", HARD, NORMAL),)


def test_a_limit_of_nothing_is_reached_at_once() -> None:
    assert budget(monthly_limit_usd=0.0).status(None, AT) is HARD


def test_what_is_reserved_counts() -> None:
    limited = budget()

    first = limited.reserve(None, 8 * NANO, AT)
    limited.reserve(None, 2 * NANO, AT)
    reserved = limited.status(None, AT)
    limited.settle(first, NANO, AT)

    assert reserved is HARD
    assert limited.status(None, AT) is NORMAL
    assert (limited.spent_nano_usd, limited.reserved_nano_usd) == (NANO, 2 * NANO)


@pytest.mark.parametrize(
    ("action", "local", "cloud"),
    [("warn", True, True), ("block_cloud", True, False), ("block_all", False, False)],
)
def test_the_hard_limit_does_what_the_config_says(action: str, local: bool, cloud: bool) -> None:
    verdict = budget(10, hard_limit_action=action).verdict(None, AT)

    assert verdict.status is HARD
    assert verdict.prefers_local
    assert verdict.allows(is_cloud=False, is_priced=False) is local
    assert verdict.allows(is_cloud=True, is_priced=True) is cloud


@pytest.mark.parametrize("spent", [0, 8])
def test_below_the_hard_limit_all_may_serve(spent: float) -> None:
    verdict = budget(spent, hard_limit_action="block_all").verdict(None, AT)

    assert verdict.allows(is_cloud=True, is_priced=True)
    assert verdict.allows(is_cloud=True, is_priced=False)
    assert verdict.allows(is_cloud=False, is_priced=False)
    assert verdict.prefers_local is (spent == 8)


@pytest.mark.parametrize(
    ("action", "unpriced", "allowed"),
    [("warn", "block", True), ("block_cloud", "block", False), ("block_all", "block", False),
     ("block_cloud", "allow", True)],
)  # fmt: skip
def test_a_model_without_a_price_may_be_shut_out(action: str, unpriced: str, allowed: bool) -> None:
    verdict = budget(0, hard_limit_action=action, unpriced=unpriced).verdict(None, AT)

    assert verdict.allows(is_cloud=True, is_priced=False) is allowed
    assert verdict.allows(is_cloud=True, is_priced=True)
    assert verdict.allows(is_cloud=False, is_priced=False)


def test_a_client_has_a_limit_of_its_own() -> None:
    limited = budget(2, "laptop", keys={"laptop": {"monthly_limit_usd": 2.0}})

    assert limited.status("laptop", AT) is HARD
    assert limited.status("phone", AT) is NORMAL
    assert limited.status(None, AT) is NORMAL
    assert limited.spent_nano_usd == 2 * NANO


def test_the_limit_of_all_holds_for_a_client_with_money_left() -> None:
    limited = budget(10, "phone", keys={"laptop": {"monthly_limit_usd": 2.0}})

    assert limited.status("laptop", AT) is HARD


def test_a_limit_for_a_key_that_is_not_there_is_found() -> None:
    limited = budget(keys={"laptop": {"monthly_limit_usd": 2.0}})

    assert limited.unknown_clients(["phone"]) == ("laptop",)
    assert limited.unknown_clients(["laptop", "phone"]) == ()


def test_a_reservation_is_settled_once() -> None:
    limited = budget()
    reservation = limited.reserve(None, NANO, AT)
    limited.settle(reservation, NANO, AT)

    with pytest.raises(KeyError):
        limited.settle(reservation, NANO, AT)

    assert limited.spent_nano_usd == NANO


def test_each_change_of_status_is_told_once() -> None:
    limited = budget(keys={"laptop": {"monthly_limit_usd": 1.0}})

    limited.settle(limited.reserve("laptop", 0, AT), 8 * NANO, AT)
    told = limited.changes(AT)

    assert told == (BudgetChange(None, NORMAL, SOFT), BudgetChange("laptop", NORMAL, HARD))
    assert limited.changes(AT) == ()
    assert limited.changes(NOVEMBER.end) == (
        BudgetChange(None, SOFT, NORMAL),
        BudgetChange("laptop", HARD, NORMAL),
    )


# Months -------------------------------------------------------------------------------------------


def test_a_month_starts_anew_at_midnight_utc() -> None:
    limited = budget(10)

    before = limited.verdict(None, NOVEMBER.end - 1)
    after = limited.verdict(None, NOVEMBER.end)

    assert (before.status, before.resets_in_seconds(NOVEMBER.end - 1)) == (HARD, 1)
    assert (after.status, after.resets_in_seconds(NOVEMBER.end)) == (NORMAL, 31 * 86_400)


def test_what_runs_over_midnight_is_paid_in_the_new_month() -> None:
    limited = budget(10)
    reservation = limited.reserve(None, 3 * NANO, NOVEMBER.end - 1)

    limited.settle(reservation, 2 * NANO, NOVEMBER.end + 1)

    assert limited.month == Month(2026, 12)
    assert (limited.spent_nano_usd, limited.reserved_nano_usd) == (2 * NANO, 0)


def test_a_clock_put_back_forgets_nothing() -> None:
    limited = budget(9)

    assert limited.status(None, Month(2026, 10).start) is SOFT
    assert limited.status(None, AT) is SOFT


# Other limits -------------------------------------------------------------------------------------


def test_a_new_limit_counts_what_was_spent_under_the_old_one() -> None:
    limited = budget(spent_usd=6)
    running = limited.reserve(None, NANO, AT)

    limited.configure(BudgetConfig(monthly_limit_usd=7.0))

    assert limited.status(None, AT) is HARD
    limited.settle(running, 0, AT)
    assert limited.status(None, AT) is SOFT


def test_a_client_limited_later_has_spent_what_it_spent() -> None:
    limited = budget(spent_usd=4, client="laptop")
    limited.reserve("laptop", NANO, AT)

    limited.configure(BudgetConfig.model_validate({"keys": {"laptop": {"monthly_limit_usd": 5.0}}}))

    assert limited.status("laptop", AT) is HARD
    assert limited.status("phone", AT) is NORMAL


def test_a_change_that_was_told_is_not_told_again_after_a_reload() -> None:
    limited = budget(spent_usd=8)
    assert limited.changes(AT) == (BudgetChange(None, NORMAL, SOFT),)

    limited.configure(BudgetConfig(monthly_limit_usd=10.0))
    again = limited.changes(AT)
    limited.configure(BudgetConfig(monthly_limit_usd=8.0))

    assert again == ()
    assert limited.changes(AT) == (BudgetChange(None, SOFT, HARD),)


# Concurrency --------------------------------------------------------------------------------------


@promised()
@given(estimates=st.lists(st.integers(0, 3 * NANO), max_size=40))
def test_concurrent_requests_overspend_by_one_estimate_at_most(estimates: list[int]) -> None:
    limited = budget()

    running = [
        limited.reserve(None, estimate, AT)
        for estimate in estimates
        if limited.verdict(None, AT).may_use_cloud
    ]
    for reservation in running:
        limited.settle(reservation, reservation.nano_usd, AT)

    assert limited.spent_nano_usd <= 10 * NANO + max(estimates, default=0)


CLIENTS = st.sampled_from([None, "laptop", "phone"])
LIMITS = {"laptop": 3.0}


class Accounts(RuleBasedStateMachine):
    """Requests run side by side and end well or not, over restarts and the turns of months."""

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.at = AT
        self.ledger = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.ledger)
        self.config = BudgetConfig.model_validate(
            {
                "monthly_limit_usd": 10.0,
                "keys": {name: {"monthly_limit_usd": limit} for name, limit in LIMITS.items()},
            }
        )
        self.budget = Budget(self.config, NOVEMBER)
        self.reserved: list[Reservation] = []

    def teardown(self) -> None:
        self.ledger.close()

    @rule(target=running, client=CLIENTS, estimate=st.none() | st.integers(0, 4 * NANO))
    def start(self, client: str | None, estimate: int | None) -> Reservation:
        reservation = self.budget.reserve(client, estimate, self.at)
        self.reserved.append(reservation)
        return reservation

    @rule(reservation=consumes(running), cost=st.none() | st.integers(0, 5 * NANO))
    def end(self, reservation: Reservation, cost: int | None) -> None:
        self.reserved.remove(reservation)
        self.budget.settle(reservation, cost, self.at)
        entry = row(client=reservation.client, at=self.at, cost_nano_usd=cost)
        insert(self.ledger, [entry])

    @rule(seconds=st.sampled_from([1.0, 86_400.0, 31 * 86_400.0]))
    def wait(self, seconds: float) -> None:
        self.at += seconds

    @rule(limits=st.dictionaries(st.sampled_from(["laptop", "phone"]), st.integers(0, 9)))
    def reload(self, limits: dict[str, int]) -> None:
        keys = {name: {"monthly_limit_usd": limit} for name, limit in limits.items()}
        self.config = BudgetConfig.model_validate({"monthly_limit_usd": 10.0, "keys": keys})
        self.budget.configure(self.config)

    @precondition(lambda self: not self.reserved)
    @rule()
    def restart(self) -> None:
        month = Month.of(self.at)
        self.budget = Budget.rebuilt(self.config, month, spent_by_client(read(self.ledger), month))

    @invariant()
    def the_sums_are_the_ledgers(self) -> None:
        self.budget.status(None, self.at)
        in_ledger = spent_by_client(read(self.ledger), Month.of(self.at))

        assert self.budget.spent_nano_usd == sum(in_ledger.values())
        for name, account in self.budget._clients.items():
            assert account.spent == in_ledger.get(name, 0)

    @invariant()
    def what_is_reserved_is_what_runs(self) -> None:
        def reserved(*clients: str | None) -> int:
            return sum(each.nano_usd for each in self.reserved if each.client in clients)

        assert self.budget.reserved_nano_usd == reserved(None, "laptop", "phone")
        for name, account in self.budget._clients.items():
            assert account.reserved == reserved(name)


def read(ledger: sqlite3.Connection) -> LedgerReader:
    return LedgerReader(ledger, SQLITE)


TestAccounts = Accounts.TestCase
TestAccounts.settings = promised()


def test_a_restart_finds_the_month_in_the_ledger(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "n.db", isolation_level=None)) as ledger:
        migrate(ledger)
        for client, at, cost in [
            ("laptop", AT, 2 * NANO),
            ("phone", AT, NANO),
            (None, AT, None),
            ("laptop", NOVEMBER.start - 1, 5 * NANO),
        ]:
            entry = row(client=client, at=at, cost_nano_usd=cost)
            insert(ledger, [entry])
        spent = spent_by_client(read(ledger), NOVEMBER)

    assert spent == {"laptop": 2 * NANO, "phone": NANO}
    assert Budget.rebuilt(BudgetConfig(), NOVEMBER, spent).spent_nano_usd == 3 * NANO
