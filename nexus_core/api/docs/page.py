"""GET /docs: the routes as one plain page without external resources; GET /openapi.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

from nexus_core.api.docs.openapi import build
from nexus_core.api.docs.schemas import REQUEST_HEADERS, RESPONSE_HEADERS
from nexus_core.background import in_background
from nexus_core.config.schema import AuthConfig

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Nexus API</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}tr{{border-top:1px solid #ccc}}
td{{padding:.3rem .8rem .3rem 0;vertical-align:top}}</style>
<h1>Nexus {version}</h1><p>Point any OpenAI client at <code>/v1</code>.
The same as a schema: <a href="/openapi.json">/openapi.json</a>.</p>
<table>{routes}</table><h2>Request headers</h2><table>{asked}</table>
<h2>Response headers</h2><table>{told}</table></html>
"""
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def add_docs(app: FastAPI, auth: AuthConfig) -> None:
    """Serve /docs and /openapi.json; the schema takes 20 ms, once, and a thread makes it."""

    @cache
    def schema() -> dict[str, Any]:
        return build(app, auth)

    app.openapi = schema  # type: ignore[method-assign]  # FastAPI's way to extend the schema

    @cache
    def written() -> bytes:
        return json.dumps(schema(), ensure_ascii=False, separators=(",", ":")).encode()

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response(await in_background(written), media_type="application/json")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(_page(await in_background(schema)), headers=_HEADERS)


def _page(schema: dict[str, Any]) -> str:
    return _PAGE.format(
        version=escape(schema["info"]["version"]),
        routes="".join(
            _row(
                (method.upper(), path),
                str(operation.get("description", "")),
                ", ".join(operation["responses"]),
            )
            for path, operations in schema["paths"].items()
            for method, operation in operations.items()
        ),
        asked="".join(_header(name, one) for name, one in REQUEST_HEADERS.items()),
        told="".join(_header(name, one) for name, one in RESPONSE_HEADERS.items()),
    )


def _header(name: str, described: dict[str, Any]) -> str:
    schema = described["schema"]
    allowed = " | ".join(schema.get("enum", [])) or schema.get("pattern", "")
    return _row((name,), described["description"], allowed)


def _row(code: Iterable[str], *texts: str) -> str:
    cells = [*(f"<code>{escape(text)}</code>" for text in code), *map(escape, texts)]
    return f"<tr><td>{'</td><td>'.join(cells)}</td></tr>"
