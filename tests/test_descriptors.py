"""The limit of descriptors, and the many ways in which libraries say that it was reached."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys

import pytest

from nexus_core import descriptors
from tests.shortage import no_descriptor_left

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from nexus_core import descriptors
print(descriptors.raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "raised"), [(64, 512, 512), (512, 512, 512), (64, 64, 64)]
)
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int, hard: int, raised: int) -> None:
    script = SCRIPT.format(soft=soft, hard=hard)

    said = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == f"{raised} ({raised}, {hard})"


class Kernel:
    """A system whose own limit is below what the hard one promises, as macOS's is."""

    def __init__(self, soft: int, most: int) -> None:
        self.limits = (soft, resource.RLIM_INFINITY)
        self._most = most

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.limits

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        if limits[0] > self._most or limits[0] == resource.RLIM_INFINITY:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "most", "raised"),
    [(256, 1_000_000, 65_536), (256, 61_440, 24_576), (256, 10_240, 10_240), (256, 300, 256)],
)
def test_an_infinite_hard_limit_is_not_taken_at_its_word(
    monkeypatch: pytest.MonkeyPatch, soft: int, most: int, raised: int
) -> None:
    kernel = Kernel(soft, most)
    monkeypatch.setattr(resource, "getrlimit", kernel.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", kernel.setrlimit)

    assert descriptors.raise_limit() == raised
    assert kernel.limits == (raised, resource.RLIM_INFINITY)


def emfile() -> OSError:
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def caused(by: BaseException) -> Exception:
    error = RuntimeError("the library's own")
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    "error",
    [
        emfile(),
        OSError(errno.ENFILE, os.strerror(errno.ENFILE), "/etc/hosts"),
        caused(emfile()),
        ExceptionGroup("two addresses", [ConnectionRefusedError(), emfile()]),
        OSError("Multiple exceptions: [Errno 24] Too many open files, [Errno 111] refused"),
        # The dynamic linker's, of an extension module.
        ImportError("libssl.so.3: cannot open shared object file: Too many open files"),
        ImportError("dlopen(x.so, 0x2): tried: 'x.so' (open() failed with errno=24)"),
    ],
)
def test_a_shortage_is_seen_behind_what_libraries_make_of_it(error: Exception) -> None:
    assert descriptors.is_shortage(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        ModuleNotFoundError("No module named 'x'"),
        ValueError("Too many open files"),  # what a client may have written
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ],
)
def test_other_failures_are_no_shortage(error: Exception | None) -> None:
    assert not descriptors.is_shortage(error)


def test_whether_descriptors_are_free_is_found_out_by_opening_some() -> None:
    with no_descriptor_left() as taken:
        are_short = [descriptors.are_short()]
        os.close(taken.pop())
        os.close(taken.pop())
        are_short += [descriptors.are_short(2), descriptors.are_short(3)]
        with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            descriptors.require(3)
        are_short.append(descriptors.are_short(2))  # it keeps none

    assert are_short == [True, False, True, False]
