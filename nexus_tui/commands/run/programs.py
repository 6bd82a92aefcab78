"""The programs that `nexus run` knows by name, and what each reads.

Environment variables and flags only. Where a program's own settings file would win over them, it is
told so in the way it offers for that; nothing of the user's is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nexus_core.types import is_object
from nexus_tui.commands.run.gemini import gemini
from nexus_tui.commands.run.setup import (
    KEY_VARIABLE,
    ZONE,
    CannotRunError,
    Setup,
    Target,
    direct,
    header_lines,
)

Prepare = Callable[[Target, Mapping[str, str], Sequence[str]], Setup]

_MAX_OUTPUT_TOKENS = 32_000  # the most that an agent is told to ask for
_CLAUDE_LEAST_WINDOW = 100_000
_NARROW_TOKENS = 128_000  # a smaller window has no room for what agents ask for by themselves


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be started by name."""

    title: str
    command: str
    install: str  # how
    prepare: Prepare  # what it needs, by its target, the environment and the user's arguments
    family: str = ""  # how the models begin that it asks for by itself; "": it asks for none
    asks: tuple[str, ...] = ()  # some of those
    model_variables: tuple[str, ...] = ()  # by which the user may have chosen a model
    model_flags: tuple[str, ...] = ("--model", "-m")  # the same
    sends_headers: bool = True


def chosen_by_user(
    program: Program, environ: Mapping[str, str], arguments: Sequence[str]
) -> str | None:
    """The model that the user's own flags or variables ask for; None without."""
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in program.model_flags:
            return value if equals else next(iter(arguments[place + 1 :]), None)
    return next((environ[name] for name in program.model_variables if environ.get(name)), None)


# Claude Code --------------------------------------------------------------------------------------

_CLAUDE_MODELS = (
    *("ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL"),
    *("ANTHROPIC_DEFAULT_HAIKU_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL"),
)
_CLAUDE_ELSEWHERE = (
    *("ANTHROPIC_API_KEY", "ANTHROPIC_UNIX_SOCKET", "CLAUDE_CODE_OAUTH_TOKEN"),
    *("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"),
    *("CLAUDE_CODE_USE_ANTHROPIC_AWS", "CLAUDE_CODE_USE_MANTLE", "CLAUDE_CODE_USE_GATEWAY"),
)


