"""Who acts at the screen of this process: the user that it runs for."""

from __future__ import annotations

import os
import pwd
from functools import cache
from secrets import token_hex

from nexus_core.types import Actor, Via


@cache
def local_actor() -> Actor:
    """The same for the life of the process."""
    return Actor(via=Via.SCREEN, name=_user(), session=token_hex(8))


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container with a user that no file names
        return f"user {os.getuid()}"
