"""What the counting process answers, and that it ends quietly."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys

import pytest

from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.tokens import vocabularies
from nexus_core.tokens.counting import serve

CHAT = prompt_of({"messages": [{"role": "user", "content": "hello"}]})


def answers(*messages: object, cut: int = 0) -> list[str]:
    asked = b"".join(map(pickle.dumps, messages))
    written = io.BytesIO()
    serve(io.BytesIO(asked[: len(asked) - cut]), written)
    return written.getvalue().decode().splitlines()


def test_each_message_has_an_answer_in_turn() -> None:
    assert answers((1, "gpt-4", None), (2, "gpt-4", CHAT), (3, "claude-opus-5", CHAT)) == [
        "1 exact 0",
        "2 exact 8",
        "3 estimated 10",
    ]


@pytest.mark.parametrize("cut", [1, 20])
def test_a_message_cut_short_is_the_end(cut: int) -> None:
    assert answers((1, "claude-opus-5", CHAT), (2, "claude-opus-5", CHAT), cut=cut) == [
        "1 estimated 10"
    ]


def test_a_caller_that_does_not_listen_any_more_is_the_end() -> None:
    class Closed(io.BytesIO):
        def write(self, _data: object) -> int:
            raise BrokenPipeError

    asked = io.BytesIO(pickle.dumps((1, "claude-opus-5", CHAT)))

    serve(asked, Closed())

    assert asked.read() == b""


def test_what_went_wrong_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_vocabulary: object) -> object:
        raise ValueError("damaged:\nreinstall Nexus")

    monkeypatch.setattr(vocabularies, "_encoding", fails)

    assert answers((1, "gpt-4", None), (2, "claude-opus-5", CHAT)) == [
        "1 failed damaged: reinstall Nexus",
        "2 estimated 10",
    ]


def test_the_process_imports_little() -> None:
    code = "import sys, nexus_core.tokens.counting; print(*sys.modules)"
    told = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    imported = {name.partition(".")[0] for name in told.stdout.split()}
    assert not imported & {"pydantic", "fastapi", "uvicorn", "httpx", "aiohttp", "textual"}
    assert "nexus_core.config" not in told.stdout.split()