def claude(target: Target, environ: Mapping[str, str], arguments: Sequence[str]) -> Setup:
    """Claude Code. https://code.claude.com/docs/en/env-vars

    Its settings files win over the environment, but for what a host manages; the headers are not
    among that, and go by --settings, which wins over the files.

    Raises:
        CannotRunError: the user's own --settings would replace the headers.
    """
    variables = {
        **direct(target.url, environ),
        "ANTHROPIC_BASE_URL": target.url,
        "ANTHROPIC_AUTH_TOKEN": target.sent_key,
        "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }
    if target.model is not None:
        variables |= dict.fromkeys(_CLAUDE_MODELS, target.model)
    if target.window is not None:
        variables |= _compacting(target.window)
    if target.headers.get(ZONE) == "restricted":
        variables["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = "1"
    if not target.headers:
        return Setup(variables, _CLAUDE_ELSEWHERE)
    if any(word.partition("=")[0] == "--settings" for word in arguments):
        told = "; ".join(f"{name}: {value}" for name, value in target.headers.items())
        raise CannotRunError(
            f"--settings after -- would replace the headers ({told}); leave it out, or set "
            "ANTHROPIC_CUSTOM_HEADERS in its env and leave out --privacy and --tier"
        )
    headers = header_lines(target.headers, environ.get("ANTHROPIC_CUSTOM_HEADERS", ""), "\n")
    variables["ANTHROPIC_CUSTOM_HEADERS"] = headers
    settings = json.dumps({"env": {"ANTHROPIC_CUSTOM_HEADERS": headers}})
    return Setup(variables, _CLAUDE_ELSEWHERE, ("--settings", settings))


def _compacting(window: int) -> dict[str, str]:
    """What makes Claude Code compact a conversation before it is longer than the window.

    It takes no window below 100,000 tokens, but a percentage of what is left of one for prompts:
    of 2.1.332, whose warning says so.
    """
    told = {"CLAUDE_CODE_AUTO_COMPACT_WINDOW": str(max(window, _CLAUDE_LEAST_WINDOW))}
    if window < _NARROW_TOKENS:
        told["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(_output_tokens(window))
    if window < _CLAUDE_LEAST_WINDOW:
        room = (window - _output_tokens(window)) * 85  # the rest is for what a turn adds
        left = _CLAUDE_LEAST_WINDOW - _output_tokens(window)
        told["CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"] = str(max(room // left, 1))
    return told


def _output_tokens(window: int) -> int:
    """A quarter of the window: the rest is for the prompt."""
    return min(_MAX_OUTPUT_TOKENS, max(window // 4, 1))


# Codex --------------------------------------------------------------------------------------------


def codex(target: Target, environ: Mapping[str, str], _: Sequence[str]) -> Setup:
    """Codex: -c wins over its config.toml. https://developers.openai.com/codex/config-advanced

    The provider is one of its own: that one can't be turned from Responses over HTTP to websockets
    or to a login at OpenAI.
    """
    provider: dict[str, object] = {
        "name": "Nexus",
        "base_url": f"{target.url}/v1",
        "wire_api": "responses",
        "env_key": KEY_VARIABLE,
        "requires_openai_auth": False,
        "supports_websockets": False,
    }
    if target.headers:
        provider["http_headers"] = dict(target.headers)
    flags = ["-c", 'model_provider="nexus"', "-c", f"model_providers.nexus={_toml(provider)}"]
    if target.model is not None:
        flags += ["-c", f"model={_toml(target.model)}"]
    if target.window is not None:
        flags += ["-c", f"model_context_window={target.window}"]
    variables = {**direct(target.url, environ), KEY_VARIABLE: target.sent_key}
    return Setup(variables, arguments=tuple(flags))


def _toml(value: object) -> str:
    """A TOML value; JSON's texts are TOML's."""
    if is_object(value):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    return json.dumps(value)


# opencode -----------------------------------------------------------------------------------------


def opencode(target: Target, environ: Mapping[str, str], _: Sequence[str]) -> Setup:
    """opencode: its last word is OPENCODE_CONFIG_CONTENT. https://opencode.ai/docs/config

    Raises:
        CannotRunError: the user's own content of that variable is no JSON object.
    """
    own = () if target.model is None else (target.model,)
    names: list[str] = list(dict.fromkeys((*own, *target.models)))
    provider: dict[str, object] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Nexus",
        "options": {
            "baseURL": f"{target.url}/v1",
            "apiKey": f"{{env:{KEY_VARIABLE}}}",
            "headers": dict(target.headers),
        },
        "models": {name: _opencode_model(name, target) for name in names},
    }
    content = _own_content(environ)
    providers = content.get("provider")
    content["provider"] = {**(providers if is_object(providers) else {}), "nexus": provider}
    if target.model is not None:
        content |= dict.fromkeys(("model", "small_model"), f"nexus/{target.model}")
    variables = {
        **direct(target.url, environ),
        "OPENCODE_CONFIG_CONTENT": json.dumps(content),
        KEY_VARIABLE: target.sent_key,
    }
    return Setup(variables)


def _own_content(environ: Mapping[str, str]) -> dict[str, object]:
    try:
        content = json.loads(environ.get("OPENCODE_CONFIG_CONTENT") or "{}")
    except ValueError:
        content = None
    if not is_object(content):
        raise CannotRunError("OPENCODE_CONFIG_CONTENT is no JSON object; mend or unset it")
    return content


def _opencode_model(name: str, target: Target) -> dict[str, object]:
    if name != target.model or target.window is None:
        return {"name": name}
    limit = {"context": target.window, "output": _output_tokens(target.window)}
    return {"name": name, "limit": limit}


# Any other program --------------------------------------------------------------------------------


def other(target: Target, environ: Mapping[str, str], _: Sequence[str]) -> Setup:
    """What the SDKs of the vendors read, and Ollama's."""
    key, model = target.sent_key, target.model
    named = ("OPENAI_MODEL", "ANTHROPIC_MODEL", "GEMINI_MODEL")
    variables = {
        **direct(target.url, environ),
        **dict.fromkeys(("OPENAI_BASE_URL", "OPENAI_API_BASE"), f"{target.url}/v1"),
        **dict.fromkeys(("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"), target.url),
        "OLLAMA_HOST": target.url,
        **dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), key),
        **dict.fromkeys(("GEMINI_API_KEY", "GOOGLE_API_KEY", "OLLAMA_API_KEY"), key),
        **({} if model is None else dict.fromkeys(named, model)),
    }
    return Setup(variables, ("ANTHROPIC_AUTH_TOKEN", "GOOGLE_GENAI_USE_VERTEXAI"))


def command(words: Sequence[str]) -> Program:
    """A program of the user's own."""
    return Program(
        title=words[0],
        command=words[0],
        install="check its name and your PATH",
        prepare=other,
        model_flags=(),
        sends_headers=False,
    )


PROGRAMS: Mapping[str, Program] = {
    "claude": Program(
        title="Claude Code",
        command="claude",
        install="npm install -g @anthropic-ai/claude-code",
        prepare=claude,
        family="claude",
        asks=("claude-opus-4-8", "claude-sonnet-5"),
        model_variables=("ANTHROPIC_MODEL",),
        model_flags=("--model",),
    ),
    "codex": Program(
        title="Codex",
        command="codex",
        install="npm install -g @openai/codex",
        prepare=codex,
        family="gpt-",
        asks=("gpt-6-sol", "gpt-5.5"),
    ),
    "gemini": Program(
        title="Gemini CLI",
        command="gemini",
        install="npm install -g @google/gemini-cli",
        prepare=gemini,
        family="gemini-",
        asks=("gemini-3.8-flash", "gemini-3.1-pro-preview"),
        model_variables=("GEMINI_MODEL",),
    ),
    "opencode": Program(
        title="opencode",
        command="opencode",
        install="npm install -g opencode-ai",
        prepare=opencode,
    ),
}
