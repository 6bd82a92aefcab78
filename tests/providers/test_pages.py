"""Lists of models that come in pages: to their end, and not for ever."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from nexus_core.catalog import BackendType
from nexus_core.providers.http import MAX_PAGES
from tests.providers.test_agents import Backend, agent_for, google_listing


class Pages(Backend):
    """Answers with one page after the other, the last one for ever."""

    def __init__(self, *pages: object) -> None:
        super().__init__(httpx.Response(200))
        self.pages = list(pages)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.answer = httpx.Response(
            200, json=self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        )
        return await super().handle_async_request(request)


ANTHROPIC_PAGES = (
    {"data": [{"id": "a"}, {"id": "b/c"}], "has_more": True, "last_id": "b/c"},
    {"data": [{"id": "d"}], "has_more": False, "last_id": "d"},
)
GOOGLE_PAGES = (
    google_listing("a", "b/c").json() | {"nextPageToken": "t&1"},
    google_listing("d").json(),
)


@pytest.mark.parametrize(
    ("kind", "pages", "queries"),
    [
        (BackendType.ANTHROPIC, ANTHROPIC_PAGES, ["limit=100", "limit=100&after_id=b%2Fc"]),
        (BackendType.GOOGLE, GOOGLE_PAGES, ["pageSize=1000", "pageSize=1000&pageToken=t%261"]),
    ],
)
async def test_a_list_of_several_pages_is_read_to_its_end(
    kind: BackendType, pages: tuple[object, ...], queries: list[str]
) -> None:
    backend = Pages(*pages)

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models == ("a", "b/c", "d")
    assert [request.url.query.decode() for request in backend.requests] == queries


@pytest.mark.parametrize(
    ("kind", "page"),
    [(BackendType.ANTHROPIC, ANTHROPIC_PAGES[0]), (BackendType.GOOGLE, GOOGLE_PAGES[0])],
)
async def test_a_page_that_leads_to_itself_is_the_last(kind: BackendType, page: object) -> None:
    backend = Pages(page)

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models == ("a", "b/c")
    assert len(backend.requests) == 2  # the second says again what the first said


class EndlessPages(Backend):
    """Each page has another name and says that there is one more."""

    def __init__(self, page: Callable[[int], object]) -> None:
        super().__init__(httpx.Response(200))
        self.page = page

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.answer = httpx.Response(200, json=self.page(len(self.requests)))
        return await super().handle_async_request(request)


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (
            BackendType.ANTHROPIC,
            lambda n: {"data": [{"id": f"m{n}"}], "has_more": True, "last_id": f"m{n}"},
        ),
        (BackendType.GOOGLE, lambda n: google_listing(f"m{n}").json() | {"nextPageToken": f"{n}"}),
        (BackendType.OPENAI, lambda n: {"data": [f"m{n}"], "has_more": True, "last_id": f"m{n}"}),
        (BackendType.OPENAI, lambda n: {"models": [{"name": f"m{n}"}], "next_page_token": f"{n}"}),
        (BackendType.OPENAI, lambda n: {"data": [f"m{n}"], "next": f"https://evil/x?cursor={n}"}),
    ],
)
async def test_pages_without_end_are_given_up_after_so_many(
    kind: BackendType, page: Callable[[int], object]
) -> None:
    backend = EndlessPages(page)

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models is not None
    assert len(backend.requests) == len(result.models) == MAX_PAGES
    assert {request.url.host for request in backend.requests} == {"backend.test"}
