"""Zstandard request bodies: read where Python (3.14) or the extra `zstd` brings the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from nexus_core.errors import InvalidRequestError

_MODULES = ("compression.zstd", "backports.zstd")  # the latter has the former's API
_WINDOW_LOG_MAX = 23  # 8 MiB: more is not allowed in HTTP (RFC 9659), and is kept in memory
MAX_FRAMES = 4096  # of one body: each costs something, be it ever so empty


class _Decompressor(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


@cache
def _module() -> Any:
    for name in _MODULES:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def is_available() -> bool:
    """Whether bodies in this encoding can be read here."""
    return _module() is not None


class ZstdInflater:
    """Decompress a zstd body as it arrives; the caller bounds its size."""

    def __init__(self, step_bytes: int) -> None:
        """`step_bytes`: the most that is inflated at once."""
        self._step_bytes = step_bytes
        self._zstd = _module()
        self._frames = 0  # that are complete
        self._frame: _Decompressor | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes hold, in parts of `step_bytes` at most.

        Raises:
            InvalidRequestError: they are not what Content-Encoding says.
        """
        while data or not (self._frame is None or self._frame.needs_input):
            frame = self._frame = self._frame or self._begin()
            try:
                part = frame.decompress(data, self._step_bytes)
            except self._zstd.ZstdError as error:
                what = "is not valid zstd; correct its Content-Encoding"
                raise _wrong(what) from error
            yield part
            data = b""
            if frame.eof:
                data, self._frame = frame.unused_data, None
                self._frames += 1

    def finish(self) -> None:
        """No more bytes come.

        Raises:
            InvalidRequestError: more was to come.
        """
        if self._frame is not None:
            raise _wrong("is truncated: its zstd data has no end")

    def _begin(self) -> _Decompressor:
        if self._frames == MAX_FRAMES:
            raise _wrong(f"has more than {MAX_FRAMES} zstd frames")
        limit = {self._zstd.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
        begun: _Decompressor = self._zstd.ZstdDecompressor(options=limit)
        return begun


def _wrong(what: str) -> InvalidRequestError:
    return InvalidRequestError(f"the body {what}", param="Content-Encoding")
