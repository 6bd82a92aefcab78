"""Which APIs a local server speaks itself: what each kind of server answers to the question."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nexus_core.dialects.anthropic.inbound.dialect import MESSAGES
from nexus_core.providers.native import NativeApis, ask_within, asked_in_time
from nexus_core.types import API_NAMES, DialectName, Operation
from nexus_core.upstream.base import UpstreamError

Answers = dict[str, tuple[int, object]]

NO_GIN_PATH = (404, b"404 page not found")
FASTAPI = {"detail": "Not Found"}


def _missing(*fields: str) -> dict[str, Any]:
    """A validation error of FastAPI's."""
    return {
        "detail": [
            {"type": "missing", "loc": ["body", field], "msg": "Field required"} for field in fields
        ]
    }


OLLAMA: Answers = {
    "/v1/messages": (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "model is required"},
        },
    ),
    "/v1/responses": (400, {"error": {"message": "model is required", "type": "api_error"}}),
    "/api/version": (200, {"version": "0.14.2"}),
    "/api/tags": (200, {"models": []}),
}
OLD_OLLAMA = OLLAMA | {"/v1/messages": NO_GIN_PATH, "/v1/responses": NO_GIN_PATH}
LLAMACPP: Answers = {
    "/v1/messages": (500, {"error": {"code": 500, "message": "'messages' is required"}}),
    "/v1/responses": (400, {"error": {"code": 400, "message": "'input' is required"}}),
    "/api/version": (404, {"error": {"code": 404, "message": "File Not Found"}}),
    "/api/tags": (200, {"models": []}),
}
NO_MODEL = {"error": {"code": 400, "message": "model name is missing from the request"}}
LLAMACPP_ROUTER: Answers = LLAMACPP | {
    "/v1/messages": (400, NO_MODEL),
    "/v1/responses": (400, NO_MODEL),
}
VLLM: Answers = {
    "/v1/messages": (400, {"error": {"message": str(_missing("messages", "max_tokens"))}}),
    "/v1/responses": (400, {"error": {"message": str(_missing("input"))}}),
    "/api/version": (404, FASTAPI),
}
EXO: Answers = {
    "/v1/messages": (422, _missing("model", "max_tokens", "messages")),
    "/v1/responses": (404, FASTAPI),
    "/api/version": (404, FASTAPI),
}
_UNKNOWN = (200, {"error": "Unexpected endpoint or method. (POST /v1/messages)"})
LMSTUDIO: Answers = {
    "/v1/messages": (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "messages: missing"},
        },
    ),
    "/v1/responses": (400, {"error": {"message": "Missing required parameter: 'input'"}}),
    "/api/version": _UNKNOWN,
}
OLD_LMSTUDIO: Answers = dict.fromkeys(LMSTUDIO, _UNKNOWN)
MLX: Answers = dict.fromkeys(LMSTUDIO, (404, b"Not Found"))
ECHO: Answers = dict.fromkeys(LMSTUDIO, (200, {"choices": []}))
OPEN_WEBUI: Answers = {"/api/version": (200, {"version": "0.6"}), "/api/tags": (404, FASTAPI)}
ANGRY: Answers = dict.fromkeys(LMSTUDIO, (400, b"Bad Request"))


