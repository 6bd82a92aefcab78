"""Commands and programs that send a request: each is read by what it is written for."""

from __future__ import annotations

import ast
import json
import shlex
from dataclasses import replace

import httpx
import pytest

from nexus_core.observe.record import RequestRecord
from nexus_tui.text.requests.snippets import as_curl, as_httpie, as_python
from tests.tui.fleet import Story, make_gateway, publish

ADDRESS = "127.0.0.1:8000"
URL = "http://127.0.0.1:8000/v1/chat/completions"
STORY = Story(0, "gpt-4o", "openai")
AWKWARD = json.dumps(
    {"model": "m", "messages": [{"role": "user", "content": 'it\'s $HOME\n`a` "b" \\ é'}]}
)


def make_row(story: Story = STORY) -> RequestRecord:
    gateway = make_gateway()
    publish(gateway, "r1", story)
    row = gateway.recent.get("r1")
    assert row is not None
    return row


def words(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", ""))


def test_curl_sends_the_body_as_it_was() -> None:
    sent = words(as_curl(make_row(), ADDRESS, AWKWARD.encode()))

    assert sent[:2] == ["curl", URL]
    assert sent[-2:] == ["-d", AWKWARD]
    assert "Authorization: Bearer $NEXUS_API_KEY" in sent


def test_httpie_sends_the_same() -> None:
    row = make_row()
    sent = words(as_httpie(row, ADDRESS, AWKWARD.encode()))

    assert sent[0] == "http"
    assert sent[sent.index("POST") + 1] == URL
    assert sent[-2:] == ["--raw", AWKWARD]
    assert "Authorization:Bearer $NEXUS_API_KEY" in sent
    assert "X-Nexus-Min-Tier:3" in sent
    assert ("--stream" in sent) is row.is_streaming


@pytest.mark.parametrize("body", [AWKWARD, "not json", '["a list"]', ""])
@pytest.mark.parametrize("is_streaming", [True, False])
def test_python_compiles_and_sends_the_same(
    monkeypatch: pytest.MonkeyPatch, body: str, is_streaming: bool
) -> None:
    row = make_row()
    row = replace_streaming(row, is_streaming)
    program = as_python(row, ADDRESS, body.encode())
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, text="fine")

    monkeypatch.setenv("NEXUS_API_KEY", "sk-secret")
    client = httpx.Client(transport=httpx.MockTransport(answer))
    monkeypatch.setattr(httpx, "post", client.post)
    monkeypatch.setattr(httpx, "stream", client.stream)
    ast.parse(program)
    exec(compile(program, "snippet", "exec"), {})  # noqa: S102 - the claim is that it runs

    (request,) = seen
    assert str(request.url) == URL
    assert request.headers["authorization"] == "Bearer sk-secret"
    if body.startswith("{"):
        assert json.loads(request.content) == json.loads(body)
    elif body:
        assert request.content.decode() == body
    else:
        assert json.loads(request.content)["model"] == "gpt-4o"


def replace_streaming(row: RequestRecord, is_streaming: bool) -> RequestRecord:
    row.is_streaming = is_streaming
    return row


def test_no_command_holds_a_key() -> None:
    row = make_row(replace(STORY, model="m"))

    for text in (as_curl(row, ADDRESS), as_httpie(row, ADDRESS), as_python(row, ADDRESS)):
        assert "***" not in text
        assert "NEXUS_API_KEY" in text


def test_a_client_names_no_command_and_no_file() -> None:
    story = make_row(replace(STORY, model="m"))
    nasty = (
        (b"`reboot`", b"***"),
        (b"$(id)", b"***"),
        (b"x-a", b"@/etc/hostname"),
        (b"x-b", b"=1"),
    )
    story.asked_headers = (*nasty, (b"content-encoding", b"gzip"))

    curl, httpie = words(as_curl(story, ADDRESS)), words(as_httpie(story, ADDRESS))

    assert "-H '`reboot`: ***'" in as_curl(story, ADDRESS)  # quoted: the shell runs none of it
    assert "'`reboot`:***'" in as_httpie(story, ADDRESS)
    assert "$(id): ***" in curl
    assert {r"x-a:\@/etc/hostname", r"x-b:\=1"} <= set(httpie)  # else they are a file and JSON
    assert not any("gzip" in word for word in (*curl, *httpie))  # the body is as it was read


def test_what_is_nobodys_business_is_not_copied() -> None:
    row = make_row()
    row.asked_headers = (*row.asked_headers, (b"x-codex-turn-metadata", b"***"))

    for command in (as_curl(row, ADDRESS), as_httpie(row, ADDRESS), as_python(row, ADDRESS)):
        assert "x-codex-turn-metadata" not in command
