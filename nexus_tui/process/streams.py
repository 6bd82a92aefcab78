"""Standard streams of the command: messages to the user."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TextIO

from nexus_tui.process.console.charset import in_reach


def say(text: str, prefix: str = "nexus: ") -> None:
    """Print a message for the user to stderr; control characters are escaped.

    Nothing is printed while nobody reads what is there already.
    """
    from nexus_tui.process.logs.unread import is_read
    from nexus_tui.text.escape import escaped

    if not is_read(sys.stderr):
        return
    write(sys.stderr, escaped(prefix + text))


def show(text: str) -> bool:
    """Print a line to stdout; False once it is closed."""
    return write(sys.stdout, text)


def write(stream: TextIO | None, line: str) -> bool:
    """Write a line in the stream's encoding; False on failure."""
    if stream is None:  # closed before Python started
        return False
    encoding = stream.encoding or "utf-8"
    line = line.encode(encoding, in_reach()).decode(encoding)
    try:
        stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError):  # whoever closed it does not want to know
        return False
    return True


def write_from_the_background() -> None:
    """Keep a terminal from stopping the process for writing to it (`stty tostop`)."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def give_up_on_closed_streams() -> None:
    """Keep closed standard streams from changing the exit code.

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
