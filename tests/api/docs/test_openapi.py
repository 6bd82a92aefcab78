"""What /openapi.json and /docs say is what is sent: every path, every status, and no others."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any, get_args

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import APIOperation
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks
from schemathesis.generation import GenerationMode

from nexus_core.api.docs.openapi import ROUTES, build
from nexus_core.api.routes import create_app
from nexus_core.config.schema import AuthConfig, ClientKey, Config
from nexus_core.control.config_file import ConfigControl
from nexus_core.dialects.inbound import DEFAULT, PATHS, inbound_at
from nexus_core.errors import (
    ActionableErrorContext,
    AvailabilityStatus,
    BackendStatus,
    CapacityExceededError,
)
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.keys.live import LiveKeys
from nexus_core.types import Operation, PrivacyZone
from nexus_core.upstream.httpx_engine import HttpxEngine
from tests.api.in_process import client
from tests.api.in_thread import in_thread
from tests.contract.bodies import ANSWER

KEYS = (ClientKey(name="alice", value=b"ka"),)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
EXAMPLES = 10  # of valid and of invalid requests, for each operation


def schema_with(**auth: Any) -> dict[str, Any]:
    config = Config(auth=AuthConfig(**auth))
    return build(create_app(Gateway(config)), config.auth)


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


@pytest.mark.parametrize("auth", [{}, {"api_keys": KEYS}, {"api_keys": KEYS, "admin_key": b"root"}])
def test_the_schema_is_valid_openapi(auth: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(schema_with(**auth)).validate()


def test_every_path_is_told_and_known() -> None:
    hot = {("post", path) for path in PATHS}

    told = {(method, path) for method, path, _ in operations(schema_with())}

    assert told == hot | ROUTES.keys()
    for path in ("/health", "/v1/models", "/v1/models/{model}", "/v1/stats", "/metrics"):
        assert ("get", path) in told
    assert {("get", "/nexus/state"), ("get", "/nexus/events"), ("post", "/nexus/explain")} <= told


@pytest.mark.parametrize(
    ("auth", "with_401", "with_403"),
    [
        ({}, set(), {"/health", "/v1", "/v1beta", "/api", "/nexus", "/metrics"}),
        ({"api_keys": KEYS}, {"/v1", "/v1beta", "/api", "/nexus", "/metrics"}, set()),
        (
            {"api_keys": KEYS, "admin_key": b"root"},
            {"/v1", "/v1beta", "/api", "/nexus", "/metrics"},
            {"/v1", "/v1beta", "/api", "/nexus", "/metrics"},
        ),
        (
            {"admin_key": b"root"},
            {"/nexus"},
            {"/health", "/v1", "/v1beta", "/api", "/nexus", "/metrics"},
        ),
    ],
)
def test_what_the_guard_may_answer_depends_on_the_keys(
    auth: dict[str, Any], with_401: set[str], with_403: set[str]
) -> None:
    schema = schema_with(**auth)

    found: dict[str, set[str]] = {"401": set(), "403": set()}
    for _, path, operation in operations(schema):
        surface = "/" + path.split("/")[1]
        for status in found.keys() & operation["responses"].keys():
            if path != "/nexus/requests/{request_id}/replay":  # has a 403 of its own
                found[status].add(surface)
        assert ("401" in operation["responses"]) == ("security" in operation)
    assert found == {"401": with_401, "403": with_403}


def test_what_any_request_may_meet_stands_at_every_operation() -> None:
    always = {"400", "413", "431", "503"}  # of Nexus's own; a 503 where connections are too many

    missing = [path for _, path, one in operations(schema_with()) if always - set(one["responses"])]

    assert missing == []


def test_only_inference_answers_422_and_nothing_a_validation_error() -> None:
    schema = schema_with()

    with_422 = {path for _, path, one in operations(schema) if "422" in one["responses"]}

    assert with_422 == set(PATHS)
    assert "HTTPValidationError" not in str(schema)


def test_the_context_of_a_503_has_the_fields_that_are_sent() -> None:
    status = BackendStatus("a", "at_capacity", PrivacyZone.OPEN, 1)
    sent = json.loads(
        DEFAULT.error(CapacityExceededError("m", ActionableErrorContext(1, (status,), 2)))
    )

    schemas = schema_with()["components"]["schemas"]
    told, listed = schemas["ActionableErrorContext"], schemas["BackendStatus"]

    assert set(told["required"]) == sent["error"]["context"].keys()
    assert set(listed["required"]) == sent["error"]["context"]["available_backends"][0].keys()
    assert set(listed["properties"]["status"]["enum"]) == set(get_args(AvailabilityStatus))


def test_explain_takes_a_question_in_place_of_a_request() -> None:
    schema = schema_with()

    body = schema["paths"]["/nexus/explain"]["post"]["requestBody"]
    (asked,) = schema["components"]["schemas"]["QuestionBody"]["required"]

    kinds = body["content"]["application/json"]["schema"]["anyOf"]
    assert {"$ref": "#/components/schemas/QuestionBody"} in kinds
    assert asked == "question"
    assert schema["components"]["schemas"]["AskedQuestion"]["required"] == ["model"]


def test_inference_tells_its_headers_and_bodies() -> None:
    schema = schema_with()
    for path in PATHS:
        operation = schema["paths"][path]["post"]
        parameters = operation["parameters"]
        asked = {one["$ref"].rpartition("/")[2] for one in parameters if "$ref" in one}
        told = operation["responses"]["200"]["headers"]

        assert {f"X-Nexus-{name}" for name in ("Privacy-Zone", "Min-Tier", "Backend")} <= asked
        assert {"X-Nexus-Backend", "X-Nexus-Cost-Estimated", "X-Nexus-Request-Id"} <= set(told)
        assert operation["requestBody"]["required"]
        inbound = inbound_at(path)
        assert inbound is not None
        # The published path of a stream has no query, by which it is one of events.
        streams = "stream" in path if "{model}" in path else inbound.operation is Operation.CHAT
        kind = "text/event-stream" if "{model}" in path else inbound.dialect.stream_type
        assert (kind in operation["responses"]["200"]["content"]) == (
            streams or inbound.operation is Operation.COMPLETIONS
        )


async def test_the_page_tells_the_same_and_loads_nothing_from_elsewhere(gateway: Gateway) -> None:
    async with client(gateway) as http:
        page = await http.get("/docs")
        schema = (await http.get("/openapi.json")).json()

    shown = re.findall(r"<tr><td><code>(\w+)</code></td><td><code>(/[^<]*)</code>", page.text)
    assert [(method.lower(), unescape(path)) for method, path in shown] == [
        (method, path) for method, path, _ in operations(schema)
    ]
    for loading in ("src=", "@import", "url(", "<script", "<link", "http://", "https://"):
        assert loading not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


# --- the fuzzer -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SelectedRoute:
    """A running Nexus, a client of it, and what it says of itself."""

    url: str
    session: requests.Session
    schema: dict[str, Any]


EMBEDDED = {"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "model": "m"}


def answer(request: httpx.Request) -> httpx.Response:
    if request.method == "GET":
        return httpx.Response(200, json={"object": "list", "data": [{"id": "m"}]})
    if request.url.path.endswith("/embeddings"):
        return httpx.Response(200, json=EMBEDDED)
    return httpx.Response(200, json=ANSWER)


def make_gateway() -> Gateway:
    backends = [
        {"name": "local", "type": "vllm", "zone": "restricted", "models": ["m"]},
        {"name": "other", "type": "generic", "zone": "open", "models": ["m"]},
    ]
    config = Config.model_validate(
        {
            "backends": [one | {"url": f"http://{one['name']}.test"} for one in backends],
            "health_check": {"enabled": False},
            "storage": {"path": ":memory:"},
        },
        strict=False,
    )
    files = GatewayOptions(files=lambda live, _: ConfigControl(live, lambda _: config, {}))
    gateway = Gateway(config, engine=HttpxEngine(httpx.MockTransport(answer)), options=files)
    # Who draws a key by chance locks nobody out.
    gateway.keys = LiveKeys(None, gateway.now, time.monotonic_ns, lambda _: None, is_optional=True)
    gateway.event_log.close()  # so that the stream of events comes to an end
    return gateway


@pytest.fixture(scope="module")
def selected() -> Iterator[SelectedRoute]:
    with in_thread(make_gateway) as port, requests.Session() as session:
        url = f"http://127.0.0.1:{port}"
        schema = session.get(f"{url}/openapi.json", timeout=10).json()
        # A backend may refuse in any way, but the one here never does.
        for _, _, operation in operations(schema):
            for any_of_them in ("4XX", "5XX"):
                operation["responses"].pop(any_of_them, None)
        yield SelectedRoute(url, session, schema)


def _operations() -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in operations(schema_with())]


load_all_checks()


def _check(name: str) -> CheckFunction:
    found = CHECKS.get_one(name)
    assert not isinstance(found, type)
    return found


_CHECKS = [
    _check(name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "positive_data_acceptance",
    )
]
# What a name means, what a file holds, and which fields go together is more than a schema says.
_NEEDS_MORE = {"X-Nexus-Backend"}
_MAY_REFUSE_VALID = {
    "/nexus/keys",
    "/nexus/keys/{name}",
    "/nexus/keys/{name}/rotate",
    "/nexus/save",
    "/nexus/backends/{name}",
    "/nexus/requests/{request_id}/replay",
    "/nexus/explain",
    "/nexus/send",
}


@pytest.mark.parametrize(("method", "path"), _operations())
def test_a_fuzzer_finds_no_undocumented_status_and_no_500(
    selected: SelectedRoute, method: str, path: str
) -> None:
    operation = schemathesis.openapi.from_dict(selected.schema)[path][method]

    assert _fuzz(selected, operation, GenerationMode.POSITIVE) > 0
    if operation.body or operation.query:  # there is something that can be wrong
        assert _fuzz(selected, operation, GenerationMode.NEGATIVE) > 0


def _fuzz(
    selected: SelectedRoute, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode
) -> int:
    """Send valid or invalid requests and check the answers; how many."""
    count = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def send(case: schemathesis.Case[Any]) -> None:
        nonlocal count
        count += 1
        if mode is GenerationMode.POSITIVE and count % 2:
            _aim(case)
        found = case.call(base_url=selected.url, session=selected.session, timeout=10)

        assert found.status_code != 500
        named = {*(case.headers or ()), *(case.query or ())}
        needs_more = case.path in _MAY_REFUSE_VALID or bool(named & _NEEDS_MORE)
        # What no backend can serve at any time is a 400 where clients repeat every other status.
        needs_more = needs_more or (found.status_code == 400 and '"context"' in found.text)
        left_out = {"positive_data_acceptance"} if needs_more else set()
        checks = [one for one in _CHECKS if one.__name__ not in left_out]
        case.validate_response(found, checks=checks)

    send()
    return count


def _aim(case: schemathesis.Case[Any]) -> None:
    """At what is there: a name drawn by chance never is."""
    if isinstance(case.body, dict) and "model" in case.body:
        case.body["model"] = "m"
    if "name" in case.path_parameters:
        case.path_parameters["name"] = "local"
    if "model" in case.path_parameters:
        case.path_parameters["model"] = "m"
    if "X-Nexus-Backend" in case.headers:
        case.headers["X-Nexus-Backend"] = "local"


def test_no_path_takes_another_method(selected: SelectedRoute) -> None:
    for path, documented in selected.schema["paths"].items():
        url = selected.url + re.sub(r"\{\w+\}", "m", path)
        for method in METHODS:
            if method.lower() in documented:
                continue
            found = selected.session.request(method, url, data=b"{}", timeout=10)

            assert found.status_code == 405, (method, path)
            assert found.headers["allow"].lower() in documented, (method, path)
            assert "access-control-allow-origin" not in found.headers
            if method != "HEAD":
                told = found.json()
                error = told if path.startswith("/api/") else told["error"]
                of_google = error.get("details", [{}])[0].get("reason", "").lower()
                assert "method_not_allowed" in (error["code"], of_google)
