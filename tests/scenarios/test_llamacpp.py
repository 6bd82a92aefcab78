"""What a llama.cpp server does beside its documentation, in the words of its build b10434."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import Exchange, Script, answers
from tests.scenarios.messages import MESSAGE, SHORT, ask
from tests.scenarios.nexus import backend, running, upstreams
from tests.waiting import until

FORM = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "The word is heliotrope."},
}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}


async def _no_path(exchange: Exchange) -> None:
    await answers({"error": {"code": 404, "message": "File Not Found"}}, 404)(exchange)


async def own_apis(exchange: Exchange) -> None:
    """What it says of its APIs when it is asked."""
    if exchange.target == "/v1/messages":
        error = {"code": 500, "message": "'messages' is required", "type": "server_error"}
        return await answers({"error": error}, 500)(exchange)
    if exchange.target == "/v1/responses":
        error = {"code": 400, "message": "'input' is required", "type": "invalid_request_error"}
        return await answers({"error": error}, 400)(exchange)
    return await _no_path(exchange)


def llama(url: str, **more: Any) -> BackendConfig:
    return backend("gpu", url, type=BackendType.LLAMACPP, **more)


ITEM = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "annotations": [], "text": "Hello."}],
}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "output": [ITEM]}
ANSWERS = {
    "/v1/chat/completions": answers(ANSWER),
    "/v1/messages": answers(MESSAGE),
    "/v1/responses": answers(RESPONSE),
}


async def _served(exchange: Exchange) -> None:
    await ANSWERS.get(exchange.target, _no_path)(exchange)


async def _asked(path: str, body: dict[str, Any]) -> Exchange:
    """What the server got of one request."""
    async with upstreams(_served) as (up,):
        up.apis = own_apis
        async with running(llama(up.url)) as nexus:
            await until(lambda: nexus.backend("gpu").apis == ("chat", "messages", "responses"))
            answer = await nexus.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    (got,) = (exchange for exchange in up.received if exchange.target in ANSWERS)
    return got


CUSTOM = {"type": "custom", "name": "apply_patch", "description": "Patches files."}
INSIDE = {"type": "function", "name": "close", "parameters": {"type": "object"}}
SPACE = {"type": "namespace", "name": "agents", "description": "", "tools": [INSIDE]}


@pytest.mark.parametrize(
    ("tool", "name"), [(CUSTOM, "apply_patch"), (SPACE, "agents__close")], ids=lambda x: str(x)[:30]
)
async def test_tools_that_its_responses_api_leaves_out_reach_the_model_as_functions(
    tool: dict[str, Any], name: str
) -> None:
    got = await _asked("/v1/responses", {"model": "m", "input": "hi", "tools": [tool]})

    assert got.target == "/v1/chat/completions"
    (function,) = json.loads(got.body)["tools"]
    assert function["function"]["name"] == name


async def test_a_stream_of_responses_is_made_of_chats_since_its_own_has_no_indices() -> None:
    got = await _asked("/v1/responses", {"model": "m", "input": "hi", "stream": True})

    assert got.target == "/v1/chat/completions"
    assert json.loads(got.body)["stream"] is True


async def test_a_whole_response_passes() -> None:
    got = await _asked("/v1/responses", {"model": "m", "input": "hi"})

    assert got.target == "/v1/responses"


async def test_a_form_that_its_responses_api_ignores_is_asked_for_in_chats() -> None:
    form = {"type": "json_schema", "name": "x", "schema": FORM}

    got = await _asked("/v1/responses", {"model": "m", "input": "hi", "text": {"format": form}})

    assert json.loads(got.body)["response_format"]["json_schema"]["schema"] == FORM


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"messages": [{"role": "user", "content": "hi"}], "format": "json"}),
        ("/v1/responses", {"input": "hi", "text": {"format": {"type": "json_object"}}}),
        (
            "/v1beta/models/m:generateContent",
            {
                "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
                "generationConfig": {"responseMimeType": "application/json"},
            },
        ),
    ],
)
async def test_any_object_is_asked_for_by_a_schema_without_which_it_answers_in_words(
    path: str, body: dict[str, Any]
) -> None:
    got = await _asked(path, {"model": "m", "stream": False, **body})

    form = json.loads(got.body)["response_format"]
    assert form == {"type": "json_object", "schema": {"type": "object"}}


async def test_a_form_that_its_messages_api_ignores_is_asked_for_in_chats() -> None:
    form = {"type": "json_schema", "schema": FORM}

    got = await _asked("/v1/messages", SHORT | {"output_config": {"format": form}})

    schema = json.loads(got.body)["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == FORM["properties"]


@pytest.mark.parametrize("is_result", [False, True])
async def test_documents_that_its_messages_api_leaves_out_are_read(is_result: bool) -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [DOCUMENT]}
    messages = [{"role": "user", "content": [DOCUMENT]}]
    if is_result:
        messages = [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [CALL]},
            {"role": "user", "content": [result]},
        ]

    got = await _asked("/v1/messages", SHORT | {"messages": messages})

    assert got.target == "/v1/chat/completions"
    assert b"heliotrope" in got.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", SHORT),
        ("/v1/responses", {"model": "m", "input": "hi", "tools": [INSIDE]}),
        ("/v1/responses", {"model": "m", "input": "hi", "text": {"format": {"type": "text"}}}),
    ],
)
async def test_what_it_knows_passes_as_it_came(path: str, body: dict[str, Any]) -> None:
    got = await _asked(path, body)

    assert got.target == path
    assert json.loads(got.body) == body


async def test_words_that_only_look_like_a_document_pass() -> None:
    said = SHORT | {"messages": [{"role": "user", "content": 'is it a "document"?'}]}

    got = await _asked("/v1/messages", said)

    assert got.target == "/v1/messages"


async def test_a_server_that_is_not_llamacpp_gets_its_documents() -> None:
    async def other(exchange: Exchange) -> None:
        if exchange.target == "/v1/messages":
            return await answers({"error": {"message": "model is required"}}, 400)(exchange)
        return await _no_path(exchange)

    asked = SHORT | {"messages": [{"role": "user", "content": [DOCUMENT]}]}
    async with upstreams(_served) as (up,):
        up.apis = other
        async with running(llama(up.url)) as nexus:
            await until(lambda: nexus.backend("gpu").apis == ("chat", "messages"))
            await ask(nexus, asked)

    assert up.last.target == "/v1/messages"


# Its key ------------------------------------------------------------------------------------------

WRONG_KEY = {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}
PROPS = {"default_generation_settings": {"n_ctx": 4096}}


def _with_props(props: Script) -> Script:
    async def script(exchange: Exchange) -> None:
        await (props if exchange.target == "/props" else answers(ANSWER))(exchange)

    return script


async def test_a_wrong_key_is_found_though_everybody_may_list_its_models() -> None:
    async with upstreams(_with_props(answers(WRONG_KEY, 401))) as (up,):
        up.listing = answers({"data": [{"id": "m"}]})
        async with running(llama(up.url, api_key_env="LLAMA_KEY", api_key="sk-wrong")) as nexus:
            answer = await nexus.ask()

    assert answer.status_code == 503
    assert "401: check LLAMA_KEY" in answer.json()["error"]["message"]
    assert "/v1/chat/completions" not in [exchange.target for exchange in up.received]


@pytest.mark.parametrize(
    "props",
    [
        answers(PROPS),
        answers(b"<html>401 Authorization Required</html>", 401),  # of what stands in front
        answers({"error": {"message": "no", "type": "not_found_error"}}, 404),
    ],
    ids=["open", "guarded", "none"],
)
async def test_what_else_keeps_its_settings_to_itself_is_as_healthy(props: Script) -> None:
    async with upstreams(_with_props(props)) as (up,):
        up.listing = answers({"data": [{"id": "m"}]})
        async with running(llama(up.url)) as nexus:
            answer = await nexus.ask()

    assert answer.status_code == 200
