"""Every cloud of the catalog that speaks OpenAI's format, over real sockets: where it is asked, how
the key gets there, what is renamed, what a stream costs, and what never happens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nexus_core.catalog import CLOUD_TYPES, BackendType
from nexus_core.config.schema import BackendConfig, HealthCheckConfig
from nexus_core.types import Capability, DialectName
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import Exchange, ScriptedUpstream, answers, streams
from tests.providers.auth.test_key_header import HEADERS, KEY
from tests.scenarios.money import DONE, PRICE, SPOKEN, ledger, priced, settled, usage_chunk, usd
from tests.scenarios.nexus import RESTRICTED, cloud, running, upstreams

UPSTREAM_MODEL = "vendor/own name"
DATED = "?api-version=2024-10-21"


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud as it is configured, and where it is then asked."""

    type: BackendType
    query: str = ""  # of its url

    def __str__(self) -> str:
        return f"{self.type}{self.query}"

    @property
    def chat(self) -> str:
        """The request's target."""
        if self.query:
            return f"/openai/deployments/vendor%2Fown%20name/chat/completions{self.query}"
        return f"{self.path}/chat/completions"

    @property
    def models(self) -> str:
        return f"/openai/models{self.query}" if self.query else f"{self.path}/models"

    @property
    def path(self) -> str:
        spec = self.type.spec
        return urlsplit(spec.url or spec.url_example or "").path or "/v1"

    def at(self, upstream: ScriptedUpstream, **more: Any) -> BackendConfig:
        """It serves `m` by a name of its own, at a bare host."""
        upstream.lists = {self.models.partition("?")[0]}
        values = {"type": self.type, "api_key": KEY, "api_key_env": "A_KEY"}
        return cloud("a", upstream.url + self.query, **values | {"models": NAMES} | more)


NAMES = {"m": UPSTREAM_MODEL}
CLOUDS = [
    *(Cloud(kind) for kind in CLOUD_TYPES if kind.spec.dialect is DialectName.OPENAI_CHAT),
    Cloud(BackendType.AZURE, DATED),
]
clouds = pytest.mark.parametrize("one", CLOUDS, ids=str)


def key_headers(exchange: Exchange) -> list[tuple[str, str]]:
    """Whatever could carry a key, or does."""
    scheme_names = {name for name, _ in HEADERS.values()}
    return [(n, value) for n, value in exchange.headers if n in scheme_names or KEY in value]


@clouds
async def test_a_chat_goes_where_the_row_says_with_the_key_in_its_header(one: Cloud) -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(one.at(up)) as nexus:
        answer = await nexus.ask("m", headers={"Authorization": "Bearer of-the-client"})

    assert answer.status_code == 200
    assert answer.json() == ANSWER
    assert (answer.headers["x-nexus-backend-type"], answer.headers["x-nexus-privacy-zone"]) == (
        "cloud",
        "open",
    )
    assert answer.headers["x-nexus-model"] == UPSTREAM_MODEL
    assert (up.last.method, up.last.target) == ("POST", one.chat)
    assert key_headers(up.last) == [HEADERS[one.type.spec.auth]]
    assert json.loads(up.last.body)["model"] == UPSTREAM_MODEL


@clouds
async def test_a_probe_asks_for_the_models_and_shows_the_key(one: Cloud) -> None:
    listed = {"object": "list", "data": [{"id": "listed"}]}
    async with upstreams(answers(ANSWER)) as (up,):
        up.listing = answers(listed)
        async with running(one.at(up), health_check=HealthCheckConfig(enabled=False)) as nexus:
            probe = await nexus.gateway.health.probe("a")

    assert probe.ok
    assert probe.models == (None if one.type.spec.has_deployments else ("listed",))
    assert up.probes[-1].target == one.models
    assert key_headers(up.probes[-1]) == [HEADERS[one.type.spec.auth]]


