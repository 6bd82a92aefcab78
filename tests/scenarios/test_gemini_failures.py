"""The Gemini API for clients where something goes wrong, or is asked for that few backends have."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from google.genai import errors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_core.config.schema import AuthConfig, ClientKey, RoutingConfig
from nexus_core.observe.events import RequestReceived
from nexus_core.types import PrivacyZone
from tests.contract.bodies import ANSWER as CHAT_ANSWER
from tests.contract.bodies import TOO_LONG, event
from tests.contract.scripted_upstream import answers, hang, streams
from tests.scenarios.gemini_api import (
    ANSWER,
    SHORT,
    ask,
    body_of,
    chat_calls,
    chat_text,
    chunks_of,
    parts_in,
    path_for,
    sdk,
)
from tests.scenarios.messages import claude, gemini, local, openai
from tests.scenarios.nexus import RESTRICTED, hang_up, running, upstreams
from tests.waiting import until

SEARCH = SHORT | {"tools": [{"googleSearch": {}}]}


async def test_an_unknown_model_is_not_found_in_googles_words() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus, sdk(nexus) as ai:
        with pytest.raises(errors.ClientError) as caught:
            await ai.models.generate_content(model="nobody", contents="hi")

    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    assert "nobody" in str(caught.value.message)
    assert caught.value.details["error"]["details"][0]["reason"] == "MODEL_NOT_FOUND"


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"functionDeclarations": []}, {"code_execution": {}}]}, "codeExecution"),
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "responseModalities"),
    ],
)
async def test_what_only_google_has_is_refused_by_name_at_once(
    extra: dict[str, Any], named: str
) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | extra)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert named in error["message"]
    assert "only backends of type google have it" in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert up.received == []


async def test_a_search_goes_to_the_backend_that_has_one() -> None:
    async with (
        upstreams(hang, answers(ANSWER)) as (gpu, up),
        running(local(gpu.url), gemini(up.url)) as nexus,
    ):
        answer = await ask(nexus, SEARCH)

    assert answer.json() == ANSWER
    assert answer.headers["x-nexus-backend"] == "gemini"
    assert gpu.received == []


async def test_a_prompt_that_is_too_long_is_told_in_googles_words() -> None:
    async with upstreams(answers(TOO_LONG, 400)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    words = "The input token count (14429) exceeds the maximum number of tokens allowed (8192)."
    assert error["message"].startswith(f"{words} ")


async def test_a_limit_of_a_chat_backend_is_told_with_its_wait() -> None:
    told = {"error": {"message": "slow down", "type": "rate_limit_error"}}
    script = answers(told, 429, headers=[("retry-after", "7")])
    async with upstreams(script) as (up,), running(openai(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert error["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    ]


async def test_a_stream_that_breaks_ends_with_an_error_that_the_sdk_raises() -> None:
    script = streams([event({"content": "Hel"})], is_whole=False)
    async with upstreams(script) as (up,), running(local(up.url)) as nexus, sdk(nexus) as ai:
        answer = await ask(nexus, SHORT, stream=True)
        with pytest.raises(errors.APIError):
            async for _ in await ai.models.generate_content_stream(model="m", contents="hi"):
                pass

    *_, last = chunks_of(answer.text)
    assert (last["error"]["code"], last["error"]["status"]) == (502, "UNAVAILABLE")


@pytest.mark.parametrize("configured", [local, gemini])
async def test_an_array_that_breaks_is_still_one(configured: Any) -> None:
    piece = {"candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}}]}
    google = b"data: " + json.dumps(piece).encode() + b"\r\n\r\n"
    first = google if configured is gemini else event({"content": "Hel"})
    script = streams([first], is_whole=False)
    async with upstreams(script) as (up,), running(configured(up.url)) as nexus:
        answer = await nexus.http.post("/v1beta/models/m:streamGenerateContent", json=SHORT)

    *said, last = answer.json()
    assert "".join(part.get("text", "") for part in parts_in(said)) == "Hel"
    assert last["error"]["code"] == 502


@pytest.mark.parametrize("as_array", [False, True])
async def test_an_error_amid_a_chat_stream_is_one_in_googles_words(as_array: bool) -> None:
    fault = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
    script = streams([event({"content": "Hel"}), fault])
    method = "streamGenerateContent"
    path = f"/v1beta/models/m:{method}" if as_array else path_for("m", method)
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post(path, json=SHORT)

    *_, last = answer.json() if as_array else chunks_of(answer.text)
    assert last["error"] == {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}


async def test_an_error_amid_googles_stream_passes_once_and_counts_as_a_failure() -> None:
    piece = {"candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}}]}
    fault = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    told = b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in (piece, fault))
    async with upstreams(streams([told])) as (up,), running(gemini(up.url)) as nexus:
        answer = await ask(nexus, SHORT, stream=True)
        listed = await nexus.http.post("/v1beta/models/m:streamGenerateContent", json=SHORT)

    assert answer.content == told
    assert listed.json() == [piece, fault]
    assert {one.error_code for one in nexus.finished()} != {None}


async def test_a_failure_before_the_first_byte_goes_to_a_backend_of_another_format() -> None:
    async with (
        upstreams(hang_up, chat_text("hello")) as (first, second),
        running(gemini(first.url), local(second.url, priority=1)) as nexus,
    ):
        answer = await ask(nexus, SHORT, stream=True)

    assert "".join(part.get("text", "") for part in parts_in(chunks_of(answer.text))) == "hello"
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
async def test_a_restricted_request_never_reaches_google(method: str) -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(gemini(up.url)) as nexus:
        answer = await nexus.http.post(path_for("m", method), json=SHORT, headers=RESTRICTED)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (503, "UNAVAILABLE")
    assert error["details"][0]["reason"] == "PRIVACY_CONSTRAINT_VIOLATION"
    assert error["context"]["available_backends"][0]["zone"] == PrivacyZone.OPEN
    assert answer.headers["x-should-retry"] == "false"
    assert up.received == []


async def test_a_policy_holds_for_a_model_in_the_path() -> None:
    policy = {"model_pattern": "secret-*", "privacy": "restricted"}
    routing = RoutingConfig.model_validate({"policies": [policy]}, strict=False)
    models = ("secret-1",)
    async with (
        upstreams(answers(ANSWER)) as (up,),
        running(gemini(up.url, models=models), routing=routing) as nexus,
    ):
        for name in ("secret-1", "models%2Fsecret-1", "secret%2D1"):
            answer = await ask(nexus, SHORT, name)
            assert answer.status_code == 503, name

    assert up.received == []


@pytest.mark.parametrize("configured", [local, claude, gemini])
async def test_a_client_that_leaves_ends_the_exchange(configured: Any) -> None:
    async with upstreams(hang) as (up,), running(configured(up.url)) as nexus:
        task = nexus.tasks.create_task(ask(nexus, SHORT, stream=True))
        await up.wait_for_requests(1)
        task.cancel()
        await until(up.last.closed.is_set)
        with pytest.raises(asyncio.CancelledError):
            await task


# Keys -------------------------------------------------------------------------------------------

ALICE = AuthConfig(api_keys=(ClientKey(name="alice", value=b"sk-alice"),))


@pytest.mark.parametrize(
    "header",
    [
        {"x-goog-api-key": "sk-alice"},
        {"Authorization": "Bearer sk-alice"},
        {"x-api-key": "sk-alice"},
    ],
)
async def test_a_client_key_is_taken_from_googles_header(header: dict[str, str]) -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(gemini(up.url), auth=ALICE) as nexus:
        none = await nexus.http.post(path_for("m"), json=SHORT)
        answer = await nexus.http.post(path_for("m"), json=SHORT, headers=header)
        listed = await nexus.http.get("/v1beta/models", headers=header)

    assert (none.status_code, none.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert (answer.status_code, listed.status_code) == (200, 200)
    assert [value for _, value in up.last.headers if "alice" in value] == []
    assert [one.client for one in nexus.events() if isinstance(one, RequestReceived)] == ["alice"]


@pytest.mark.parametrize("auth", [AuthConfig(), ALICE])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1beta/models/m:generateContent?key=sk-alice"),
        ("POST", "/v1beta/models/m:streamGenerateContent?alt=sse&key=sk-alice"),
        ("POST", "/v1beta/models/m:countTokens?key=sk-alice"),
        ("GET", "/v1beta/models?key=sk-alice"),
        ("GET", "/v1beta/models/m?key=sk-alice"),
    ],
)
async def test_a_key_in_the_url_is_refused_with_the_way_to_do_it(
    auth: AuthConfig, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with upstreams(hang) as (up,), running(gemini(up.url), auth=auth) as nexus:
        answer = await nexus.http.request(method, path, json=SHORT)
        told = repr(nexus.events())

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (401, "UNAUTHENTICATED")
    assert "x-goog-api-key: KEY" in error["message"]
    assert "sk-alice" not in answer.text + told + caplog.text
    assert up.received == []


# Invalid requests -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [{"parts": "hi"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [7]}]}, "contents[0].parts[0]"),
        ({"contents": [{"role": "robot", "parts": [{"text": "x"}]}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"text": 7}]}]}, "contents[0].parts[0].text"),
        (SHORT | {"generationConfig": {"temperature": 9}}, "generationConfig.temperature"),
        (SHORT | {"generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        (SHORT | {"generationConfig": 7}, "generationConfig"),
        (SHORT | {"tools": [{"functionDeclarations": [{}]}]}, "functionDeclarations[0].name"),
    ],
)
async def test_an_invalid_field_is_named(body: dict[str, Any], named: str) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, body)

    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert named in error["message"]
    assert up.received == []


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/v1beta/models/m:fly", 404, "'fly' is no method here, but generateContent"),
        ("/v1beta/models/m", 405, "takes GET"),
        ("/v1beta/models/:generateContent", 404, "no model is named"),
        ("/v1beta/cachedContents", 404, "Not Found"),
        ("/v1beta/models/m:generateContent?alt=xml", 400, "alt"),
    ],
)
async def test_a_path_that_is_not_served_is_told_in_googles_envelope(
    path: str, status: int, told: str
) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post(path, json=SHORT)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
    assert told in answer.json()["error"]["message"]


async def test_openais_model_paths_keep_openais_errors() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.get("/v1/models/llama3:70b")

    assert answer.json()["error"]["code"] == "model_not_found"


WORDS = st.sampled_from(
    [
        *("contents", "parts", "role", "text", "functionCall", "functionResponse", "name", "args"),
        *("response", "inlineData", "mimeType", "data", "thought", "thoughtSignature", "tools"),
        *("functionDeclarations", "parameters", "type", "properties", "generationConfig", "topK"),
        *("responseSchema", "thinkingConfig", "systemInstruction", "fileData", "fileUri", "id"),
        *("toolConfig", "functionCallingConfig", "mode", "stopSequences", "executableCode"),
    ]
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["user", "model", "hi", "", "image/png", "AAAA", "STRING", "\ud800"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
PARTS = st.lists(st.dictionaries(WORDS, VALUES, max_size=3), max_size=3)
CONTENTS = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "model"]), "parts": PARTS}), max_size=3
)
BODIES = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"contents": CONTENTS}, optional={"tools": VALUES, "generationConfig": VALUES}
    ),
)


@given(body=BODIES, method=st.sampled_from(["generateContent", "embedContent", "countTokens"]))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_bytes_of_a_client_give_a_500(body: object, method: str) -> None:
    async def check() -> None:
        async with (
            upstreams(answers(CHAT_ANSWER), answers(ANSWER)) as (gpu, up),
            running(local(gpu.url, models=("l",)), gemini(up.url, models=("g",))) as nexus,
        ):
            for model in ("l", "g"):
                path = f"/v1beta/models/{model}:{method}"
                sent = json.dumps(body).encode()
                answer = await nexus.http.post(path, content=sent)
                assert answer.status_code != 500, answer.text

    asyncio.run(check())


async def test_the_recorded_search_without_its_tool_is_answered() -> None:
    async with upstreams(chat_calls()) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, body_of("05-google-search"), stream=True)

    assert answer.status_code == 200
    assert "tools" not in json.loads(up.last.body)
