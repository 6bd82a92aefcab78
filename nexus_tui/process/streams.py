"""The command's standard streams: whether there is a terminal, and lines for its user."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TextIO


def is_terminal(environ: Mapping[str, str]) -> bool:
    """Whether the dashboard can be drawn: it reads stdin and draws on stderr."""
    streams = (sys.stdin, sys.stderr)
    return environ.get("TERM") != "dumb" and all(s is not None and s.isatty() for s in streams)


def say(text: str, prefix: str = "nexus: ") -> None:
    """Tell the user something on stderr; what could steer a terminal is written out."""
    from nexus_tui.text.escape import escaped

    write(sys.stderr, escaped(prefix + text))


def show(text: str) -> bool:
    """A line on stdout; False once nobody reads it."""
    return write(sys.stdout, text)


def write(stream: TextIO | None, line: str) -> bool:
    """A line, in what the stream can encode; False if it could not be written."""
    if stream is None:  # closed before Python started
        return False
    encoding = stream.encoding or "utf-8"
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError):  # whoever closed it does not want to know
        return False
    return True


def give_up_on_closed_streams() -> None:
    """Keep what a closed terminal or pipe did not take from changing the exit code.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except AttributeError:
            continue  # closed before Python started: there is no stream
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
