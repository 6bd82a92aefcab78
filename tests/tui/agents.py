"""Requests of agents, in two sessions: Claude Code with a subagent, and Codex."""

from __future__ import annotations

from functools import partial

from tests.tui.fleet import Story, publish
from tests.tui.staged import Stage

CLAUDE_SESSION = "3f2a9c1d-7b42-4e0c-9a55-0d6f1c2b8e77"
CODEX_SESSION = "01990c4e-51aa-7c31-b1f0-4d2c9e8a6b05"
SUBAGENT = "a71c02"
_CLAUDE = (
    ("user-agent", "claude-cli/2.1.197 (external, cli)"),
    ("x-claude-code-session-id", CLAUDE_SESSION),
)
_CODEX = (
    ("user-agent", "codex_exec/0.171.0 (Debian 12.0.0; x86_64)"),
    ("session-id", CODEX_SESSION),
)

_opus = partial(
    Story,
    model="claude-opus-4-8",
    backend="vllm-a",
    served="qwen3-coder",
    headers=_CLAUDE,
    endpoint="/v1/messages",
)
_haiku = partial(
    Story,
    model="claude-haiku-4-5",
    backend="local-llama",
    served="qwen3:8b",
    headers=(*_CLAUDE, ("x-claude-code-agent-id", SUBAGENT)),
    endpoint="/v1/messages",
)
_codex = partial(Story, model="gpt-4o", backend="openai", headers=_CODEX, endpoint="/v1/responses")
_STORIES = (
    _opus(50, tokens=(21_400, 310)),
    _haiku(40, tokens=(9_200, 95)),
    _haiku(34, tokens=(9_800, 120), cached=9_200),
    _codex(30, tokens=(14_100, 240), cached=9_000),
    _codex(20, status=429, tokens=None, error="answered 429", error_code="upstream_429"),
    _opus(12, tokens=(22_300, 410), cached=21_400),
    _opus(0.2, total_ms=None, tokens=None),
)


def ask_as_agents(stage: Stage) -> None:
    """Publish what the agents ask, after everything else."""
    for number, story in enumerate(_STORIES):
        publish(stage.gateway, f"a82e0{number}", story)
