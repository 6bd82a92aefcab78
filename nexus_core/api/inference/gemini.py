"""What Google's clients ask beside requests: the models, one of them, and the tokens of a prompt.

https://ai.google.dev/api/models and https://ai.google.dev/api/tokens
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from nexus_core.api.asgi.encoding import as_utf8
from nexus_core.api.inference.count import counted
from nexus_core.api.models import (
    describe_for_google,
    find_model,
    not_served,
    served_models,
    view_of,
)
from nexus_core.background import read_long
from nexus_core.dialects.gemini.inbound.counting import read_counted
from nexus_core.dialects.gemini.inbound.dialect import GEMINI
from nexus_core.dialects.gemini.inbound.models import page_of
from nexus_core.dialects.gemini.inbound.paths import Method
from nexus_core.gateway import Gateway
from nexus_core.types import JsonObject

_JSON = "application/json"
_DIGITS = "^[0-9]{0,9}$"
_COUNT = ":countTokens"
_METHODS = ", ".join([*Method, _COUNT[1:]])
_PAGE, _MOST = 50, 1000  # models on a page: usually, and at most


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of the Gemini API that are no requests of their own."""
    router = APIRouter(tags=["inference"])

    # Before the models: of a path that several routes match, the first one tells its methods.
    @router.post("/v1beta/models/{model:path}:countTokens", operation_id="gemini_count_tokens")
    async def count_tokens(request: Request, model: str) -> Response:
        """Count the tokens of a Gemini request without sending it.

        A Google backend is asked for its own count, free of charge, if the request would go there.
        Else Nexus counts, rather too much than too little.
        """
        return await _count(gateway, request, model)

    @router.post("/v1/models/{model:path}:countTokens", include_in_schema=False)
    async def count_tokens_v1(request: Request, model: str) -> Response:
        """The same by the older version of the API."""
        return await _count(gateway, request, model)

    @router.get("/v1beta/models", operation_id="gemini_models")
    async def models(
        request: Request,
        size: Annotated[str, Query(alias="pageSize", pattern=_DIGITS)] = "",
        start: Annotated[str, Query(alias="pageToken", pattern=_DIGITS)] = "",
    ) -> Response:
        """Models and aliases served by the enabled backends, page by page, as Google lists them."""
        view = view_of(gateway, request.scope)
        names = await served_models(view)
        page, token = page_of(names, int(start or 0), min(int(size or 0) or _PAGE, _MOST))
        described = [describe_for_google(view, name) for name in page]
        return _answer({"models": described, **token})

    @router.get("/v1beta/models/{model:path}", operation_id="gemini_model")
    async def model(request: Request, model: str) -> Response:
        """One model or alias, as Google describes its own."""
        if model.endswith(_COUNT):
            raise HTTPException(405, f"{_COUNT[1:]} takes POST", {"allow": "POST"})
        view = view_of(gateway, request.scope)
        if find_model(view, model) is None:
            raise await not_served(view, model, "/v1beta/models")
        return _answer(describe_for_google(view, model))

    @router.post("/v1beta/models/{model:path}", include_in_schema=False)
    async def other_method(model: str) -> Response:
        """Refused: says which methods a model has here."""
        name, colon, method = model.rpartition(":")
        if not colon:
            raise HTTPException(405, f"models/{model} takes GET, or POST :METHOD", {"allow": "GET"})
        if not name:
            raise HTTPException(404, f"no model is named before :{method}")
        raise HTTPException(404, f"{method!r} is no method here, but {_METHODS} are")

    return router


async def _count(gateway: Gateway, request: Request, model: str) -> Response:
    body = as_utf8(await request.body())
    envelope = await read_long(partial(read_counted, model), body)
    tokens = await counted(gateway, request, envelope, GEMINI)
    return _answer({"totalTokens": tokens})


def _answer(body: JsonObject) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), media_type=_JSON)
