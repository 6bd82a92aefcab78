"""Names of the programs that send requests, by their User-Agent."""

from __future__ import annotations

import re

# Beginnings of a User-Agent in small letters. Programs of one name come with several: Claude Code
# as claude-cli, its discovery as claude-code; Codex with what it was started as.
_PROGRAMS = (
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("claude-agent-sdk", "claude-agent-sdk"),
    ("codex", "codex"),
    ("geminicli", "gemini-cli"),
    ("gemini-cli", "gemini-cli"),
    ("opencode", "opencode"),
    ("qwencode", "qwen-code"),
    ("roocode", "roo-code"),
    ("kilo-code", "kilo-code"),
    ("aider", "aider"),
    ("cline", "cline"),
    ("continue", "continue"),
    ("zed", "zed"),
    ("open-webui", "open-webui"),
    ("open webui", "open-webui"),
    ("githubcopilotchat", "copilot"),
    ("ollama-python", "ollama-python"),
    ("ollama-js", "ollama-js"),
    ("ollama", "ollama"),
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("openai/js", "openai-js"),
    ("openai/go", "openai-go"),
    ("openai/java", "openai-java"),
    ("anthropic/python", "anthropic-python"),
    ("asyncanthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-js"),
    ("google-genai-sdk", "google-genai"),
    ("litellm", "litellm"),
    ("ai-sdk", "ai-sdk"),
    ("ai/", "ai-sdk"),
    ("nexus-dashboard", "nexus"),
    ("nexus/", "nexus"),
    ("nexus-demo", "nexus-demo"),
    ("python-requests", "requests"),
    ("python-httpx", "httpx"),
    ("mozilla/", "browser"),
)
# What a library says of itself; the program that uses it tells more, where it has a word.
_LIBRARIES = frozenset(
    {
        *("openai-python", "openai-js", "openai-go", "openai-java", "ai-sdk", "litellm"),
        *("anthropic-python", "anthropic-js", "google-genai", "requests", "httpx", "browser"),
        *("Python", "aiohttp", "axios", "node", "undici", "Bun", "Deno", "Go-http-client"),
    }
)
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # of a product, within RFC 9110 section 5.6.2
_NO_WORD = re.compile(r"[^a-z0-9]+")
_KEYS = ("sk-", "aiza", "gsk_", "xai-", "bearer", "hf_", "nvapi-")  # how API keys begin
MAX_AGENT_CHARS = 32


def looks_like_key(text: str) -> bool:
    """Whether it may be an API key that was put into the wrong header."""
    return text.lower().startswith(_KEYS)


def program(user_agent: str, title: str = "") -> str | None:
    """The program's name: `claude-code`, `openai-python`, else the first product it names itself.

    Args:
        title: what an app calls itself beside it (`X-Title`, `X-OpenRouter-Title`); counts where
            the User-Agent is a library's.
    """
    said = user_agent.strip()
    small = said.lower()
    name = next((name for begin, name in _PROGRAMS if small.startswith(begin)), None)
    if name is None:
        token = _TOKEN.match(said)
        if token is not None and not looks_like_key(said):
            name = token[0][:MAX_AGENT_CHARS]
    if title and not looks_like_key(title) and (name is None or name in _LIBRARIES):
        return _titled(title) or name
    return name


def _titled(title: str) -> str:
    """`open-webui` of `Open WebUI`."""
    return _NO_WORD.sub("-", title.lower()).strip("-")[:MAX_AGENT_CHARS].strip("-")
