"""Sessions are added up as their requests come, end and leave the list."""

from __future__ import annotations

from itertools import count

from nexus_core.observe.events import TokenUsage
from nexus_core.observe.origin.origin import NO_ORIGIN, Origin
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import RecentRequests
from nexus_core.types import Cost, CountMethod
from nexus_tui.view.model import ViewModel
from nexus_tui.view.sessions.book import SessionBook, Tally

MAIN = Origin("claude-code", "3f2a")
SUB = Origin("claude-code", "3f2a", "a71c")
OTHER = Origin("codex", "0199")
_ids = count()


def asked(origin: Origin = MAIN, at: float = 100.0, model: str = "opus") -> RequestRecord:
    return RequestRecord(f"r{next(_ids)}", at, asked_model=model, origin=origin)


def end(row: RequestRecord, **facts: object) -> RequestRecord:
    row.ended_at = row.at + 5
    row.status, row.backend, row.route_model = 200, "gpu", row.asked_model
    row.usage = TokenUsage(prompt_tokens=1000, completion_tokens=50, cached_tokens=800)
    row.counted = CountMethod.REPORTED
    for name, value in facts.items():
        setattr(row, name, value)
    return row


def booked(*rows: RequestRecord) -> dict[str | None, Tally]:
    return {one.session: one for one in SessionBook.of(rows).sessions}


def test_a_session_is_the_sum_of_its_requests() -> None:
    rows = [
        end(asked(), cost=Cost(2_000, "config")),
        end(asked(at=160), cost=Cost(500, "config"), counted=CountMethod.ESTIMATED),
        end(asked(OTHER)),
        asked(at=170),
    ]

    one = booked(*rows)["3f2a"]

    assert (one.agent, one.requests, one.running, one.errors) == ("claude-code", 3, 1, 0)
    assert (one.since, one.last) == (100, 170)
    assert (one.prompt_tokens, one.completion_tokens, one.cached_share) == (2000, 100, 0.8)
    assert (one.cost_nano_usd, one.is_estimated) == (2500, True)


def test_a_model_is_named_with_what_served_it_last() -> None:
    rows = [end(asked(), route_model="small"), end(asked(), route_model="large"), asked()]

    assert booked(*rows)["3f2a"].model_names == "opus → large"


def test_errors_and_unknown_prices_are_counted() -> None:
    failed = end(asked(), status=503, failed=True, backend=None, usage=None)
    unpriced = end(asked(), is_unpriced=True)

    one = booked(failed, unpriced)["3f2a"]

    assert (one.errors, one.unpriced, one.requests) == (1, 1, 2)


def test_a_subagent_counts_in_its_session_and_by_itself() -> None:
    one = booked(end(asked()), end(asked(SUB, model="haiku")), end(asked(SUB)))["3f2a"]
    sub = one.subagents["a71c"]

    assert (one.requests, sub.requests, sub.subagent) == (3, 2, "a71c")
    assert (sub.prompt_tokens, one.prompt_tokens) == (2000, 3000)


def test_the_models_that_were_asked_for_are_named_with_what_served() -> None:
    rows = [asked(), end(asked(), route_model="qwen3-coder"), end(asked(model="haiku"))]

    one = booked(*rows)["3f2a"]

    assert one.model_names == "opus → qwen3-coder, haiku"
    assert [*one.backends] == ["gpu"]


def test_requests_without_a_session_are_those_of_their_program() -> None:
    rows = [end(asked(Origin("curl"))), end(asked(Origin("curl"))), end(asked(NO_ORIGIN))]

    found = {one.key: one.requests for one in SessionBook.of(rows).sessions}

    assert found == {("curl", None): 2, (None, None): 1}


def test_the_longest_unused_session_goes_where_there_are_too_many() -> None:
    book = SessionBook(capacity=2)
    for name in ("a", "b", "a", "c"):
        book.came([asked(Origin("x", name))])

    assert [one.session for one in book.sessions] == ["a", "c"]
    assert book.is_full
    book.ended([end(asked(Origin("x", "b")))])  # of one that went: nothing happens
    assert [one.session for one in book.sessions] == ["a", "c"]


