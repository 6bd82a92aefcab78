"""`nexus run --print`: what a program would get, as lines that a shell takes. No key is shown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from nexus_tui.commands.run.setup import KEY_VARIABLE, Setup

_FOLDER = "nexus_home"


def shell_lines(
    setup: Setup, words: Sequence[str], key: str | None, environ: Mapping[str, str]
) -> Iterator[str]:
    """The lines for a POSIX shell; a key stands in them as a variable to be set before.

    Args:
        words: the program, and the user's arguments for it.
        key: the client key; None where none is needed.
        environ: of this command: only what differs from it is shown.
    """
    if key is not None:
        yield f": ${{{KEY_VARIABLE}:?set it to your client key}}"
    for name in setup.unset:
        if name in environ:
            yield f"unset {name}"
    if setup.home is not None:
        yield from _folder_lines(setup)
    for name, value in sorted(setup.variables.items()):
        if name == KEY_VARIABLE and key is not None:
            yield f"export {name}"
        elif environ.get(name) != value:
            yield f"export {name}={_quoted(value, key)}"
    program, *rest = words
    yield " ".join(_quoted(word, key) for word in (program, *setup.arguments, *rest))


def _folder_lines(setup: Setup) -> Iterator[str]:
    yield f"{_FOLDER}=$(mktemp -d)"
    folders = {path.rpartition("/")[0] for path in (*(setup.home or {}), *setup.linked)}
    for folder in sorted(filter(None, folders)):
        yield f'mkdir -p "${_FOLDER}"/{shlex.quote(folder)}'
    for path, source in setup.linked.items():
        yield f'ln -s {shlex.quote(source)} "${_FOLDER}"/{shlex.quote(path)}'
    for path, content in (setup.home or {}).items():
        yield f'printf %s {shlex.quote(content)} > "${_FOLDER}"/{shlex.quote(path)}'
    yield f'export {setup.home_variable}="${_FOLDER}"'


def _quoted(text: str, key: str | None) -> str:
    if key is None or key not in text:
        return shlex.quote(text)
    parts = (shlex.quote(part) if part else "" for part in text.split(key))
    return f'"${KEY_VARIABLE}"'.join(parts)
