from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import replace
from decimal import Decimal

import pytest

from nexus_core.dialects.inbound import GEMINI_PATHS, INBOUND, inbound_of, place_of
from nexus_core.dialects.ollama.request import is_probe
from nexus_core.observe.record import RequestRecord
from nexus_core.types import Capability
from nexus_tui.text.example import example_body
from nexus_tui.text.export import as_headers, as_json, to_csv, to_jsonl
from nexus_tui.text.requests.snippets import as_curl, curl_for
from tests.tui.fleet import SECRET, STORIES, Story, make_gateway, publish


def make_row(story: Story) -> RequestRecord:
    gateway = make_gateway()
    publish(gateway, "a81f7c", story)
    row = gateway.recent.get("a81f7c")
    assert row is not None
    return row


FAILED_OVER = next(story for story in STORIES if story.failed)


def test_a_request_is_copied_as_a_command_without_its_key() -> None:
    command = as_curl(make_row(FAILED_OVER), "127.0.0.1:8000")

    words = shlex.split(command.replace("\\\n", ""))
    assert words[:2] == ["curl", "http://127.0.0.1:8000/v1/chat/completions"]
    assert "Authorization: Bearer $NEXUS_API_KEY" in words
    assert "X-Nexus-Min-Tier: 3" in words
    assert "***" not in command
    assert json.loads(words[-1]) == {
        "model": "o-large",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


def test_a_kept_body_is_copied_whole_and_safe_for_a_shell() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"it\'s $HOME `id`"}]}'

    command = as_curl(make_row(FAILED_OVER), "127.0.0.1:8000", body)

    assert shlex.split(command.replace("\\\n", ""))[-1] == body.decode()


@pytest.mark.parametrize("model", ["'; rm -rf /; '", '"$(id)"', "a\nb"])
def test_a_hostile_model_name_runs_nothing(model: str) -> None:
    words = shlex.split(curl_for(example_body(model), "127.0.0.1:8000").replace("\\\n", ""))

    assert json.loads(words[-1])["model"] == model
    assert len(words) == 6


def test_headers_are_those_of_both_ways() -> None:
    text = as_headers(make_row(FAILED_OVER))

    request, response = text.split("\n\n")
    assert "X-Nexus-Min-Tier: 3" in request
    assert "X-Nexus-Backend: openai" in response


def test_json_tells_the_whole_decision() -> None:
    row = make_row(FAILED_OVER)

    told = json.loads(as_json(row))

    assert told["id"] == "a81f7c"
    assert told["reason"] == "backend-failover"
    assert told["attempts"][0]["status"] == 529
    assert told["considered"][0]["score"][0] == {"name": "priority", "weight": 50, "value": 0.5}
    assert told["considered"][2]["why"] == "does not serve o-large"
    assert {one["model"] for one in told["considered"]} == {one.model for one in row.considered}


def test_lists_are_exported_as_json_lines_and_csv() -> None:
    rows = [make_row(FAILED_OVER), make_row(SECRET)]

    lines = [json.loads(line) for line in to_jsonl(rows).splitlines()]
    table = list(csv.DictReader(io.StringIO(to_csv(rows))))

    assert [line["status"] for line in lines] == [200, 503]
    assert [row["status"] for row in table] == ["200", "503"]
    assert table[1]["backend"] == ""


def test_a_table_has_the_same_headings_whatever_is_in_it() -> None:
    assert to_csv([]).strip().split(",") == [
        *("time", "id", "model", "served_model", "backend", "zone", "reason", "status", "error"),
        *("first_byte_ms", "total_ms", "prompt_tokens", "completion_tokens", "counted"),
        *("is_estimated", "estimated_usd", "cost_usd", "is_unpriced"),
        *("error_code", "client_left", "client", "api", "tried", "is_streaming"),
        *("at", "endpoint", "path", "agent", "session", "subagent", "replica"),
    ]


LOCAL = Story(0, "gpt-4", "local-llama", served="llama3:70b")
CHEAP = Story(0, "gpt-4o", "openai", tokens=(1, 0))


@pytest.mark.parametrize(
    ("story", "served", "estimated", "cost", "is_unpriced"),
    [
        (FAILED_OVER, "gpt-4o", "0.006030000", "0.003230000", False),
        (CHEAP, "gpt-4o", "0.005002500", "0.000002500", False),
        (Story(0, "o-large", "other-cloud"), "o-large", None, None, True),
        (LOCAL, "llama3:70b", None, None, False),
        (replace(CHEAP, total_ms=None), "gpt-4o", None, None, False),
        (SECRET, None, None, None, False),
    ],
)
def test_exports_tell_the_served_model_and_what_it_cost(
    story: Story, served: str | None, estimated: str | None, cost: str | None, is_unpriced: bool
) -> None:
    row = make_row(story)

    (line,) = map(json.loads, to_jsonl([row]).splitlines())
    (cells,) = csv.DictReader(io.StringIO(to_csv([row])))
    copied = json.loads(as_json(row))

    for told in (line, copied):
        assert told["served_model"] == served
        assert told["estimated_usd"] == (None if estimated is None else float(estimated))
        assert told["cost_usd"] == (None if cost is None else float(cost))
        assert told["is_unpriced"] is is_unpriced
        assert told["is_estimated"] is False
    assert cells["served_model"] == (served or "")
    assert [dollars(cells["estimated_usd"]), dollars(cells["cost_usd"])] == [estimated, cost]
    assert cells["is_unpriced"] == ("true" if is_unpriced else "false")
    assert "E" not in cells["cost_usd"]


def dollars(cell: str) -> str | None:
    return f"{Decimal(cell):.9f}" if cell else None


def test_a_spreadsheet_runs_no_model_name() -> None:
    table = list(csv.DictReader(io.StringIO(to_csv([make_row(Story(0, "=1+1", "openai"))]))))

    assert table[0]["model"] == "'=1+1"


def test_an_example_for_anthropics_api_is_one_that_it_takes() -> None:
    body = example_body("m", endpoint="/v1/messages", tools=True)

    assert body["max_tokens"] > 0
    assert "input_schema" in body["tools"][0]


@pytest.mark.parametrize("path", [path for path in INBOUND if path.startswith("/api/")])
def test_an_example_for_ollamas_api_is_one_that_it_takes(path: str) -> None:
    dialect, operation = INBOUND[path]
    body = example_body("m", operation, endpoint=path, tools=True)

    request = dialect.read_request(operation, json.dumps(body).encode())

    assert request.is_streaming is False
    assert not is_probe(request)


@pytest.mark.parametrize("endpoint", GEMINI_PATHS)
def test_an_example_for_googles_api_is_one_that_it_takes(endpoint: str) -> None:
    place = place_of(endpoint, "llama3:70b", is_streaming=True)
    inbound = inbound_of(place)
    assert inbound is not None
    body = example_body("llama3:70b", inbound.operation, endpoint=endpoint, tools=True)

    request = inbound.dialect.read_request(inbound.operation, json.dumps(body).encode())

    assert (request.model, request.path, request.place) == ("llama3:70b", endpoint, place)


def test_an_example_for_the_responses_api_is_one_that_it_takes() -> None:
    dialect, operation = INBOUND["/v1/responses"]
    body = example_body("m", operation, endpoint="/v1/responses", tools=True, stream=True)

    request = dialect.read_request(operation, json.dumps(body).encode())

    assert request.is_streaming is True
    assert Capability.TOOLS in request.demand.capabilities