@clouds
async def test_a_stream_is_paid_by_the_usage_that_it_tells(one: Cloud, tmp_path: Path) -> None:
    pricing = {one.type.value: {"m": PRICE, UPSTREAM_MODEL: PRICE}}
    async with (
        upstreams(streams([*SPOKEN, usage_chunk(10, 20), DONE])) as (up,),
        priced(one.at(up), folder=tmp_path, pricing=pricing) as nexus,
    ):
        answer = await nexus.ask("m", stream=True)
        await settled(nexus)

    (row,) = ledger(tmp_path)
    asks = one.type.spec.quirks.takes_stream_options
    assert json.loads(up.last.body).get("stream_options") == (
        {"include_usage": True} if asks else None
    )
    assert (b'"usage"' in answer.content) is not asks  # what was added is taken out again
    assert (row["backend_type"], row["prompt_tokens"], row["completion_tokens"]) == (
        one.type.value,
        10,
        20,
    )
    assert usd(row["cost_nano_usd"]) == Decimal("0.05")


@clouds
@pytest.mark.parametrize("status", [400, 401])
async def test_the_key_is_in_no_error(one: Cloud, status: int) -> None:
    error = {"error": {"message": f"bad key {KEY} at {one.chat}", "type": "invalid"}}
    async with upstreams(answers(error, status)) as (up,), running(one.at(up)) as nexus:
        answer = await nexus.ask("m")
        state = await nexus.http.get("/nexus/state")
        requests = await nexus.http.get("/nexus/requests")

    assert answer.status_code == {401: 502}.get(status, status)
    assert KEY not in up.last.target
    for told in (answer, state, requests):
        assert KEY not in told.text
        assert KEY not in str(told.headers)


@clouds
async def test_a_restricted_prompt_never_goes_to_a_cloud(one: Cloud) -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(one.at(up)) as nexus:
        answer = await nexus.ask("m", headers=RESTRICTED)

        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "privacy_constraint_violation"
        assert up.received == []


@clouds
async def test_what_the_row_lacks_is_not_asked_for(one: Cloud) -> None:
    async with upstreams(answers({"data": []})) as (up,), running(one.at(up)) as nexus:
        for capability, path, body in (
            (Capability.EMBEDDINGS, "/v1/embeddings", {"input": "x"}),
            (Capability.COMPLETIONS, "/v1/completions", {"prompt": "x"}),
        ):
            before = len(up.received)

            answer = await nexus.http.post(path, json={"model": "m", **body})

            if capability in one.type.lacks:
                assert answer.json()["error"]["code"] == "endpoint_not_supported"
                assert len(up.received) == before
            else:
                assert up.last.target.partition("?")[0].endswith(path.removeprefix("/v1"))


@clouds
async def test_a_field_that_the_vendor_refuses_arrives_as_it_takes_it(one: Cloud) -> None:
    asked: dict[str, Any] = {
        "messages": [{"role": "developer", "content": "be brief"}],
        "max_completion_tokens": 5,
        "logit_bias": {"1": 5},
        "store": False,
    }
    quirks = one.type.spec.quirks
    async with upstreams(answers(ANSWER)) as (up,), running(one.at(up)) as nexus:
        answer = await nexus.ask("m", **asked)

    sent = json.loads(up.last.body)
    assert sent["messages"][0]["role"] == ("developer" if quirks.has_developer_role else "system")
    name = dict(quirks.renamed).get("max_completion_tokens", "max_completion_tokens")
    assert sent[name] == 5
    assert ("logit_bias" in sent) is ("logit_bias" not in quirks.refused)
    assert ("store" in sent) is ("store" not in quirks.ignored)
    dropped = answer.headers.get("x-nexus-dropped-params")
    assert dropped == ("logit_bias" if "logit_bias" in quirks.refused else None)


async def test_a_deployment_is_priced_by_the_model_that_it_is_served_as(tmp_path: Path) -> None:
    azure, models = Cloud(BackendType.AZURE), {"gpt-4o": "prod-eu"}
    told = ANSWER | {"usage": {"prompt_tokens": 1000, "completion_tokens": 0, "total_tokens": 1000}}
    async with (
        upstreams(answers(told)) as (up,),
        priced(azure.at(up, models=models), folder=tmp_path, pricing={}) as nexus,
    ):
        answer = await nexus.ask("gpt-4o")
        await settled(nexus)

    (row,) = ledger(tmp_path)
    assert json.loads(up.last.body)["model"] == "prod-eu"
    assert row["cost_nano_usd"] > 0
    assert answer.headers["x-nexus-cost-estimated"].startswith("$0.00")
