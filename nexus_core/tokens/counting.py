"""The process that counts tokens for a proxy; `TokenCounter` starts it and is its only caller.

Its standard input is a socket. Through it come pickles of (number, model, prompt), in turn, and
back goes a line for each: "7 exact 42", "7 estimated 42" or "7 failed why". The prompt None asks
only that the model's vocabulary be loaded.

It is a process of its own because loading a vocabulary holds the interpreter's lock for a tenth of
a second at a time, and a loaded one takes 44 to 70 MB. It ends when its caller does, however that
ends.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import threading
from typing import BinaryIO

from nexus_core.tokens.count import count_tokens, encoding_of
from nexus_core.tokens.link import FAILED
from nexus_core.tokens.vocabularies import Tokenizers
from nexus_core.types import CountMethod, PromptParts

_SOCKET = 0
_NICENESS = 10  # the proxy goes first where both have one core


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the caller is gone."""
    tokenizers = Tokenizers()
    while True:
        try:
            # Only the process that started this one holds the other end.
            number, model, prompt = pickle.load(asked)  # noqa: S301
            answers.write(f"{number} {_answer(tokenizers, model, prompt)}\n".encode())
        except (EOFError, pickle.UnpicklingError, OSError):  # a pickle cut short is an end, too
            return


def _answer(tokenizers: Tokenizers, model: str, prompt: PromptParts | None) -> str:
    try:
        encoding = encoding_of(model)
        if encoding is not None and not tokenizers.is_loaded(encoding):
            tokenizers.load(encoding)
            gc.freeze()  # nothing of a vocabulary is ever garbage
        if prompt is None:
            return f"{CountMethod.EXACT} 0"
        counted = count_tokens(tokenizers, model, prompt)
    except Exception as error:  # noqa: BLE001 - the caller is told, whatever it is
        return f"{FAILED} {' '.join(str(error).split()) or type(error).__name__}"
    return f"{counted.method} {counted.tokens}"


def _end_with_the_caller() -> None:
    """End this process at once when the other end of the socket is closed, even while it counts."""
    closed = select.poll()
    closed.register(_SOCKET, 0)  # a hang-up is told in any case
    closed.poll()
    os._exit(0)


def main() -> None:
    """Serve the socket that is this process's standard input."""
    os.nice(_NICENESS)
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    with (
        open(_SOCKET, "rb", closefd=False) as asked,
        open(_SOCKET, "wb", buffering=0, closefd=False) as answers,
    ):
        serve(asked, answers)


if __name__ == "__main__":
    main()
