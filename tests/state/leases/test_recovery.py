"""What a ledger lacks after a crash, and from where its owner counts on. No store is needed."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.state.leases.recovery import LOST, PRESUMED, Identity, Recovered, recover
from tests.state.leases.processes import process


def known(**owners: tuple[int, int]) -> dict[str, dict[str, str]]:
    return {
        "spent": {name: str(spent) for name, (spent, _) in owners.items()},
        "granted": {name: str(ceiling) for name, (_, ceiling) in owners.items() if ceiling},
    }


def test_rows_that_nobody_told_count_towards_the_lease() -> None:
    before = recover({"*": known(o=(100, 150))}, {"*": 120}, "o", is_first=True)

    assert before.missing == (Recovered(None, 30, PRESUMED),)
    assert before.bases["*"] == 150
    assert before.added["*"] == 30


def test_a_clients_rows_are_its_own_and_the_rest_is_nobodys() -> None:
    found = {"*": known(o=(100, 120)), "key:laptop": known(o=(50, 55))}

    before = recover(found, {"*": 90, "key:laptop": 45}, "o", is_first=True)

    assert before.missing == (
        Recovered("laptop", 5, LOST),
        Recovered(None, 5, LOST),
        Recovered("laptop", 5, PRESUMED),
        Recovered(None, 15, PRESUMED),
    )
    assert before.bases == {"*": 120, "key:laptop": 55}


def test_a_worker_that_comes_back_compares_no_ledger_that_others_write() -> None:
    found = {"*": known(**{"o.0": (100, 110), "o.1": (40, 60)})}

    before = recover(found, {"*": 500}, "o.1", is_first=False)

    assert before.missing == (Recovered(None, 20, PRESUMED),)
    assert before.bases["*"] == 60


def test_of_a_killed_worker_nothing_is_presumed_that_is_in_its_rows() -> None:
    found = {
        "*": known(**{"o.0": (100, 110), "o.1": (40, 60)}),
        "key:laptop": known(**{"o.1": (9, 20)}),
    }
    at_end = {"*": 53, "key:laptop": 15}

    before = recover(found, {"*": 500}, "o.1", is_first=False, at_end=at_end)

    assert before.missing == (Recovered("laptop", 5, PRESUMED), Recovered(None, 2, PRESUMED))
    assert before.bases["*"] == 60
    assert before.bases["key:laptop"] == 20


def test_a_worker_that_had_spent_more_than_it_was_granted_counts_on_from_there() -> None:
    found = {"*": known(o=(40, 60))}

    before = recover(found, {"*": 500}, "o", is_first=False, at_end={"*": 65})

    assert before.missing == ()
    assert before.bases["*"] == 65


def test_what_all_workers_had_spent_counts_once_where_the_store_lost_its_data_with_them() -> None:
    ledger = {"*": 500, "key:laptop": 90}
    first = recover({}, ledger, "o.0", is_first=True, at_end={"*": 300, "key:laptop": 50})
    found = {
        "*": known(**{"o.0": (first.bases["*"], 500)}),
        "key:laptop": known(**{"o.0": (first.bases["key:laptop"], 90)}),
    }
    at_end = {"*": 200, "key:laptop": 40}

    for told in ({}, found):  # what the first counts may not have been told yet
        second = recover(told, ledger, "o.1", is_first=False, at_end=at_end)

        assert first.bases == ledger
        assert second.missing == ()
        assert not any(second.bases.values())


def test_of_all_workers_the_first_takes_what_the_ledger_has_over() -> None:
    found = {"*": known(**{"o.0": (100, 0), "o.1": (40, 60)})}

    before = recover(found, {"*": 150}, "o.0", is_first=True)

    assert before.missing == ()
    assert before.bases["*"] == 110


def test_an_empty_store_learns_what_the_ledger_knows() -> None:
    before = recover({}, {"*": 70, "key:laptop": 20}, "o", is_first=True)

    assert before.missing == ()
    assert before.bases == {"*": 70, "key:laptop": 20}


def test_of_a_month_that_ends_before_the_store_answers_nothing_is_counted_on_from() -> None:
    one = process("redis://127.0.0.1:1", "box-1")
    lease, _ = one.account(1000)
    at_end = {"*": 900}
    one.money.join(Identity("box-1", 1, "boot", at_end), {None: 900}, {None: 900}, lambda _: None)
    one.money.report()
    one.money.turn("2026-12")
    one.money.report()

    found = {"*": {"granted": {"box-1.1": "0"}}}
    one.money.accept({"joined": found}, one.term.clock())

    assert (lease.spent, lease.elsewhere) == (0, 0)


@dataclass
class Workers:
    """Of one ledger, and what a store knows of them."""

    ledger: int = 0
    is_begun: bool = False  # this start of the replica is known to the store
    told: dict[str, int] = field(default_factory=dict[str, int])
    granted: dict[str, int] = field(default_factory=dict[str, int])
    living: dict[str, int] = field(default_factory=dict[str, int])  # and what they count as spent
    at_end: dict[str, int] = field(default_factory=dict[str, int])

    def start(self, owner: str) -> None:
        """Nothing where it runs."""
        if owner in self.living:
            return
        known = {
            "spent": {one: str(nano) for one, nano in self.told.items()},
            "granted": {one: str(nano) for one, nano in self.granted.items()},
        }
        end = self.at_end.get(owner)
        before = recover(
            {"*": known} if self.granted else {},
            {"*": self.ledger},
            owner,
            is_first=not self.is_begun,
            at_end=None if end is None else {"*": end},
        )
        self.is_begun = True
        self.ledger += sum(row.nano_usd for row in before.missing)
        self.living[owner] = before.bases["*"]
        self.report(owner)

    def report(self, owner: str) -> None:
        self.told[owner] = self.granted[owner] = self.living.get(owner, 0)

    def spend(self, owner: str, nano: int, more: int) -> None:
        """Under a lease of so much more."""
        if owner in self.living:
            self.living[owner] += nano
            self.granted[owner] = max(self.granted[owner], self.living[owner] + more)
            self.ledger += nano
            self.at_end[owner] = self.living[owner]

    def end(self) -> None:
        """All are killed."""
        self.living.clear()


_OWNER = st.sampled_from(["o.1", "o.2", "o.3"])
_STEPS = st.one_of(
    st.tuples(st.just("start"), _OWNER),
    st.tuples(st.just("kill"), _OWNER),
    st.tuples(st.just("report"), _OWNER),
    st.tuples(st.just("spend"), _OWNER, st.integers(1, 50), st.integers(0, 20)),
    st.tuples(st.sampled_from(["new supervisor", "store lost with them"])),
)


@given(st.lists(_STEPS, max_size=40))
def test_whoever_dies_and_comes_back_all_count_what_the_ledger_says(
    steps: list[tuple[str, ...]],
) -> None:
    workers = Workers()
    for what, *told in steps:
        match what, told:
            case "start", [owner]:
                workers.start(owner)
            case "kill", [owner]:
                workers.living.pop(owner, None)
            case "report", [owner] if owner in workers.living:
                workers.report(owner)
            case "spend", [owner, nano, more]:
                workers.spend(owner, int(nano), int(more))
            case "new supervisor", _:
                workers.end()
                workers.at_end.clear()
                workers.is_begun = False
            case "store lost with them", _:
                workers.end()
                workers.told.clear()
                workers.granted.clear()
                workers.is_begun = False
            case _:
                pass

    for owner in ("o.1", "o.2", "o.3"):
        workers.start(owner)
    assert sum(workers.living.values()) == workers.ledger