def test_what_a_session_came_to_outlives_its_rows_in_the_list() -> None:
    view = ViewModel(RecentRequests(), capacity=2, now=lambda: 0.0)
    rows = [end(asked()) for _ in range(5)]
    for seq, row in enumerate(rows):
        row.seq = seq
        view.take([row])

    (one,) = view.sessions.sessions

    assert (one.requests, one.prompt_tokens, [*view.rows]) == (5, 5000, rows[3:])


def test_a_filter_leaves_the_sessions_of_what_it_leaves() -> None:
    view = ViewModel(RecentRequests(), now=lambda: 0.0)
    rows = [end(asked()), end(asked(OTHER)), end(asked(OTHER, model="mini"))]
    for seq, row in enumerate(rows):
        row.seq = seq
    view.take(rows)

    view.set_filter("model:mini")

    assert [(one.session, one.requests) for one in view.sessions.sessions] == [("0199", 1)]
    late = end(asked(model="mini"))
    late.seq = 3
    view.take([late])
    assert {one.session for one in view.sessions.sessions} == {"0199", "3f2a"}
    view.set_filter("")
    assert {one.session: one.requests for one in view.sessions.sessions} == {"3f2a": 2, "0199": 2}


def test_a_request_is_taken_in_once_however_often_it_changes() -> None:
    view = ViewModel(RecentRequests(), now=lambda: 0.0)
    row = asked()
    view.take([row])
    row.status = 200
    view.take([row])
    assert [(one.requests, one.running) for one in view.sessions.sessions] == [(1, 1)]
    view.take([end(row)])

    assert [(one.requests, one.running) for one in view.sessions.sessions] == [(1, 0)]
    view.clear()
    assert not view.sessions.sessions


def test_a_session_that_was_forgotten_while_a_request_ran_has_no_fewer_than_none_running() -> None:
    book = SessionBook(capacity=1)
    early = asked()
    book.came([early])
    book.came([asked(OTHER)])
    late = asked(at=200)
    book.came([late])

    book.ended([end(early)])
    book.ended([end(late)])

    (one,) = book.sessions
    assert (one.requests, one.running) == (1, 0)


def test_sessions_that_take_turns_are_kept_apart() -> None:
    book = SessionBook()
    rows = [asked(origin) for origin in (MAIN, OTHER, MAIN, SUB, OTHER, OTHER, MAIN)]

    for row in rows:
        book.came([row])
        book.ended([end(row)])

    found = {one.session: (one.requests, one.running) for one in book.sessions}
    assert found == {"3f2a": (4, 0), "0199": (3, 0)}


def test_requests_that_come_together_are_summed_as_those_that_come_one_by_one() -> None:
    origins = (MAIN, OTHER, MAIN, SUB, OTHER, Origin("codex", "7"), SUB, MAIN)
    rows = [
        end(asked(origin, at=100 + n, model=f"m{n % 3}"), cost=Cost(n, "config"), failed=n == 5)
        for n, origin in enumerate(origins)
    ]
    by_one, together = SessionBook(), SessionBook()

    for row in rows:
        by_one.came([row])
        by_one.ended([row])
    together.came(rows)
    together.ended(rows)

    assert [sums(one) for one in together.sessions] == [sums(one) for one in by_one.sessions]
    assert [one.session for one in together.sessions] == ["0199", "7", "3f2a"]


def sums(one: Tally) -> dict[str, object]:
    found = {name: getattr(one, name) for name in Tally.__slots__}
    found["subagents"] = {name: sums(sub) for name, sub in one.subagents.items()}
    return found


def test_a_session_that_was_forgotten_begins_anew_with_its_next_request() -> None:
    book = SessionBook(capacity=1)
    first = asked(MAIN)
    book.came([first])

    book.came([asked(OTHER)])
    book.ended([end(first)])
    book.came([asked(MAIN)])

    assert [(one.session, one.requests) for one in book.sessions] == [("3f2a", 1)]


def test_after_a_clear_the_same_session_begins_anew() -> None:
    book = SessionBook()
    book.came([asked(MAIN)])

    book.clear()
    book.came([asked(MAIN)])

    assert [one.requests for one in book.sessions] == [1]
