"""Gemini CLI: what it reads, and the settings that would take it elsewhere.

https://geminicli.com/docs/reference/configuration
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nexus_core.types import is_object
from nexus_tui.commands.run.setup import CannotRunError, Setup, Target, direct, header_lines

# Of security.auth.selectedType: with these it asks GOOGLE_GEMINI_BASE_URL.
_BY_KEY = ("gemini-api-key", "gateway")
_HOME = "GEMINI_CLI_HOME"
_FOLDER, _FILE = ".gemini", "settings.json"
_ALSO = ".agents"  # beside its folder, read by it as well

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def gemini(target: Target, environ: Mapping[str, str], _: Sequence[str]) -> Setup:
    """Gemini CLI.

    Who is logged in with Google has that in settings.json, which wins over the environment: then
    it gets a home of its own for the time, in which only that setting differs and all else is the
    user's.

    Raises:
        CannotRunError: the folder's own settings choose another login.
    """
    variables = {
        **direct(target.url, environ),
        "GOOGLE_GEMINI_BASE_URL": target.url,
        "GEMINI_API_KEY": target.sent_key,
    }
    unset = ("GOOGLE_GENAI_USE_GCA", "GOOGLE_GENAI_USE_VERTEXAI", "GEMINI_API_KEY_AUTH_MECHANISM")
    if target.headers:
        before = environ.get("GEMINI_CLI_CUSTOM_HEADERS", "")
        variables["GEMINI_CLI_CUSTOM_HEADERS"] = header_lines(target.headers, before, ",")
    arguments = () if target.model is None else ("--model", target.model)
    here = Path(_FOLDER, _FILE)
    home = Path(environ.get(_HOME) or environ.get("HOME") or Path.home())
    if here.absolute() != (home / here).absolute():
        login = _login(_read(here))
        if login is not None and login not in _BY_KEY:
            raise CannotRunError(
                f'{here} chooses the login "{login}", with which Gemini CLI does not ask Nexus; '
                "remove security.auth.selectedType there"
            )
    settings = _read(home / here)
    if _login(settings) in _BY_KEY:
        return Setup(variables, unset, arguments)
    return Setup(
        variables,
        unset,
        arguments,
        home={str(here): json.dumps(_with_key_login(settings), indent=2)},
        linked=_linked(home),
        home_variable=_HOME,
    )


def _read(path: Path) -> dict[str, object]:
    """Settings; JSON with comments. What can't be read says nothing."""
    try:
        text = path.read_text("utf-8")
        content = json.loads(_COMMENT.sub(lambda found: found[1] or " ", text))
    except (OSError, ValueError):
        return {}
    return content if is_object(content) else {}


def _login(settings: Mapping[str, object]) -> str | None:
    security = settings.get("security")
    auth = security.get("auth") if is_object(security) else None
    login = auth.get("selectedType") if is_object(auth) else None
    return login if isinstance(login, str) else None


def _with_key_login(settings: Mapping[str, object]) -> dict[str, object]:
    security = settings.get("security")
    kept = dict(security) if is_object(security) else {}
    auth = kept.get("auth")
    kept["auth"] = {**(auth if is_object(auth) else {}), "selectedType": _BY_KEY[0]}
    return {**settings, "security": kept}


def _linked(home: Path) -> dict[str, str]:
    """What the temporary home has of the user's: everything beside the settings, by its path."""
    folder = home / _FOLDER
    try:
        names = [path.name for path in folder.iterdir() if path.name != _FILE]
    except OSError:
        names = []
    linked = {f"{_FOLDER}/{name}": str(folder / name) for name in sorted(names)}
    return linked | ({_ALSO: str(home / _ALSO)} if (home / _ALSO).is_dir() else {})
