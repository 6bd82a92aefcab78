import ast
import json
import logging
import time
from pathlib import Path

import pytest
from msgspec import structs

import nexus_core
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.errors import ModelNotFoundError
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import NexusEvent, RequestFinished, RouteDecided, TokenUsage
from nexus_core.observe.record import RequestRecord
from nexus_core.proxy.charge import Charge, ReportedUsage
from nexus_core.proxy.exchange import Failure
from nexus_core.proxy.progress import RequestProgress
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.requirements import Requirements
from nexus_core.types import Operation, RouteReason
from nexus_tui.process.logs.log_handlers import JsonFormatter, PrettyFormatter
from tests.made_up_backends import decide, no_ledger, snapshot

KEYS = [
    "error",
    "status",
    "request",
    "asked",
    "model",
    "backend",
    "zone",
    "reason",
    "prompt_tokens",
    "completion_tokens",
    "counted",
    "cost_usd",
    "is_unpriced",
    "total_ms",
    "first_byte_ms",
    "overhead_ms",
    "upstream_ms",
    "attempts",
    "client_left",
    "error_code",
    "agent",
    "session",
]
PROMPT = "the secret of the prompt"


def request(model: str = "fast") -> ProxyRequest:
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
    return ProxyRequest(
        envelope=read_request(Operation.CHAT, json.dumps(body).encode(), "r1"),
        dialect=OPENAI_CHAT,
        need=Requirements(model, (model,)),
        client=None,
        headers=(),
        received=time.monotonic(),
    )


def new_record(model: str = "fast") -> RequestProgress:
    record = RequestProgress(request(model), EventBus(), no_ledger(), lambda: 0.0)
    record.received()
    return record


def serve(record: RequestProgress, name: str, attempt: int = 1) -> None:
    selected = SelectedRoute(snapshot(name), "llama3:70b", RouteReason.BACKEND_FAILOVER)
    record.routed(selected, decide(record.request.need, selected.backend), attempt)


def after_a_failover() -> RequestProgress:
    record = new_record()
    serve(record, "a")
    verdict = ValueError  # never read
    record.attempt_failed("a", Failure("answered 503", verdict, 503), 0.0125)  # type: ignore[arg-type]
    serve(record, "b", 2)
    record.began("b", 200, b"")
    record.open_charge(snapshot("b"), "llama3:70b")
    record.relayed(
        ReportedUsage(usage=TokenUsage(prompt_tokens=3, completion_tokens=4), is_whole=True)
    )
    return record


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "nexus_core.proxy.progress")
    return caplog


