"""The clipboard: OSC 52 of the terminal, and the desktop's own tool if there is one."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KEPT_SECONDS = 3600.0  # that a copied text is in a file, at most
_PREFIX, _SUFFIX = "nexus-copy-", ".txt"
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


class CopiedFiles:
    """Files of copied texts, private, for an hour or until the program or its screen ends."""

    def __init__(self, folder: Path | None = None, now: Callable[[], float] = time.time) -> None:
        self._folder = folder  # None: that of temporary files
        self._now = now
        self._paths: list[str] = []

    def keep(self, text: str) -> str | None:
        """Write the text to a file of its own; its path, None on failure.

        Removes what is older than an hour, also of a program that could not do so itself.
        """
        self.remove_old()
        try:
            descriptor, path = tempfile.mkstemp(_SUFFIX, _PREFIX, self._folder)
            if not self._paths:
                atexit.register(self.remove)
            self._paths.append(path)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            return None
        return path

    def remove(self) -> None:
        """Remove every file of this program."""
        for path in self._paths:
            with suppress(OSError):
                os.unlink(path)
        self._paths.clear()
        atexit.unregister(self.remove)

    def remove_old(self) -> None:
        """Remove the files of this user that are older than an hour."""
        with suppress(OSError):
            for path in Path(self._folder or tempfile.gettempdir()).glob(f"{_PREFIX}*{_SUFFIX}"):
                found = path.lstat()
                if found.st_uid == os.getuid() and self._now() - found.st_mtime >= KEPT_SECONDS:
                    path.unlink()


async def copy(text: str, environ: Mapping[str, str], files: CopiedFiles | None = None) -> Copied:
    """Give the text to the desktop, else keep it in a file; OSC 52 is the driver's part.

    Args:
        files: where it may be kept; None for what must never be in a file.
    """
    command = native_tool(environ)
    if command is not None and await give_to_tool(command, text):
        return Copied(is_sure=True)
    path = await asyncio.to_thread(files.keep, text) if files is not None else None
    return Copied(is_sure=False, path=path)
