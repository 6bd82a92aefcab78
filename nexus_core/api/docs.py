"""GET /docs: the routes as one plain page that loads nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

# The data plane is served before FastAPI, so its schema does not know these.
_HOT = (
    ("POST", "/v1/chat/completions", "Chat, streaming or not, as OpenAI's API."),
    ("POST", "/v1/completions", "Text completion, as OpenAI's API."),
)

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Nexus API</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}
td{{padding:.3rem .8rem .3rem 0;vertical-align:top}}</style>
<h1>Nexus {version}</h1><p>Point any OpenAI client at <code>/v1</code>.
The schema of the rest: <a href="/openapi.json">/openapi.json</a>.</p><table>{rows}</table></html>
"""


def add_docs(app: FastAPI) -> None:
    """Serve the page."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        rows = [_row(*route) for route in (*_HOT, *_routes(app.openapi()))]
        return HTMLResponse(_PAGE.format(version=escape(app.version), rows="".join(rows)))


def _routes(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (method.upper(), path, str(operation.get("description", "")))
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]


def _row(method: str, path: str, text: str) -> str:
    cells = (f"<code>{escape(method)}</code>", f"<code>{escape(path)}</code>", escape(text))
    return f"<tr><td>{'</td><td>'.join(cells)}</td></tr>"
