"""Ollama's API beside inference: what clients look for before they ask, with its SDK as judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ollama
import pytest

from nexus_core.config.schema import RoutingConfig
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import answers, hang
from tests.scenarios.messages import claude, local, openai
from tests.scenarios.nexus import RESTRICTED, running, upstreams
from tests.scenarios.ollama_api import CHAT, GENERATE, SHORT, ask, client

ALIASES = RoutingConfig(aliases={"fast": "m", "claude-*": "m"})


async def test_the_version_suffices_for_clients_that_look_at_it() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.get("/api/version")

    version = tuple(map(int, answer.json()["version"].split(".")))
    assert version >= (0, 14, 0)


async def test_models_of_all_backends_and_aliases_are_listed_once() -> None:
    async with (
        upstreams(hang, hang) as (gpu, cloud),
        running(
            local(gpu.url),
            openai(cloud.url, models={"m": "m", "big": "gpt-5.5"}),
            routing=ALIASES,
        ) as nexus,
        client(nexus) as sdk,
    ):
        listed = await sdk.list()
        raw = (await nexus.http.get("/api/tags")).json()["models"]

    assert [one.model for one in listed.models] == ["m", "big", "fast"]
    assert all(len(one.digest or "") == 64 for one in listed.models)
    assert listed.models[0].modified_at is not None
    assert raw[1]["name"] == "big"
    assert raw[1]["remote_model"] == "gpt-5.5"
    assert (gpu.received, cloud.received) == ([], [])


async def test_a_model_that_is_not_of_ollama_is_shown_by_what_is_known() -> None:
    async with (
        upstreams(hang) as (up,),
        running(openai(up.url, models=("m", "text-embedding-3-small")), routing=ALIASES) as nexus,
        client(nexus) as sdk,
    ):
        shown = await sdk.show("claude-opus-9")
        embeds = await sdk.show("text-embedding-3-small")

    assert shown.capabilities == ["completion", "vision", "tools"]
    assert (shown.modelinfo or {})["general.architecture"] == "openai"
    assert shown.details is not None
    assert shown.details.families == ["openai"]
    assert embeds.capabilities == ["embedding"]


@pytest.mark.parametrize("path", ["/api/show", CHAT, GENERATE])
async def test_an_unknown_model_is_not_found(path: str) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, path, {"model": "nobody-has-it", "prompt": "", "messages": []})

    assert answer.status_code == 404
    assert "nobody-has-it" in answer.json()["error"]


async def test_nothing_is_told_to_be_loaded_that_is_not_known_to_be() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus, client(nexus) as sdk:
        assert list((await sdk.ps()).models) == []


@pytest.mark.parametrize("configured", [local, openai, claude])
@pytest.mark.parametrize("reason", ["load", "unload"])
async def test_a_model_is_loaded_by_a_request_without_a_prompt(
    configured: Any, reason: str
) -> None:
    async with (
        upstreams(hang) as (up,),
        running(configured(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        keep = 0 if reason == "unload" else "5m"
        whole = await sdk.generate("m", keep_alive=keep)
        (part,) = [part async for part in await sdk.chat("m", stream=True, keep_alive=keep)]

    assert (whole.response, whole.done, whole.done_reason) == ("", True, reason)
    assert (part.message.content, part.done, part.done_reason) == ("", True, reason)
    assert up.received == []
    assert nexus.finished() == []


async def test_a_model_is_loaded_by_a_request_with_nothing_to_embed() -> None:
    async with (
        upstreams(hang) as (up,),
        running(local(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        nothings: tuple[str | list[str], ...] = ("", [])
        told = [(await sdk.embed("m", nothing)).embeddings for nothing in nothings]
        unsaid = await nexus.http.post("/api/embed", json={"model": "m"})
        seen = await nexus.http.post("/api/embed", json={"model": "m", "images": ["aGk="]})
        old = await sdk.embeddings("m")

    assert told == [[], []]
    assert unsaid.json() == seen.json() == {"model": "m", "embeddings": []}
    assert list(old.embedding) == []
    assert up.received == []


async def test_a_restricted_request_without_a_prompt_is_refused_as_any_other() -> None:
    async with upstreams(hang) as (up,), running(openai(up.url)) as nexus:
        answer = await ask(nexus, CHAT, {"model": "m", "messages": []}, **RESTRICTED)

    assert answer.status_code == 503
    assert answer.json()["code"] == "privacy_constraint_violation"
    assert answer.headers["x-should-retry"] == "false"
    assert up.received == []


async def test_pulling_what_is_served_succeeds_and_anything_else_says_how() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus, client(nexus) as sdk:
        whole = await sdk.pull("m")
        parts = [part async for part in await sdk.pull("m", stream=True)]
        with pytest.raises(ollama.ResponseError, match="does not keep models") as raised:
            await sdk.pull("qwen3:8b")
        with pytest.raises(ollama.ResponseError, match="does not keep models"):
            _ = [part async for part in await sdk.pull("qwen3:8b", stream=True)]

    assert whole.status == "success"
    assert [part.status for part in parts] == ["success"]
    assert raised.value.status_code == 501


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/push", {"model": "m"}),
        ("POST", "/api/create", {"model": "mine", "from": "m"}),
        ("POST", "/api/copy", {"source": "m", "destination": "n"}),
        ("DELETE", "/api/delete", {"model": "m"}),
        ("POST", "/api/blobs/sha256:abc", {}),
    ],
)
async def test_what_is_done_on_the_backends_machine_is_refused_for_good(
    method: str, path: str, body: dict[str, str]
) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.request(method, path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (501, "managed_elsewhere")
    assert answer.headers["x-should-retry"] == "false"
    assert up.received == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b"{}", 400), (b'{"model": 7}', 400)]
)
async def test_a_body_that_names_no_model_is_a_bad_request(body: bytes, status: int) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        for path in ("show", "pull", "push", "create"):
            answer = await nexus.http.post(f"/api/{path}", content=body)

            assert answer.status_code == status
            assert isinstance(answer.json()["error"], str)


async def test_other_paths_and_methods_are_refused_in_ollamas_form() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        unknown = await nexus.http.get("/api/nothing")
        wrong = await nexus.http.get(CHAT)
        probe = await nexus.http.head("/")

    assert (unknown.status_code, wrong.status_code, probe.status_code) == (404, 405, 200)
    assert isinstance(unknown.json()["error"], str)
    assert isinstance(wrong.json()["error"], str)


@pytest.mark.parametrize(("served", "asked"), [("m", "m:latest"), ("m:latest", "m")])
async def test_a_name_without_a_tag_means_the_latest(served: str, asked: str) -> None:
    async with (
        upstreams(answers(ANSWER)) as (up,),
        running(local(up.url, models={served: "real"})) as nexus,
        client(nexus) as sdk,
    ):
        shown = await sdk.show(asked)
        answer = await sdk.chat(asked, SHORT["messages"])
        pulled = await sdk.pull(asked)

    assert shown.capabilities == ["completion", "vision", "tools"]
    assert (answer.model, pulled.status) == (asked, "success")
    assert json.loads(up.last.body)["model"] == "real"


async def test_clients_that_look_at_the_root_find_an_ollama_and_people_find_nexus() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        client = await nexus.http.get("/")
        browser = await nexus.http.get("/", headers={"Accept": "text/html,*/*"})
        posted = await nexus.http.post("/", json={})

    assert (client.status_code, client.text) == (200, "Ollama is running")
    assert browser.text.startswith("Nexus is running")
    assert posted.status_code == 404


async def test_a_restricted_chat_never_leaves() -> None:
    async with upstreams(hang) as (up,), running(openai(up.url)) as nexus:
        answer = await ask(nexus, CHAT, SHORT, **RESTRICTED)

    assert answer.status_code == 503
    assert json.loads(answer.content)["context"]["available_backends"][0]["zone"] == "open"
    assert up.received == []


async def test_show_takes_the_old_name_of_the_field() -> None:
    async with upstreams(answers({})) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post("/api/show", json={"name": "m"})

    assert answer.json()["capabilities"] == ["completion", "vision", "tools"]


async def test_what_ollamas_documentation_asks_with_curl_is_answered() -> None:
    """curl -d calls its body a form."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        shown = await nexus.http.post("/api/show", content=b'{"model": "m"}', headers=form)
        pulled = await nexus.http.post("/api/pull", content=b'{"model": "x"}', headers=form)
        twice = await nexus.http.post("/api/show", content=b'{"model": "m", "model": "x"}')

    assert (shown.status_code, shown.json()["capabilities"][0]) == (200, "completion")
    assert pulled.status_code == 501
    assert "none of its backends is an Ollama" in pulled.json()["error"]
    assert twice.status_code == 400


async def test_a_file_for_a_new_model_is_refused_in_words(tmp_path: Path) -> None:
    blob = tmp_path / "weights"
    blob.write_bytes(b"GGUF\x00\xff")
    async with (
        upstreams(hang) as (up,),
        running(local(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        looked = await nexus.http.head("/api/blobs/sha256:00")
        with pytest.raises(ollama.ResponseError, match="does not keep models"):
            await sdk.create_blob(blob)

    assert looked.status_code == 404


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
async def test_clients_that_only_look_whether_it_is_there_find_it(path: str) -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.head(path)

    assert (answer.status_code, answer.content) == (200, b"")
