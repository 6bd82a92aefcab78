"""File descriptors: raise the process limit, measure usage, recognise shortage errors."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator

from typing_extensions import TypeIs

# Where the hard limit is infinite, as on macOS, the kernel still has one of its own, and refuses
# a soft limit above it. The last of these is macOS's OPEN_MAX, which it always takes: setrlimit(2).
_CEILINGS = (65_536, 24_576, 10_240)

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE})
# The dynamic linker has words only. glibc writes the error out, macOS gives its number.
_LINKER_SAYS = tuple(
    words
    for code in _SHORTAGES
    for words in (os.strerror(code), f"errno={code})", f"errno={code},")
)


def raise_limit() -> int:
    """Raise the file descriptor limit of this process to its maximum; returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limit()
    for wanted in _CEILINGS if hard == resource.RLIM_INFINITY else (hard, *_CEILINGS):
        if wanted <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        break
    return limit()


def limit() -> int:
    """The current file descriptor limit of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _CEILINGS[0] if soft == resource.RLIM_INFINITY else soft


def is_shortage(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, is a lack of file descriptors."""
    return any(_is_shortage(each) for each in _causes(error))


def are_short(wanted: int = 1) -> bool:
    """Whether fewer descriptors than `wanted` are free now.

    For failures that hide why they happened: a name look-up, a certificate that is not found,
    SQLite. Opens that many and closes them again: a few microseconds each.
    """
    opened: list[int] = []
    try:
        for _ in range(wanted):  # one by one: those before the failure are to be closed
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401
    except OSError as error:
        return error.errno in _SHORTAGES
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False


def require(wanted: int) -> None:
    """Check that this many descriptors are free.

    What is imported without any may not fail but go without a part of itself, and for good.

    Raises:
        OSError: they are not (EMFILE).
    """
    if are_short(wanted):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        return True
    # Some wrap the system's error in a text of their own, such as "Multiple exceptions: …".
    return isinstance(error, OSError | ImportError) and any(
        words in str(error) for words in _LINKER_SAYS
    )


def is_group(error: BaseException) -> TypeIs[BaseExceptionGroup[BaseException]]:
    """Whether the error holds others, of whatever kind."""
    return isinstance(error, BaseExceptionGroup)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if is_group(one):
            waiting += one.exceptions
        waiting += (one.__cause__, one.__context__)
