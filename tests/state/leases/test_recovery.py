"""What a ledger lacks after a crash, and from where its owner counts on. No store is needed."""

from __future__ import annotations

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
