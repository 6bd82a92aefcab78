"""Every key of the dashboard in one table: bindings, hints and the help are made from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding

Place = Literal["everywhere", "lists", "requests", "detail", "backends"]


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a person can do: `id` is stable, `keys` may be several."""

    id: str
    keys: str  # Textual's names, separated by commas
    action: str  # of NexusApp
    shown: str  # the key as it is written on the screen
    hint: str  # in one or two words
    help: str  # as one sentence
    place: Place


KEYS = (
    Key("tab.dashboard", "1", "tab('dashboard')", "1", "dashboard", "Dashboard", "everywhere"),
    Key("tab.requests", "2", "tab('requests')", "2", "requests", "Requests", "everywhere"),
    Key("tab.backends", "3", "tab('backends')", "3", "backends", "Backends", "everywhere"),
    Key("filter", "slash", "filter", "/", "filter", "Filter the request list", "everywhere"),
    Key(
        "errors",
        "E,shift+e",
        "errors_only",
        "E",
        "errors",
        "Show only requests that failed; again for all",
        "everywhere",
    ),
    Key(
        "pause",
        "p",
        "pause",
        "p",
        "pause",
        "Freeze the request list; counters go on",
        "everywhere",
    ),
    Key(
        "follow",
        "f",
        "follow",
        "f",
        "follow",
        "Stay at the newest request; ends a pause",
        "everywhere",
    ),
    Key("help", "question_mark,f1", "help", "?", "help", "This help", "everywhere"),
    Key("repaint", "ctrl+l", "repaint", "ctrl+l", "repaint", "Draw the screen anew", "everywhere"),
    Key(
        "quit",
        "q,ctrl+q",
        "quit",
        "q",
        "quit",
        "Quit; requests that run are finished first",
        "everywhere",
    ),
    Key(
        "interrupt",
        "ctrl+c",
        "interrupt",
        "ctrl+c",
        "quit",
        "Twice within two seconds: quit",
        "everywhere",
    ),
    Key("up", "up,k", "move(-1)", "↑ k", "up", "Up", "lists"),
    Key("down", "down,j", "move(1)", "↓ j", "down", "Down", "lists"),
    Key("page_up", "pageup", "page(-1)", "pgup", "page up", "A page up", "lists"),
    Key("page_down", "pagedown", "page(1)", "pgdn", "page down", "A page down", "lists"),
    Key("top", "g,home", "edge(-1)", "g", "top", "To the top", "lists"),
    Key("bottom", "G,shift+g,end", "edge(1)", "G", "bottom", "To the bottom", "lists"),
    Key("open", "enter", "open", "enter", "detail", "Open the request", "requests"),
    Key(
        "back",
        "escape",
        "close",
        "esc",
        "back",
        "Close the detail, else clear the filter",
        "everywhere",
    ),
    Key("previous", "left_square_bracket", "step(-1)", "[", "newer", "The newer request", "detail"),
    Key("next", "right_square_bracket", "step(1)", "]", "older", "The older request", "detail"),
    Key(
        "toggle",
        "space",
        "toggle_backend",
        "space",
        "on/off",
        "Switch the backend on or off until restart; what runs is finished",
        "backends",
    ),
    Key(
        "probe",
        "P,shift+p",
        "probe",
        "P",
        "probe",
        "Ask the backend now how it is",
        "backends",
    ),
)

# What the last line shows in each place; the rest is in the help.
_HINTS: dict[str, tuple[str, ...]] = {
    "dashboard": ("open", "filter", "errors", "pause", "follow", "help", "quit"),
    "requests": ("open", "filter", "errors", "pause", "follow", "back", "help", "quit"),
    "detail": ("previous", "next", "down", "up", "back", "help", "quit"),
    "backends": ("toggle", "probe", "down", "up", "help", "quit"),
}

_TITLES: dict[Place, str] = {
    "everywhere": "Everywhere",
    "lists": "Lists",
    "requests": "Requests",
    "detail": "Detail of a request",
    "backends": "Backends",
}


def bindings() -> list[Binding]:
    """The table as Textual takes it."""
    return [
        Binding(
            key.keys,
            key.action,
            key.help,
            show=False,
            id=key.id,
            priority=key.id == "interrupt",
        )
        for key in KEYS
    ]


def hints(place: str) -> list[Key]:
    """What to show in the last line, most wanted first."""
    by_id = {key.id: key for key in KEYS}
    return [by_id[wanted] for wanted in _HINTS[place]]


def by_place() -> Iterable[tuple[str, list[Key]]]:
    """The help: a title and its keys."""
    for place, title in _TITLES.items():
        yield title, [key for key in KEYS if key.place == place]
