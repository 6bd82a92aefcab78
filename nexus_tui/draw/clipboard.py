"""The clipboard: OSC 52 of the terminal, and the desktop's own tool if there is one."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

_TOOL_SECONDS = 2.0

# What has to be set for the tool to reach a desktop, the tool, its arguments.
_TOOLS: tuple[tuple[str | None, str, tuple[str, ...]], ...] = (
    (None, "pbcopy", ()),
    ("WAYLAND_DISPLAY", "wl-copy", ()),
    ("DISPLAY", "xclip", ("-selection", "clipboard")),
    ("WSL_DISTRO_NAME", "clip.exe", ()),
)


@dataclass(frozen=True, slots=True)
class Copied:
    """Destination of a copied text."""

    is_sure: bool  # a tool took it; a terminal never answers whether it did
    path: str | None = None  # the file that holds it too, where nothing is sure


def native_tool(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """Clipboard command of the desktop; None on a remote machine."""
    if "SSH_CONNECTION" in environ or "SSH_TTY" in environ:
        return None
    for variable, name, arguments in _TOOLS:
        if variable is not None and not environ.get(variable):
            continue
        if path := shutil.which(name, path=environ.get("PATH")):
            return (path, *arguments)
    return None


async def give_to_tool(command: tuple[str, ...], text: str) -> bool:
    """Pass a text to the clipboard command; whether it succeeded."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(_TOOL_SECONDS):
            await process.communicate(text.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return process.returncode == 0


def keep_in_file(text: str) -> str | None:
    """Write the text to a private file; None on failure."""
    try:
        descriptor, path = tempfile.mkstemp(prefix="nexus-copy-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return None
    return path


async def copy(text: str, environ: Mapping[str, str], *, may_keep: bool = True) -> Copied:
    """Give the text to the desktop, else keep it in a file; OSC 52 is the driver's part.

    Args:
        may_keep: False for what must never be in a file.
    """
    command = native_tool(environ)
    if command is not None and await give_to_tool(command, text):
        return Copied(is_sure=True)
    path = await asyncio.to_thread(keep_in_file, text) if may_keep else None
    return Copied(is_sure=False, path=path)