def as_json(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    (line,) = caplog.records
    values = json.loads(JsonFormatter().format(line))
    assert isinstance(values, dict)
    return values


def as_pretty(caplog: pytest.LogCaptureFixture) -> str:
    (line,) = caplog.records
    return PrettyFormatter().format(line)


def test_a_finished_request_is_one_line_with_real_keys(told: pytest.LogCaptureFixture) -> None:
    after_a_failover().finished()

    line = as_json(told)
    assert list(line) == ["time", "level", "logger", "message", *KEYS]
    assert line["message"] == "finished"
    assert (line["request"], line["asked"], line["model"]) == ("r1", "fast", "llama3:70b")
    assert (line["backend"], line["zone"]) == ("b", "restricted")
    assert (line["reason"], line["status"]) == ("backend-failover", 200)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (3, 4)
    assert line["attempts"] == [
        {"backend": "a", "status": 503, "error": "answered 503", "ms": 12.5}
    ]
    assert PROMPT not in str(line)


def test_the_keys_are_the_same_when_nobody_answered(told: pytest.LogCaptureFixture) -> None:
    record = new_record()
    record.erred(ModelNotFoundError("no backend serves it"))

    record.finished()

    line = as_json(told)
    assert list(line)[4:] == KEYS
    assert [line[key] for key in ("model", "backend", "zone", "reason")] == [None] * 4
    assert [line[key] for key in ("prompt_tokens", "first_byte_ms", "overhead_ms")] == [None] * 3
    assert line["attempts"] == []
    assert (line["error_code"], line["error"]) == ("model_not_found", "no backend serves it")


def test_the_pretty_line_is_key_equals_value(told: pytest.LogCaptureFixture) -> None:
    after_a_failover().finished()

    line = as_pretty(told)
    begin = "finished status=200 request=r1 asked=fast model=llama3:70b"
    assert f"nexus_core.proxy.progress: {begin}" in line
    assert " zone=restricted reason=backend-failover prompt_tokens=3 " in line
    assert '"error":"answered 503","ms":12.5}] client_left=false error_code=-' in line


@pytest.mark.parametrize("model", ["m backend=evil", "m\nINFO fake", "-", 'a"b', "\x1b[31m", "a=b"])
def test_a_hostile_model_name_forges_neither_a_key_nor_a_line(
    told: pytest.LogCaptureFixture, model: str
) -> None:
    new_record(model).finished()

    assert as_json(told)["asked"] == model
    line = as_pretty(told)
    assert line.isprintable()
    assert f" asked={json.dumps(model)} model=- backend=- " in line


def test_a_failed_request_is_a_warning(told: pytest.LogCaptureFixture) -> None:
    record = new_record()
    record.broke("the answer broke off")

    record.finished()

    assert as_json(told)["level"] == "warning"
    assert as_json(told)["error_code"] == "upstream_error"


def test_a_crash_has_the_code_that_its_client_gets() -> None:
    record = new_record()

    record.crashed()

    assert (record.record.status, record.record.error_code) == (500, "internal_error")


def test_nexus_own_share_is_what_backends_did_not_take() -> None:
    record = new_record()
    record.request = structs.replace(record.request, received=time.monotonic() - 10)
    serve(record, "b")
    record.waited(9.5)

    selected = record.selected

    assert selected is not None
    assert selected.overhead_ms == pytest.approx(500, abs=100)


def test_the_header_and_the_event_tell_the_same_share() -> None:
    bus = EventBus()
    events = bus.subscribe()
    record = RequestProgress(request(), bus, no_ledger(), lambda: 0.0)
    record.received()
    serve(record, "b")
    selected = record.selected
    record.began("b", 200, b"")

    record.finished()

    last = events.drain()[-1]
    assert isinstance(last, RequestFinished)
    assert selected is not None
    assert selected.overhead_ms is not None
    assert last.overhead_ms is not None
    assert 0 <= last.overhead_ms - selected.overhead_ms < 100


def test_nobody_else_writes_to_it() -> None:
    """Its phases are its methods: what is set from outside is seen by nobody who reads them."""
    progress = RequestProgress(request(), EventBus(), no_ledger(), lambda: 0.0)
    own = {*vars(progress), *RequestProgress.__annotations__, *RequestRecord.__struct_fields__}
    own -= {"seq", "operation"}  # of the lists and the statistics that it is kept in
    written = [
        f"{path.name}:{node.lineno}"
        for path in Path(nexus_core.__file__).parent.rglob("*.py")
        if path.name not in ("progress.py", "phases.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)
        if node.attr in own and ast.unparse(node.value).rpartition(".")[2] in ("record", "progress")
    ]

    assert written == []


def test_an_event_that_is_read_late_tells_what_was_known_then() -> None:
    """Of two subscribers one reads at once, the other when all is over."""
    bus = EventBus()
    at_once, late = bus.subscribe(), bus.subscribe()
    record = RequestProgress(request(), bus, no_ledger(), lambda: 0.0)
    seen: list[NexusEvent] = []

    record.received()
    seen += at_once.drain()
    for number, name in enumerate(("a", "b"), 1):
        serve(record, name, number)
        seen += at_once.drain()
        failure = Failure(f"{name} answered 503", ValueError, 503)  # type: ignore[arg-type]
        record.attempt_failed(name, failure, 0.01)
        seen += at_once.drain()
    first = SelectedRoute(snapshot("a"), "llama3:70b", RouteReason.CAPABILITY_MATCH)
    record.fell_back_to(first)
    record.decided(decide(Requirements("nobody", ("nobody",)), snapshot("c")), 0.0)
    record.began("a", 503, b"content-type: application/json")
    seen += at_once.drain()
    record.finished()
    seen += at_once.drain()

    told = late.drain()
    assert told == seen
    decisions = [event for event in told if isinstance(event, RouteDecided)]
    assert [(one.backend, one.attempt) for one in decisions] == [("a", 1), ("b", 2)]
    assert [[who.backend for who in one.considered] for one in decisions] == [["a"], ["b"]]
    last = told[-1]
    assert isinstance(last, RequestFinished)
    assert (last.backend, last.status) == ("a", 503)
    assert [who.backend for who in last.considered] == ["c"]


def test_a_fault_of_the_accounting_loses_no_request(
    told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = new_record()
    serve(progress, "a")
    progress.open_charge(snapshot("a"), "llama3:70b")
    monkeypatch.setattr(Charge, "settle", lambda *_: 1 / 0)

    progress.finished()

    assert progress.record.total_ms is not None
    texts = [record.getMessage() for record in told.records]
    assert "the cost of request=r1 is not known" in texts
    assert any(text.startswith("finished") for text in texts)
