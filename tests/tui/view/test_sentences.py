"""What goes wrong is one sentence at the foot of the screen, whole or cut at a word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    BackendHealthChanged,
    BudgetStatusChanged,
    Considered,
    CooldownBegan,
    NexusEvent,
    RequestFinished,
    RequestRefused,
)
from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_core.types import BudgetStatus, HealthCause, HealthStatus, PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.text.numbers import clip
from nexus_tui.view.sentences import sentence
from tests.observe.happened import received, unserved
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import fixed_now
from tests.tui.screen import paint_round, screen_text
from tests.tui.staged import make_stage
from tests.waiting import until

OPEN, RESTRICTED = PrivacyZone.OPEN, PrivacyZone.RESTRICTED


def dropped(
    name: str, stage: str | None, why: str | None = None, zone: PrivacyZone = OPEN
) -> Considered:
    return Considered(
        backend=name,
        zone=zone,
        tier=None,
        health=HealthStatus.HEALTHY,
        priority=50,
        position=None if stage else 1,
        dropped_by=stage,
        why=why,
        model="gpt-4o",
    )


def attempt(backend: str, error: str) -> Attempt:
    return Attempt(backend=backend, error=error, status=None, elapsed_ms=1.0)


def finished(**changes: Any) -> RequestFinished:
    why = "no backend can serve 'gpt-4o' now: openai: the open zone is switched off"
    return replace(unserved(at=NOW, model="gpt-4o", error=why), **changes)


def nobody(*considered: Considered) -> RequestFinished:
    return finished(considered=considered)


CUT = "the open zone is switched off"
ELSEWHERE = dropped("ollama", "model", "does not serve gpt-4o")


def health(**changes: Any) -> BackendHealthChanged:
    values: dict[str, Any] = {
        "at": NOW,
        "backend": "openai",
        "health": HealthStatus.UNHEALTHY,
        "cause": HealthCause.UNREACHABLE,
        "detail": "connection refused",
    }
    return BackendHealthChanged(**values | changes)


def budget(before: BudgetStatus, after: BudgetStatus, client: str | None = None) -> NexusEvent:
    return BudgetStatusChanged(
        at=NOW, client=client, before=before, after=after, resets_in_seconds=60
    )


def cooldown(**changes: Any) -> CooldownBegan:
    values: dict[str, Any] = {
        "at": NOW,
        "backend": "vllm",
        "model": "llama3",
        "seconds": 5.0,
        "why": "answered 500",
    }
    return CooldownBegan(**values | changes)


def refused(status: int, code: str) -> RequestRefused:
    path = "/v1/chat/completions"
    return RequestRefused(at=NOW, request_id="r", path=path, status=status, code=code)


NORMAL, SOFT, HARD = BudgetStatus.NORMAL, BudgetStatus.SOFT_LIMIT, BudgetStatus.HARD_LIMIT

SENTENCES: list[tuple[NexusEvent, str | None]] = [
    (
        cooldown(is_circuit_open=True),
        "vllm keeps failing for llama3, tried again in 5 s: answered 500",
    ),
    (
        cooldown(is_circuit_open=True, model=None, why="connection refused"),
        "vllm keeps failing, tried again in 5 s: connection refused",
    ),
    (cooldown(is_circuit_open=False, why="answered 429"), None),
    (nobody(dropped("openai", "enabled", CUT)), "gpt-4o refused: the open zone is cut (r)"),
    (
        nobody(ELSEWHERE, dropped("openai", "enabled", CUT), dropped("claude", "enabled", CUT)),
        "gpt-4o refused: the open zone is cut (r)",
    ),
    (
        nobody(
            dropped("openai", "enabled", CUT),
            dropped("ollama", "enabled", "the restricted zone is switched off", RESTRICTED),
        ),
        "gpt-4o refused: the open zone is cut and the restricted zone is cut (r)",
    ),
    (
        nobody(dropped("openai", "enabled", CUT), dropped("vllm", "enabled", "switched off")),
        "gpt-4o refused: openai is in a zone that is off; vllm is switched off (r)",
    ),
    (
        nobody(dropped("openai", "zone", "zone open, the request is restricted")),
        "gpt-4o refused: restricted request, and only open backends serve the model (openai) (r)",
    ),
    (
        nobody(dropped("vllm", "healthy", "unhealthy: connection refused")),
        "gpt-4o refused: vllm is unhealthy (connection refused) (r)",
    ),
    (nobody(dropped("vllm", "capacity", "full: 4/4")), "gpt-4o refused: vllm is full (4/4) (r)"),
    (
        nobody(dropped("vllm", "tier", "no tier, minimum is 3")),
        "gpt-4o refused: vllm is below the minimum tier (no tier, minimum is 3) (r)",
    ),
    (
        nobody(dropped("vllm", "capable", "does not support vision")),
        "gpt-4o refused: vllm is not capable (does not support vision) (r)",
    ),
    (
        nobody(dropped("vllm", "budget", "the monthly budget is spent")),
        "gpt-4o refused: the monthly budget is spent (r)",
    ),
    (
        nobody(dropped("vllm", "cooldown", "cooldown, 12 s left: answered 429")),
        "gpt-4o refused: vllm is in cooldown, 12 s left: answered 429 (r)",
    ),
    (
        nobody(
            dropped("openai", "healthy", "unhealthy: connection refused"),
            dropped("claude-on-the-other-account", "capacity", "full: 16/16"),
            dropped("vllm", "cooldown", "cooldown, 12 s left: answered 429"),
        ),
        "gpt-4o refused: openai is unhealthy (connection refused); claude-on-the-other-account "
        "is full (16/16); vllm is in cooldown, 12 s left: answered 429 (r)",
    ),
    # Fallbacks: the backend's first word is about the asked model.
    (
        nobody(
            dropped("openai", "capacity", "full: 4/4"),
            dropped("openai", "model", "does not serve other"),
        ),
        "gpt-4o refused: openai is full (4/4) (r)",
    ),
    (
        finished(attempts=(attempt("openai", "answered 529"),)),
        "openai: answered 529 (gpt-4o, r)",
    ),
    (
        finished(attempts=(attempt("a", "answered 500"), attempt("b", "connection refused"))),
        "b: connection refused, after 1 other (gpt-4o, r)",
    ),
    (
        finished(backend="openai", error='backend "openai": the answer ended early'),
        "openai: the answer ended early (gpt-4o, r)",
    ),
    (
        finished(error="Nexus is shutting down; retry the request after the restart"),
        "gpt-4o failed: Nexus is shutting down; retry the request after the restart (r)",
    ),
    (
        finished(
            backend="b",
            error='backend "b": the answer ended early',
            attempts=(attempt("a", "answered 500"),),
            request_id="0123456789abcdef",
        ),
        "b: the answer ended early, after 1 other (gpt-4o, …9abcdef)",
    ),
    (finished(failed=False, status=404), None),
    (
        AttemptFailed(at=NOW, request_id="r", attempt=attempt("a", "answered 500")),
        None,
    ),
    (refused(401, "invalid_api_key"), "a request was refused (401): missing or invalid client key"),
    (refused(400, "invalid_request"), "a request was refused (400): invalid request"),
    (health(), "openai is unhealthy: connection refused"),
    (health(detail=None), "openai is unhealthy"),
    (
        health(cause=HealthCause.AUTH, detail="401: check OPENAI_API_KEY"),
        "openai: 401: check OPENAI_API_KEY",
    ),
    (health(health=HealthStatus.HEALTHY), None),
    (budget(NORMAL, HARD), "the monthly budget is spent"),
    (budget(SOFT, HARD, "ann"), "the monthly limit of ann is spent"),
    (
        budget(NORMAL, SOFT),
        "the monthly budget has reached its soft limit: local backends are preferred",
    ),
    (budget(HARD, SOFT), None),
    (budget(SOFT, NORMAL), None),
    # What strangers wrote steers no terminal, and takes no more than its room.
    (
        finished(model="[/]\x1b[2J" + "m" * 60, attempts=(attempt("\u202eb", "x\ny"),)),
        "\\u202eb: x\\x0ay ([/]\\x1b[2J" + "m" * 21 + "…, r)",
    ),
]


@pytest.mark.parametrize(("event", "words"), SENTENCES)
def test_an_event_in_one_sentence(event: NexusEvent, words: str | None) -> None:
    assert sentence(event) == words


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(("event", "words"), [one for one in SENTENCES if one[1]])
async def test_the_sentence_at_the_foot_is_whole_or_ends_at_a_word(
    event: NexusEvent, words: str, width: int
) -> None:
    stage = make_stage(plays=False)
    app = NexusApp(stage.source, now=fixed_now, logs=LogRing())

    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        if isinstance(event, RequestFinished):
            begun = received(event.request_id, at=NOW, model=event.model)
            stage.gateway.bus.publish(begun)
        stage.gateway.bus.publish(event)
        await until(lambda: words[:12] in foot(app))
        line, shown = screen_text(app).splitlines()[-1], foot(app)

    for hint in ("? help", ": command", "q quit"):
        assert hint in line
    room = width // 2 - len("│ ") - 1
    if cell_len(words) <= room:
        assert shown == words
    else:
        assert len(shown) >= room // 2
        assert words.startswith(shown.removesuffix("…"))


def foot(app: NexusApp) -> str:
    """What is said beside the hints."""
    return screen_text(app).splitlines()[-1].partition("│ ")[2].strip()


async def test_a_failed_requests_log_line_is_no_notice_beside_its_sentence() -> None:
    stage, logs = make_stage(plays=False), LogRing()
    app = NexusApp(stage.source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.pause()
        line = "no backend can serve gpt-4o status=503 request=ab12 asked=gpt-4o model=-"
        logs.add(LogLine(NOW, "warning", "nexus_core.proxy.progress", line))
        paint_round(app)
        before = foot(app)
        stage.gateway.bus.publish(received(at=NOW, model="gpt-4o"))
        stage.gateway.bus.publish(nobody(dropped("openai", "enabled", CUT)))
        await until(lambda: foot(app) == "gpt-4o refused: the open zone is cut (r)")

    assert "no backend" not in before


TRACE = "\\x0aTraceback (most recent call last):\\x0a  File …\\x0a    raise …\\x0a"
MEANWHILE = "\\x0aDuring handling of the above exception, another exception occurred:\\x0a"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ledger x: disk full; requests go on", "ledger x: disk full; requests go on"),
        (f"failed request=1 path='/x'{TRACE}ValueError: no", "internal error: ValueError: no"),
        (f"the server died{TRACE}OSError: a\\x0ab", "the server died: OSError: a"),
        (f"it broke{TRACE}KeyError: 1{MEANWHILE}{TRACE}OSError: no", "it broke: OSError: no"),
        (f"it broke{TRACE}", "it broke: see the log"),
    ],
)
async def test_a_warning_of_the_log_is_told_without_its_trace(text: str, words: str) -> None:
    logs = LogRing()
    app = NexusApp(make_stage(plays=False).source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.pause()
        logs.add(LogLine(NOW, "error", "nexus_core.api.app", text))
        paint_round(app)
        await until(lambda: foot(app) == words)


async def test_an_outcome_that_somebody_asked_for_goes_first() -> None:
    stage = make_stage(plays=False)
    app = NexusApp(stage.source, now=fixed_now, logs=LogRing())

    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.pause()
        app.notice("done")
        stage.gateway.bus.publish(health())
        paint_round(app)
        assert foot(app) == "done"
        app._notices._clear("done")
        await until(lambda: foot(app) == "openai is unhealthy: connection refused")


async def test_what_is_long_over_is_no_news() -> None:
    stage = make_stage(plays=False)
    app = NexusApp(stage.source, now=fixed_now, logs=LogRing())

    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.pause()
        stage.gateway.bus.publish(replace(health(), at=NOW - 3_600))
        paint_round(app)
        await pilot.pause()

        assert "unhealthy" not in foot(app)


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("all of it", 9, "all of it"),
        ("all of it fits not", 12, "all of it…"),
        ("a, b; and c", 6, "a, b…"),
        ("unbreakable", 6, "unbre…"),
        ("no-blank-in-the-second half", 20, "no-blank-in-the-sec…"),
        ("日本語の文", 5, "日本…"),
        ("text", 1, "…"),
    ],
)
def test_what_does_not_fit_ends_in_an_ellipsis(text: str, width: int, cut: str) -> None:
    assert clip(text, width) == cut


@given(st.text(max_size=60), st.integers(1, 40))
def test_what_is_cut_fits(text: str, width: int) -> None:
    assert cell_len(clip(text, width)) <= width
