"""`nexus request ID`: the real command; a Nexus answers as told, and a real one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from nexus_core.observe.event_json import as_json, read_json
from nexus_core.observe.facts import DETAIL, LISTED
from nexus_core.observe.record import RequestRecord
from nexus_tui.commands.base.told_request import ToldRequest, read_told, record_of
from tests.observe.test_facts import LIVE, OVER, REFUSED
from tests.tui.commands.serving import fake_nexus
from tests.tui.process.test_cli import run

ID = "79f1aaaa11112222"
TOLD: dict[str, Any] = {
    "id": ID,
    "at": 1_800_000_000.0,
    "endpoint": "/v1/chat/completions",
    "path": None,
    "client": "laptop",
    "model": "fast\x1b[2J",
    "served_model": "llama3:70b",
    "is_streaming": True,
    "body_bytes": 1234,
    "replay_of": None,
    "resolved": ["fast", "llama3"],
    "api": "chat",
    "backend": "gpu-box",
    "backend_type": "ollama",
    "zone": "restricted",
    "reason": "backend-failover",
    "tried": 2,
    "attempts": [
        {"backend": "old-laptop", "error": "answered 503", "status": 503, "elapsed_ms": 120.0}
    ],
    "considered": [
        {
            "backend": "old-laptop",
            "zone": "restricted",
            "tier": 1,
            "health": "healthy",
            "priority": 80,
            "position": 1,
            "dropped_by": None,
            "why": None,
            "model": "llama3",
            "score": [["priority", 50.0, 0.8], ["load", 30.0, 1.0]],
        },
        {
            "backend": "gpu-box",
            "zone": "restricted",
            "tier": None,
            "health": "healthy",
            "priority": 50,
            "position": 2,
            "dropped_by": None,
            "why": None,
        },
        {
            "backend": "cloud",
            "zone": "open",
            "tier": 4,
            "health": "unhealthy",
            "priority": 50,
            "position": None,
            "dropped_by": "privacy",
            "why": "zone open",
        },
    ],
    "status": 200,
    "is_running": False,
    "client_left": False,
    "error": "the answer ended early",
    "error_code": "upstream_broke",
    "first_byte_ms": 412.0,
    "total_ms": 2612.0,
    "overhead_ms": 0.4,
    "usage": {"prompt_tokens": 1200, "completion_tokens": 34},
    "counted": "reported",
    "cost_usd": None,
    "saved_usd": 0.0042,
    "saved_model": "gpt-4o",
    "price_from": None,
    "request_headers": [["authorization", "***"]],
    "response_headers": [["x-nexus-backend", "gpu-box"]],
    "has_body": True,
    "of_a_newer_version": 1,
}
ANSWER = b'{"choices": [{"message": {"content": "Hello\\nthere\\u001b[2J"}}]}'
BODIES: dict[str, Any] = {
    "request_id": ID,
    "request": {"encoding": "utf-8", "content": '{"model":\n\t"fast"}'},
    "answer": {"encoding": "base64", "content": base64.b64encode(ANSWER).decode()},
    "is_whole": True,
}
BY_ID = {f"/nexus/requests/{ID[:6]}": TOLD, f"/nexus/requests/{ID}/bodies": BODIES}


def test_everything_that_the_detail_shows_is_told_line_by_line(tmp_path: Path) -> None:
    with fake_nexus(more=BY_ID) as (url, _):
        done = run(tmp_path, "request", ID[:6], "--url", url, TZ="UTC")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f" request     {ID}",
        " time        2027-01-15 08:00:00",
        " status      200 cut",
        " error       upstream_broke: the answer ended early",
        " model       fast → llama3",
        " served as   llama3:70b",
        " api         chat at /v1/chat/completions, 1,234 bytes in, stream out",
        " key         laptop",
        " backend     gpu-box (ollama), zone restricted",
        " reason      backend-failover",
        " tokens      1,200 in, 34 out",
        " cost        local, saved ≈ $0.0042 (gpt-4o)",
        " timing      nexus 0.4 ms, failed attempts 120 ms, first byte 412 ms, stream 2.2 s, "
        "total 2.6 s",
        " bodies      captured; --captured shows them",
        "",
        " failed attempts",
        "  1  old-laptop: 503 after 120 ms: answered 503",
        "",
        " backends considered, in order",
        "  #  name        health     zone        tier  score",
        "  1  old-laptop  healthy    restricted  1     70     failed; priority 50×0.80, "  # noqa: RUF001
        "load 30×1.00",  # noqa: RUF001
        "  2  gpu-box     healthy    restricted  –     –      answered 200",  # noqa: RUF001
        "  –  cloud       unhealthy  open        4     –      out: zone open",  # noqa: RUF001
        "",
        " request headers (credentials masked)",
        "  authorization: ***",
        "",
        " response headers",
        "  x-nexus-backend: gpu-box",
    ]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"is_running": True, "error": None, "total_ms": None}, " status      200 live"),
        ({"client_left": True, "error": None}, " status      200 left"),
        (
            {"path": "/v1/x", "endpoint": None, "status": 401},
            " api         x at /v1/x, refused before routing",
        ),
        ({"resolved": [], "model": "m\x1b[2J"}, r" model       m\x1b[2J → llama3:70b"),
        ({"counted": "estimated"}, " tokens      ≈1,200 in, ≈34 out"),
        (
            {"cost_usd": 0.5, "estimated_usd": 0.25, "saved_usd": None, "price_from": "config"},
            " cost        $0.2500 est, $0.5000 actual",
        ),
        ({"is_unpriced": True, "saved_usd": None}, " cost        unpriced: add it to [pricing]"),
        ({"has_body": False}, " bodies      not captured"),
    ],
)
def test_what_became_of_it_is_told_in_words(
    tmp_path: Path, changed: dict[str, Any], line: str
) -> None:
    with fake_nexus(more={"/nexus/requests/x": {**TOLD, **changed}}) as (url, _):
        done = run(tmp_path, "request", "x", "--url", url)

    assert done.returncode == 0
    assert line in done.stdout.splitlines()
    assert "\x1b" not in done.stdout


def test_json_is_the_whole_answer(tmp_path: Path) -> None:
    with fake_nexus(more=BY_ID) as (url, _):
        alone = run(tmp_path, "request", ID[:6], "--url", url, "--json")
        whole = run(tmp_path, "request", ID[:6], "--url", url, "--json", "--captured")

    assert json.loads(alone.stdout) == TOLD
    assert json.loads(whole.stdout) == {**TOLD, "bodies": BODIES}


def test_of_a_fleet_the_replica_that_has_it_is_found_and_named(tmp_path: Path) -> None:
    missing = {"/nexus/requests/none": {"error": {"message": "nor here"}}}
    with fake_nexus(more={**BY_ID, **missing}) as (there, _):
        told = {
            "at": 1.0,
            "fleet": {"replica": "box-1"},
            "replicas": [
                {"name": "box-1", "address": "http://127.0.0.1:9"},
                {"name": "box-2", "address": there},
            ],
        }
        gone = {"error": {"message": "no request has this id"}}
        asked = {f"/nexus/requests/{one}": gone for one in (ID[:6], "none")}
        with fake_nexus(more={"/nexus/replicas": told, **asked}) as (url, _):
            found = run(tmp_path, "request", ID[:6], "--url", url)
            captured = run(tmp_path, "request", ID[:6], "--url", url, "--captured", "--json")
            alone = run(tmp_path, "request", ID[:6], "--url", url, "--only")
            nowhere = run(tmp_path, "request", "none", "--url", url)

    assert found.stdout.splitlines()[:2] == [f" request     {ID}", " replica     box-2"]
    assert json.loads(captured.stdout) == {**TOLD, "replica": "box-2", "bodies": BODIES}
    assert (alone.returncode, nowhere.returncode) == (1, 1)
    assert "no request has this id" in nowhere.stderr


def test_captured_bodies_are_shown_line_by_line(tmp_path: Path) -> None:
    with fake_nexus(more=BY_ID) as (url, _):
        whole = run(tmp_path, "request", ID[:6], "--url", url, "--captured")
        answer = run(tmp_path, "request", ID[:6], "--url", url, "--answer")

    assert whole.stdout.splitlines()[-8:] == [
        "",
        " request body",
        '{"model":',
        '    "fast"}',
        "",
        " answer",
        "Hello",
        r"there\x1b[2J",
    ]
    assert answer.stdout.splitlines() == ["Hello", r"there\x1b[2J"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("zzzz",), "request: request 'zzzz' not found; did you mean 79f1?\n"),
        (
            (ID[:6], "--captured"),
            "request: the bodies were not captured; B in the dashboard starts body capture",
        ),
    ],
)
def test_what_there_is_not_is_exit_code_1(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    def missing(message: str) -> dict[str, Any]:
        return {"error": {"message": message}}

    answers = {
        "/nexus/requests/zzzz": missing("request 'zzzz' not found; did you mean 79f1?"),
        **BY_ID,
        f"/nexus/requests/{ID}/bodies": missing("the bodies were not captured"),
    }
    with fake_nexus(more=answers) as (url, _):
        done = run(tmp_path, "request", *arguments, "--url", url)

    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr


@pytest.mark.parametrize("rubbish", [{}, {**TOLD, "zone": "nowhere"}, {**TOLD, "at": "soon"}, []])
def test_rubbish_for_an_answer_is_told(tmp_path: Path, rubbish: Any) -> None:
    with fake_nexus(more={"/nexus/requests/x": rubbish}) as (url, _):
        done = run(tmp_path, "request", "x", "--url", url)

    assert (done.returncode, done.stdout) == (2, "")
    assert "incompatible Nexus version" in done.stderr


def test_it_needs_an_id(tmp_path: Path) -> None:
    done = run(tmp_path, "request")

    assert done.returncode == 2
    assert "required: ID" in done.stderr


@pytest.mark.parametrize("record", [OVER, LIVE, REFUSED], ids=["over", "live", "refused"])
def test_a_record_is_the_same_after_it_was_told(record: RequestRecord) -> None:
    told = {key: _plain(fact.of(record)) for key, fact in (*LISTED, *DETAIL)}

    again = record_of(read_told(json.loads(json.dumps(told))))

    assert {key: _plain(fact.of(again)) for key, fact in (*LISTED, *DETAIL)} == told


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "__struct_fields__"):
        return as_json(value)
    return float(value) if type(value).__name__ == "Decimal" else value


def test_every_key_of_the_answer_that_is_read_is_one_that_is_told() -> None:
    told = {key for key, _ in (*LISTED, *DETAIL)} | {"has_body"}

    assert {*ToldRequest.__struct_fields__} <= told
    assert read_json(ToldRequest, TOLD).id == ID
