"""Whatever a client sends to any inbound API, to any kind of backend: an answer, never a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.anthropic.test_inbound import mutated
from tests.scenarios.beside import Beside, beside
from tests.scenarios.every_api import (
    CHATS,
    COUNTS,
    EVERY,
    KINDS,
    one_of_each,
    server_of_every_format,
)

ALL = EVERY | COUNTS


@pytest.fixture(scope="module")
def serving() -> Iterator[Beside]:
    with beside([server_of_every_format] * KINDS, one_of_each) as one:
        yield one


def names(serving: Beside) -> list[str]:
    return list(serving.nexus.gateway.registry.names)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("api", EVERY)
def test_each_request_as_it_stands_is_answered_or_refused_by_name(
    serving: Beside, api: str, is_stream: bool
) -> None:
    asked = EVERY[api]
    body = asked.body | ({"stream": is_stream} if "stream" in asked.body else {})
    for backend in names(serving):
        answer = serving.post(asked.path, json.dumps(body).encode(), {"X-Nexus-Backend": backend})
        assert answer.status_code in ((200,) if api in CHATS else (200, 400, 404, 422)), (
            backend,
            answer.text,
        )
        assert answer.status_code == 200 or backend in answer.text, answer.text


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes, str]:
    asked = ALL[draw(st.sampled_from(sorted(ALL)))]
    body = asked.body
    for _ in range(draw(st.integers(1, 3))):
        changed = mutated(body, draw)
        body = changed if isinstance(changed, dict) else body
    if "model" in asked.body and draw(st.integers(0, 9)):
        body = {**body, "model": "m"}
    if draw(st.booleans()) and "stream" in asked.body:
        body = {**body, "stream": True}
    return (
        asked.path,
        json.dumps(body).encode(),
        draw(st.sampled_from(["", *map(str, range(KINDS))])),
    )


@given(asked=requests())
def test_no_request_gives_a_500(serving: Beside, asked: tuple[str, bytes, str]) -> None:
    path, body, backend = asked
    pinned = {"X-Nexus-Backend": names(serving)[int(backend)]} if backend else {}

    answer = serving.post(path, body, pinned)

    assert answer.status_code in (200, 400, 404, 422, 503), answer.text
    assert "internal error" not in answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]


@given(api=st.sampled_from(sorted(ALL)), body=st.binary(max_size=60))
def test_no_bytes_give_a_500(serving: Beside, api: str, body: bytes) -> None:
    answer = serving.post(ALL[api].path, body)

    assert answer.status_code in (400, 404, 200), answer.text
