"""A Nexus that answers what a test says, in a thread."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NUMBERS: dict[str, Any] = {
    "requests": 18204,
    "finished": 18200,
    "failed": 2,
    "client_errors": 6,
    "failovers": 12,
    "turned_away": 1,
    "refused_by_cut": 2,
    "refused_for_privacy": 0,
    "client_left": 4,
    "local_answers": 78,
    "cloud_answers": 22,
    "prompt_tokens": 812000,
    "completion_tokens": 190000,
    "counted_prompt_tokens": 0,
    "counted_completion_tokens": 0,
    "first_byte_ms": {"p50": 412.0, "p99": None},
    "total_ms": {"p50": 2900.0},
}
STATE: dict[str, Any] = {
    "version": "9.9",
    "started_at": 0.0,
    "backends": [
        {
            "name": "local",
            "type": "ollama",
            "zone": "restricted",
            "tier": 3,
            "priority": 80,
            "max_concurrent": 4,
            "models": {"m": "m", "模型": "模型"},
            "models_known": True,
            "enabled": True,
            "zone_enabled": True,
            "health": "healthy",
            "cause": "none",
            "detail": None,
            "in_flight": 3,
            "probe_ms": 12.0,
            "state": "healthy",
            "is_usable": True,
        },
        {
            "name": "cloud",
            "type": "openai",
            "zone": "open",
            "tier": None,
            "priority": 10,
            "max_concurrent": None,
            "models": {},
            "models_known": False,
            "enabled": True,
            "zone_enabled": True,
            "health": "unhealthy",
            "cause": "auth",
            "detail": "401: check OPENAI_API_KEY \x1b[2J",
            "in_flight": 0,
            "probe_ms": None,
            "state": "auth",
            "is_usable": False,
        },
    ],
    "unusable_backends": [
        {"name": "left", "type": "openai", "zone": "open", "why": "KEY is not set"}
    ],
    "zones": {"restricted": True, "open": False},
    "stats": {
        "uptime_seconds": 8040.0,
        "in_flight": 3,
        "queued": 5,
        **NUMBERS,
        "windows": {
            "1m": {**NUMBERS, "requests": 7, "finished": 4, "failed": 0},
            "5m": {**NUMBERS, "requests": 24, "finished": 20, "counted_prompt_tokens": 8},
            "1h": {**NUMBERS, "requests": 1000},
        },
    },
}
REQUESTS: dict[str, Any] = {
    "requests": [
        {
            "id": "r2",
            "at": 1_800_000_001.0,
            "model": "gpt-4\x1b]0;x\x07",
            "served_model": "llama3",
            "backend": "local",
            "zone": "restricted",
            "reason": "capability-match",
            "status": 200,
            "first_byte_ms": 80.0,
            "total_ms": 2900.0,
            "prompt_tokens": 10,
            "completion_tokens": 1200,
            "cost_usd": None,
            "error": None,
            "is_running": False,
        },
        {"id": "r1", "at": 1_800_000_000.0, "model": "claude", "is_running": True},
        {
            "id": "r0",
            "at": 1_799_999_999.0,
            "model": None,
            "status": 503,
            "cost_usd": 0.0032,
            "error": "nobody",
            "new": 1,
        },
    ]
}

LOGS: dict[str, Any] = {
    "lines": [
        {
            "id": f"ab-{number}",
            "at": 1_800_000_000.0 + number,
            "level": level,
            "logger": logger,
            "text": text,
        }
        for number, (level, logger, text) in enumerate(
            [
                ("info", "nexus_core.fleet.health", "backend=local now=healthy"),
                ("warning", "nexus_core.money.ledger", "the disk is full \x1b[2J"),
                ("error", "nexus_core.api.app", "failed request=r1"),
            ]
        )
    ],
    "last": "ab-2",
    "skipped": 0,
}

COSTS: dict[str, Any] = {
    "today": "1.8342",
    "today_unpriced": 0,
    "month": "31.2",
    "monthly_limit": "100",
}


class FakeNexus(http.server.BaseHTTPRequestHandler):
    """Answers GET by path; keeps every target and key."""

    answers: dict[str, Any]
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        content = self.answers.get(self.path.partition("?")[0])
        if callable(content):
            content = content()
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        is_error = isinstance(content, dict) and isinstance(content.get("error"), dict)
        self.send_response(404 if content is None or is_error else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def fake_nexus(**answers: Any) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Its URL, and what it was asked; what `answers` names is answered instead.

    `more` has answers by path; an error's body is told with status 404.
    """
    asked: list[tuple[str, str | None]] = []
    paths = {
        "/health": {"service": "nexus"},
        "/nexus/state": answers.get("state", STATE),
        "/nexus/requests": answers.get("requests", REQUESTS),
        "/nexus/logs": answers.get("logs", LOGS),
        "/nexus/costs": answers.get("costs", {"costs": COSTS}),
        **answers.get("more", {}),
    }
    handler = type("Handler", (FakeNexus,), {"answers": paths, "asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
