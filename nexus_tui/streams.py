"""The command's standard streams: whether there is a terminal, and lines for its user."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping


def is_terminal(environ: Mapping[str, str]) -> bool:
    """Whether the dashboard can be drawn: it reads stdin and draws on stderr."""
    streams = (sys.stdin, sys.stderr)
    return environ.get("TERM") != "dumb" and all(s is not None and s.isatty() for s in streams)


def say(text: str) -> None:
    """Tell the user something, as `nexus: …`."""
    print_line(f"nexus: {text}")


def print_line(text: str) -> None:
    """A line on stderr; what could steer a terminal is written out."""
    from nexus_tui.untrusted import visible

    # A closed stderr is no reason to end a proxy.
    with contextlib.suppress(OSError, ValueError):
        print(visible(text), file=sys.stderr, flush=True)


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
