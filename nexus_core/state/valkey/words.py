"""What goes wrong with a store's server, for people: redis-py's errors in our words."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager

from redis.exceptions import RedisError

from nexus_core.state.base import StoreUnavailableError

_CREDENTIALS = re.compile(r"(?<=://)[^\s/]*@")
_SILENT = "it does not answer in time"
_WANTS_CERTIFICATE = (
    "want a certificate of this client; name yours at the end of the URL: "
    "?ssl_certfile=/PATH&ssl_keyfile=/PATH, or set tls-auth-clients no there"
)
_MEANINGS = (
    ("Timeout connecting", _SILENT),
    ("read only replica", "it is a read-only replica; name the primary, or its sentinels"),
    ("> 'maxmemory'", "its memory is full (maxmemory)"),
    ("NOPERM", "its ACL refuses a command that the fleet needs (EVALSHA, EVAL, INFO, SUBSCRIBE)"),
    ("no permissions", "its ACL refuses a command that the fleet needs (EVALSHA, EVAL, INFO)"),
    ("WRONGPASS", "it refuses the password"),
    ("invalid username-password", "it refuses the password"),
    ("Authentication required", "it asks for a password"),
    ("MOVED", "the fleet's keys are on another node of its cluster; set cluster = true"),
    ("is loading the dataset", "it is loading its data"),
    # TLS, as OpenSSL says it; the options are those of redis-py's URLs.
    ("mismatch", "its certificate is for another name; write the host in the URL as that has it"),
    ("certificate has expired", "its certificate has expired"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not of a CA that is trusted here; name the file of its CA at the end "
        "of the URL: ?ssl_ca_certs=/PATH",
    ),
    ("CERTIFICATE_REQUIRED", f"it seems to {_WANTS_CERTIFICATE}"),
    ("NO_CERTIFICATE", "a file that its URL names holds no certificate"),
)
_ENDS = ("closed by server", "reset by peer")
# What it may mean at the first words of a connection, by the URL's scheme.
_AT_FIRST = {
    "redis": (
        (
            _ENDS,
            "it ends the connection at once; if its port is for TLS, write rediss:// in the URL",
        ),
    ),
    "rediss": (
        (
            (_SILENT, "WRONG_VERSION", "record layer"),
            f"{_SILENT}; if its port is not for TLS, write redis:// in the URL",
        ),
        (_ENDS, f"it ends the connection at once; it may {_WANTS_CERTIFICATE}"),
        (("No such file",), "a file of certificates that its URL names is not there"),
    ),
}


@contextmanager
def our_errors() -> Generator[None]:
    """Raises: StoreUnavailableError: for what redis-py and the network raise in the block."""
    try:
        yield
    except TimeoutError as error:
        raise StoreUnavailableError(_SILENT) from error
    except (RedisError, OSError) as error:
        raise StoreUnavailableError(in_words(error)) from error


@contextmanager
def at_first(url: str | None) -> Generator[None]:
    """In the block it is seen whether there is TLS where a URL says so, and nowhere else."""
    try:
        yield
    except StoreUnavailableError as error:
        for marks, words in _AT_FIRST.get((url or "").partition("://")[0], ()):
            if any(mark in str(error) for mark in marks):
                raise StoreUnavailableError(words) from error
        raise


def in_words(error: Exception) -> str:
    """What a server or the network said, for people; never a password."""
    text = " ".join(_CREDENTIALS.sub("", str(error)).split())[:200] or type(error).__name__
    for mark, words in _MEANINGS:
        if mark in text:
            return words
    return text.rstrip(".")