class Server:
    """Answers by path, and keeps what it was asked."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[tuple[str, bytes]] = []

    async def get_small(self, path: str) -> tuple[int, bytes]:
        return self._answer(path, b"")

    async def post_small(self, path: str, body: bytes) -> tuple[int, bytes]:
        return self._answer(path, body)

    def _answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append((path, body))
        status, told = self.answers.get(path, (404, FASTAPI))
        if status == 0:
            raise UpstreamError("gone")
        return status, told if isinstance(told, bytes) else json.dumps(told).encode()


def fresh(*known: DialectName, is_fixed: bool = False) -> NativeApis:
    return NativeApis("b", known, is_fixed=is_fixed)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(OLLAMA, ("chat", "messages", "responses", "ollama"), id="ollama"),
        pytest.param(OLD_OLLAMA, ("chat", "ollama"), id="old ollama"),
        pytest.param(LLAMACPP, ("chat", "messages", "responses"), id="llama.cpp"),
        pytest.param(LLAMACPP_ROUTER, ("chat", "messages", "responses"), id="llama.cpp's router"),
        pytest.param(VLLM, ("chat", "messages", "responses"), id="vllm"),
        pytest.param(EXO, ("chat", "messages"), id="exo"),
        pytest.param(LMSTUDIO, ("chat", "messages", "responses"), id="lm studio"),
        pytest.param(OLD_LMSTUDIO, ("chat",), id="old lm studio"),
        pytest.param(MLX, ("chat",), id="mlx-lm"),
        pytest.param(ECHO, ("chat",), id="a server that answers anything"),
        pytest.param(ANGRY, ("chat",), id="a server that refuses anything"),
        pytest.param(OPEN_WEBUI, ("chat",), id="open webui"),
    ],
)
async def test_what_a_server_speaks_is_told_by_its_refusals(
    answers: Answers, expected: tuple[str, ...]
) -> None:
    apis = fresh()

    await asked_in_time(apis, Server(answers))

    assert apis.names == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [(LLAMACPP, True), (LLAMACPP_ROUTER, True), (VLLM, False), (LMSTUDIO, False), (OLLAMA, False)],
    ids=["llama.cpp", "its router", "vllm", "lm studio", "ollama"],
)
async def test_who_leaves_out_what_it_does_not_know_is_told_by_its_words(
    answers: Answers, expected: bool
) -> None:
    apis = fresh()

    await asked_in_time(apis, Server(answers))

    assert apis.leaves_out is expected


async def test_no_question_holds_a_model_or_a_prompt() -> None:
    server = Server(OLLAMA)

    await asked_in_time(fresh(), server)

    bodies = {body for _, body in server.asked}
    assert bodies == {b"", b'{"max_tokens":0}', b'{"max_output_tokens":0}'}


async def test_it_is_asked_once_and_again_after_it_was_away() -> None:
    server, apis = Server(MLX), fresh()
    await asked_in_time(apis, server)
    count = len(server.asked)

    await asked_in_time(apis, server)
    assert len(server.asked) == count

    apis.was_away()
    server.answers = OLLAMA  # it was upgraded meanwhile
    await asked_in_time(apis, server)

    assert "messages" in apis.names


async def test_an_upgrade_between_two_probes_is_found_in_the_end() -> None:
    server, apis = Server(OLD_OLLAMA), fresh()
    await asked_in_time(apis, server)
    server.answers = OLLAMA

    for _ in range(21):
        await asked_in_time(apis, server)

    assert "messages" in apis.names


@pytest.mark.parametrize("status", [503, 429, 401])
async def test_what_is_not_told_now_stays_as_it_was_and_is_asked_again(status: int) -> None:
    server, apis = Server(LLAMACPP), fresh()
    await asked_in_time(apis, server)
    apis.was_away()
    server.answers = dict.fromkeys(LLAMACPP, (status, {"error": {"message": "Loading model"}}))

    await asked_in_time(apis, server)
    kept = apis.names
    server.answers = MLX
    await asked_in_time(apis, server)

    assert (kept, apis.names) == (("chat", "messages", "responses"), ("chat",))


async def test_a_server_that_goes_away_meanwhile_loses_nothing() -> None:
    server, apis = Server(VLLM), fresh()
    await asked_in_time(apis, server)
    apis.was_away()
    server.answers = VLLM | {"/v1/responses": (0, None)}

    await asked_in_time(apis, server)

    assert apis.names == ("chat", "messages", "responses")


async def test_a_configured_server_is_not_asked() -> None:
    server, apis = Server(OLLAMA), fresh(DialectName.ANTHROPIC, is_fixed=True)

    await asked_in_time(apis, server)

    assert (apis.names, server.asked) == (("chat", "messages"), [])


def test_every_format_has_a_name() -> None:
    assert set(API_NAMES) == set(DialectName)


BILLING = "x-anthropic-billing-header: cc_version=2.1.197.f2f; cch=1a2b3;"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"model" : "m",\n "system":[{"type":"text","text":"%s"}, {"type":"text", '
            b'"text":"Be \\u0062rief."}],"messages":[{"role":"user","content":"hi"}],"x":1}',
            b'{"model" : "longer-name",\n "system":[{"type":"text", '
            b'"text":"Be \\u0062rief."}],"messages":[{"role":"user","content":"hi"}],"x":1}',
        ),
        (
            b'{"system":"%s","messages":[{"role":"user","content":"hi"}],"model":"m"}',
            b'{"system":"","messages":[{"role":"user","content":"hi"}],"model":"longer-name"}',
        ),
        (
            b'{"model":"m","system":"Be brief.","messages":[{"role":"user","content":"%s"}]}',
            b'{"model":"longer-name","system":"Be brief.",'
            b'"messages":[{"role":"user","content":"%s"}]}',
        ),
    ],
)
def test_only_the_note_on_billing_is_left_out(body: bytes, expected: bytes) -> None:
    note = BILLING.encode()
    request = MESSAGES.read_request(Operation.CHAT, body.replace(b"%s", note))

    assert MESSAGES.write_passed(request, "longer-name") == expected.replace(b"%s", note)


class SlowServer(Server):
    """Never answers; the questions are kept."""

    async def post_small(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append((path, body))
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody ends it")


async def test_a_server_whose_answer_hangs_is_not_asked_with_every_probe() -> None:
    server, apis = SlowServer(OLLAMA), fresh(DialectName.ANTHROPIC)
    known = apis.names

    for _ in range(12):
        await ask_within(0.01, apis, server)

    assert [path for path, _ in server.asked] == ["/v1/messages"] * 2
    assert apis.names == known


async def test_one_that_hung_is_asked_at_once_after_it_was_away() -> None:
    server, apis = SlowServer(OLLAMA), fresh()
    await ask_within(0.01, apis, server)

    apis.was_away()
    await ask_within(1, apis, Server(OLLAMA))

    assert "messages" in apis.names
