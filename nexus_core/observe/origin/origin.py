"""Origin of a request: program, session and subagent, as its headers tell them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from nexus_core.known_secrets import SECRETS
from nexus_core.observe.origin.programs import looks_like_key, program


class Origin(msgspec.Struct, frozen=True):
    """Who asked, by their own words: nothing is decided by it but which backend is preferred."""

    agent: str | None = None  # the program; None where it does not say
    session: str | None = None  # printable ASCII, at most MAX_ID_CHARS
    subagent: str | None = None  # within the session; None of its main loop


NO_ORIGIN = Origin()
MAX_ID_CHARS = 64

# Under which names clients send the id of a session; the first one in a request counts.
_SESSIONS = frozenset(
    {
        b"x-claude-code-session-id",
        b"session-id",  # Codex; session_id before
        b"session_id",
        b"x-session-id",
        b"x-session-affinity",  # opencode
        b"x-opencode-session",
    }
)
_SUBAGENT = b"x-claude-code-agent-id"
_PARENT = b"x-parent-session-id"  # opencode: a subagent has a session of its own
_THREAD = b"thread-id"  # Codex: that of the session, but of a subagent
_USER_AGENT = b"user-agent"
_TITLES = (b"x-title", b"x-openrouter-title")
_TELLING = frozenset({*_SESSIONS, _SUBAGENT, _PARENT, _THREAD, *_TITLES})
_FIRST = min(_USER_AGENT, *_TELLING)

_Told: TypeAlias = tuple[bytes, ...]  # name, value, name, value
_MOST_KEPT = 1024
_MOST_BYTES = 256  # of a header that are looked at
_MOST_READ = 4096  # of an id, for a secret in it
_MOST_KEPT_BYTES = 1024  # of all that one request tells
_by_user_agent: dict[bytes, Origin] = {}
_by_told: dict[tuple[bytes, _Told], Origin] = {}


def read_origin(headers: Iterable[tuple[bytes, bytes]]) -> Origin:
    """What the headers of a request tell of who sent it; names in small letters.

    Requests of one origin share it.
    """
    said = b""
    told: _Told = ()
    for name, value in headers:
        if name < _FIRST:
            continue  # few are worth the second look
        if name == _USER_AGENT:
            said = value
        elif name in _TELLING and value:
            told = (*told, name, value)
    if not told:
        return _by_user_agent.get(said) or _of_user_agent(said)
    return _by_told.get((said, told)) or _of_told(said, told)


def _of_user_agent(said: bytes) -> Origin:
    if len(_by_user_agent) >= _MOST_KEPT:
        _by_user_agent.clear()
    origin = Origin(agent=program(_shown(said)))
    return origin if len(said) > _MOST_BYTES else _by_user_agent.setdefault(said, origin)


def _of_told(said: bytes, told: _Told) -> Origin:
    by_name: dict[bytes, bytes] = {}
    for name, value in zip(told[::2], told[1::2], strict=True):
        by_name.setdefault(name, value)
    own = next((value for name, value in by_name.items() if name in _SESSIONS), b"")
    parent, thread = by_name.get(_PARENT, b""), by_name.get(_THREAD, b"")
    session = parent or own or thread
    subagent = by_name.get(_SUBAGENT) or (own if parent else thread)
    title = by_name.get(_TITLES[0]) or by_name.get(_TITLES[1], b"")
    agent = program(_shown(said), _shown(title))
    origin = Origin(agent, _id(session), _id(subagent) if subagent != session else None)
    if len(said) + sum(map(len, told)) > _MOST_KEPT_BYTES:
        return origin
    if len(_by_told) >= _MOST_KEPT:
        _by_told.clear()
    return _by_told.setdefault((said, told), origin)


def _shown(value: bytes) -> str:
    # The whole first: half a secret is a secret, too.
    return SECRETS.cut(value)[:_MOST_BYTES].decode("latin-1")


def _id(value: bytes) -> str | None:
    """An id as it may be shown and kept: bounded, printable, no key and nothing like one."""
    plain = bytes([byte for byte in value[:_MOST_READ] if 0x21 <= byte <= 0x7E])
    if SECRETS.are_in(plain):
        return None
    text = plain[:MAX_ID_CHARS].decode("ascii")
    return None if not text or looks_like_key(text) else text


SECRETS.watch(_by_user_agent.clear)
SECRETS.watch(_by_told.clear)
