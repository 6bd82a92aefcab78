"""A request to explain from a file: which API it is of, and what is no request."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from nexus_core.dialects.inbound import inbound_at
from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.request_file import endpoint_of, read_request_file

DATA = Path(__file__).parents[3] / "data"
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("recording", "endpoint"),
    [
        ("claude_code/02-turn-1.json", "/v1/messages"),
        ("claude_code/03-turn-2-tool-results.json", "/v1/messages"),
        ("codex/01-turn-1-unknown-model.json", "/v1/responses"),
    ],
)
def test_a_recording_is_of_the_api_that_it_names_and_looks_like_it(
    recording: str, endpoint: str
) -> None:
    told = json.loads((DATA / recording).read_text("utf-8"))

    found = read_request_file(str(DATA / recording))

    assert found.endpoint == endpoint == endpoint_of(told["body"])
    assert json.loads(found.body) == told["body"]


@pytest.mark.parametrize(
    ("body", "endpoint"),
    [
        ({"messages": [USER]}, "/v1/chat/completions"),
        ({"messages": [USER], "tools": [{"function": {}}]}, "/v1/chat/completions"),
        ({"messages": [USER], "system": "be brief"}, "/v1/messages"),
        ({"messages": [USER], "tools": [{"name": "x", "input_schema": {}}]}, "/v1/messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "/v1/messages",
        ),
        ({"messages": [USER], "options": {"num_ctx": 1}}, "/api/chat"),
        ({"input": "text"}, "/v1/embeddings"),
        ({"input": ["a", "b"]}, "/v1/embeddings"),
        ({"input": "text", "stream": True}, "/v1/responses"),
        ({"input": [{"type": "message"}]}, "/v1/responses"),
        ({"prompt": "once"}, "/v1/completions"),
        ({"tools": 7, "messages": "odd"}, "/v1/chat/completions"),
        ({}, "/v1/chat/completions"),
    ],
)
def test_a_body_tells_its_api_by_its_fields(body: dict[str, Any], endpoint: str) -> None:
    assert endpoint_of(body) == endpoint


def test_what_nexus_request_tells_of_captured_bodies_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = b'{"model": "m", "messages": []}'
    for encoding, content in (("utf-8", sent), ("base64", base64.b64encode(sent))):
        request = {"encoding": encoding, "content": content.decode()}
        told = {"id": "r1", "bodies": {"endpoint": "/v1/messages", "request": request}}
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(told)))

        assert read_request_file("-") == ("/v1/messages", sent)


def test_the_model_in_a_path_of_gemini_is_the_one_that_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = {"encoding": "utf-8", "content": '{"contents": []}'}
    endpoint = "/v1beta/models/{model}:generateContent"
    told = {"bodies": {"endpoint": endpoint, "model": "flash", "request": request}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(told)))

    assert read_request_file("-").endpoint == "/v1beta/models/flash:generateContent"


def test_a_recording_of_gemini_cli_names_its_model_in_the_path() -> None:
    found = read_request_file(str(DATA / "gemini_cli" / "02-turn-1.json"))

    assert found.endpoint.startswith("/v1beta/models/gemini-")
    assert "{model}" not in found.endpoint
    assert inbound_at(found.endpoint) is not None


def test_the_endpoint_that_is_given_counts(tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text('{"model": "m", "messages": []}')

    assert read_request_file(str(file), "/api/chat").endpoint == "/api/chat"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "no JSON"),
        ("[1]", "a request is a JSON object"),
        ('{"bodies": {"endpoint": "/v1/messages"}}', "nexus request ID --captured"),
    ],
)
def test_what_is_no_request_is_told_with_the_file(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "body.json"
    file.write_text(content)

    with pytest.raises(NoAnswerError, match=r"body\.json") as caught:
        read_request_file(str(file))
    assert told in str(caught.value)

    with pytest.raises(NoAnswerError, match="No such file"):
        read_request_file(str(tmp_path / "none.json"))
