from __future__ import annotations

import pytest

from nexus_tui.view.filter.filtered import Filtered, OwnFilter
from nexus_tui.view.filter.language import Filter
from nexus_tui.view.filter.requests import REQUESTS, Filterable
from tests.tui.view.filter.rows import CUT, GOOD, LEFT

NAMES = {
    "backend": lambda: ["vllm-a", "gpu box"],
    "model": lambda: ["llama3:70b", "llama3:8b"],
    "key": lambda: ["Ci"],
}


def of(text: str) -> Filtered:
    own = OwnFilter[Filterable]("requests", "", REQUESTS, NAMES)
    own.set(text)
    return own.filtered


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("st", "status:"),
        ("s", None),
        ("left sta", "left status:"),
        ("!zo", "!zone:"),
        ("(left or le", "(left or left"),
        ("zone:re", "zone:restricted"),
        ("zone:open,re", "zone:open,restricted"),
        ("reason:ca", "reason:capability-match"),
        ("backend:v", "backend:vllm-a"),
        ("backend:=v", "backend:=vllm-a"),
        ("backend:", None),
        ("backend:vllm-a", None),
        ("backend:gp", 'backend:"gpu box"'),
        ("model:llama3:7", "model:llama3:70b"),
        ("key:ci", None),
        ("key:c", "key:ci"),
        ("client:c", "client:ci"),
        ("status:4", None),
        ("nothing", None),
        ('"st', None),
        ("", None),
    ],
)
def test_what_is_begun_is_completed(text: str, completed: str | None) -> None:
    assert of(text).completed(text) == completed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ("", False)),
        ("llama", ("", False)),
        ("status:", ("status: must be a number or class, such as 503 or 5xx", True)),
        ("status:5", ("HTTP status, or a class of them:  503  5xx  >=400  4xx,5xx", False)),
        ("left status>4", ("HTTP status, or a class of them:  503  5xx  >=400  4xx,5xx", False)),
        ("status:5 left", ("", False)),
        ("backend:vlm", ('backend: none is called "vlm"; did you mean "vllm-a"?', True)),
    ],
)
def test_what_is_typed_is_explained(text: str, told: tuple[str, bool]) -> None:
    assert of(text).told() == told


def test_a_list_is_narrowed_and_shown_whole_again() -> None:
    own = OwnFilter[Filterable]("requests", "", REQUESTS)
    rows = [GOOD, CUT, LEFT]

    own.set("cut or left")
    narrowed = own.of(rows)
    own.set("")

    assert (narrowed, own.of(rows)) == ([CUT, LEFT], rows)
    assert own.current == Filter()
