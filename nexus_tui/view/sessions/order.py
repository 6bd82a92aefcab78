"""Ways to sort sessions."""

from __future__ import annotations

from nexus_tui.view.order import Way
from nexus_tui.view.sessions.book import Tally


def session_ways() -> dict[str, Way[Tally]]:
    """By what their columns show; the latest activity is the usual one."""
    return {
        "last": Way("l", lambda one: one.last),
        "since": Way("i", lambda one: one.since),
        "agent": Way("a", lambda one: one.agent, is_text=True),
        "requests": Way("r", lambda one: one.requests),
        "running": Way("u", lambda one: one.running),
        "models": Way("m", lambda one: one.model_names or None, is_text=True),
        "in": Way("n", lambda one: one.prompt_tokens),
        "out": Way("o", lambda one: one.completion_tokens),
        "cached": Way("h", lambda one: one.cached_share),
        "cost": Way("c", lambda one: one.cost_nano_usd),
        "errors": Way("e", lambda one: one.errors),
    }
