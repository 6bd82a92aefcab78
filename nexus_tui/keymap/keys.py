"""Key table of the dashboard: source of bindings, hints, help and palette."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nexus_core.config.schema import KeyPath
from nexus_core.config.wording import did_you_mean, shown

Place = Literal[
    "everywhere",
    "lists",
    "requests",
    "sessions",
    "detail",
    "backends",
    "zones",
    "costs",
    "logs",
    "keys",
    "panel",
    "empty",
    "explain",
    "diff",
]


@dataclass(frozen=True, slots=True)
class Key:
    """An action with its keys; `id` is stable."""

    id: str
    keys: tuple[str, ...]  # a character, or the name of a key such as ctrl+r
    hint: str  # in one or two words
    help: str  # as one sentence
    places: tuple[Place, ...]

    @property
    def shown(self) -> str:
        """The first key as it is written on the screen."""
        return _shown(self.keys[0])

    @property
    def all_shown(self) -> str:
        return " ".join(map(_shown, self.keys))


def _key(id: str, keys: str, hint: str, help: str, *places: Place) -> Key:  # noqa: A002
    return Key(id, tuple(keys.split(" ")), hint, help, places)


_MOVED: tuple[Place, ...] = ("lists", "explain", "diff")

KEYS = (
    _key("tab.dashboard", "1", "dashboard", "Dashboard", "everywhere"),
    _key("tab.requests", "2", "requests", "Requests", "everywhere"),
    _key("tab.backends", "3", "backends", "Backends", "everywhere"),
    _key("tab.zones", "4", "zones", "Zones", "everywhere"),
    _key("tab.costs", "5", "costs", "Costs", "everywhere"),
    _key("tab.logs", "6", "logs", "Logs", "everywhere"),
    _key("tab.keys", "7", "keys", "Client keys", "everywhere"),
    _key("panic", "!", "CUT OPEN ZONE", "Cut the open zone at once; reopening asks", "everywhere"),
    _key("explain", "x", "explain", "Explain the route of a request", "everywhere"),
    _key("filter", "/", "filter", "Filter the list that is shown; search in an open request",
         "everywhere"),
    _key("back", "escape", "back", "Close the detail, else undo the sorting, else clear the filter",
         "everywhere", "explain", "diff"),
    _key("pane.next", "tab", "pane", "Next pane or cost grouping", "everywhere", "explain"),
    _key("pane.previous", "shift+tab", "pane", "Previous pane", "everywhere", "explain"),
    _key("zoom", "z", "zoom", "Maximize the list or pane; again to restore", "everywhere"),
    _key("window", "W", "window", "Numbers of the last 1 min, 5 min, 1 h, or since start",
         "everywhere"),
    _key("theme", "T", "theme", "Next theme: dark, light, contrast, ansi", "everywhere"),
    _key("reload", "ctrl+r", "reload", "Reload the config file; shows the changes first",
         "everywhere"),
    _key("again", "R", "again", "Restart a stopped server; search for local servers again",
         "everywhere"),
    _key("repaint", "ctrl+l", "repaint", "Redraw the screen", "everywhere"),
    _key("help", "? f1", "help", "This help", "everywhere"),
    _key("palette", ": ctrl+p", "command",
         "Commands: an action by name, or as backend gpu-box off", "everywhere"),
    _key("quit", "q ctrl+q", "quit", "Leave the screen and serve on, or stop; asks which",
         "everywhere"),
    _key("interrupt", "ctrl+c", "quit", "Twice within two seconds: as q", "everywhere"),
    _key("up", "up k", "up", "Up", *_MOVED),
    _key("down", "down j", "down", "Down", *_MOVED),
    _key("page_up", "pageup", "page up", "A page up", *_MOVED),
    _key("page_down", "pagedown", "page down", "A page down", *_MOVED),
    _key("top", "g home", "top", "To the top", *_MOVED),
    _key("bottom", "G end", "bottom", "To the bottom", *_MOVED),
    _key("open", "enter", "open", "Open the selected row", "lists"),
    _key("sort", "s", "sort", "Sort the list by a column; again: the other way round", "lists"),
    _key("follow", "f", "follow", "Follow the newest; ends a pause", "lists"),
    _key("reverse", "S", "reverse", "Reverse the sort order", "requests", "sessions", "costs",
         "keys"),
    _key("pause", "p", "pause", "Pause the list; counters keep running", "requests", "sessions"),
    _key("errors", "E", "errors", "Show only what got no good answer: 4xx, 5xx, cut; again for all",
         "requests", "sessions"),
    _key("sessions", "t", "by session", "List by session of an agent; again by request",
         "requests", "sessions"),
    _key("fold", "space", "fold", "Fold out a session or subagent, or fold it in", "sessions"),
    _key("mark", "m space", "mark", "Mark a request, for the diff", "requests"),
    _key("diff", "d", "diff", "Compare two marked requests, or a replay with its original",
         "requests"),
    _key("replay", "r", "replay", "Replay to a backend of your choice, as it is or edited",
         "requests", "sessions"),
    _key("copy", "y", "copy", "Copy as curl, HTTPie, Python, HAR, id, headers, answer or JSON",
         "requests", "sessions"),
    _key("export", "e", "export", "Export the list, or an open request, as HAR, JSON or CSV",
         "requests"),
    _key("capture", "B", "capture", "Start or stop body capture, in memory only", "requests",
         "sessions"),
    _key("clear", "c", "clear", "Clear the list; asks first", "requests", "sessions"),
    _key("related", "l", "requests of",
         "Show the requests of this session, backend, zone, cost or key; of a request, ask which",
         "requests", "sessions", "panel", "backends", "zones", "costs", "keys"),
    _key("search.next", "n", "next", "Next place of the text that / looks for", "detail"),
    _key("search.previous", "N", "previous", "The place before that", "detail"),
    _key("form", "v", "form", "Show the body as text, as JSON, or raw", "detail"),
    _key("pager", "|", "pager", "Show the pane in $PAGER; the proxy serves on", "detail"),
    _key("previous", "[", "newer", "Newer request", "detail"),
    _key("next", "]", "older", "Older request", "detail"),
    _key("toggle", "space", "on/off",
         "Switch on or off until restart, a key until it is let in; running requests finish",
         "backends", "zones", "keys"),
    _key("drain", "D", "drain", "Drain: no new requests; running requests finish", "backends"),
    _key("cut", "K", "cut", "Cut: switch off and end running requests; asks first", "backends"),
    _key("probe", "P", "probe", "Probe the backend now", "backends"),
    _key("cooldown", "c", "cooldown", "End cooldowns of the backend and its models", "backends"),
    _key("tier", "t", "tier", "Set the tier until restart", "backends"),
    _key("priority", "w", "priority", "Set the priority until restart", "backends"),
    _key("add", "+", "add found", "Add a discovered backend", "backends"),
    _key("save", "S", "save", "Save runtime changes to the config file; asks which, shows them",
         "backends", "zones", "logs", "empty"),
    _key("use_key", "o", "add cloud", "Use a cloud key of the environment; asks which of several",
         "empty"),
    _key("copy_example", "y", "copy", "Copy the example request", "empty"),
    _key("period", "p", "period", "Costs of this month, last month, today or yesterday", "costs"),
    _key("copy_costs", "y", "copy", "Copy the cost lines as CSV", "costs"),
    _key("export_costs", "e", "export", "Export the cost lines to a file, as CSV or JSON", "costs"),
    _key("level", "v", "level", "Change the minimum level of shown lines", "logs"),
    _key("whole_line", "space", "whole line", "Show the whole line; enter shows its request",
         "logs"),
    _key("copy_line", "y", "copy", "Copy the line", "logs"),
    _key("key.create", "+", "create", "Create a client key with limits; shows its secret once",
         "keys"),
    _key("key.limit", "e", "limits", "Change the limits of the key", "keys"),
    _key("key.rotate", "r", "rotate", "Give the key another secret, shown once; asks how long the "
         "old one is taken", "keys"),
    _key("key.revoke", "K", "revoke", "Revoke the key for good; asks first", "keys"),
    _key("copy_keys", "y", "copy", "Copy the keys as CSV, without secrets", "keys"),
    _key("simulate", "space", "what if", "Treat a dropped backend as usable; again to undo",
         "explain"),
    _key("explain.send", "enter", "send", "Send a short request with these settings", "explain"),
    _key("explain.copy", "y", "curl", "Copy the request as curl", "explain"),
    _key("explain.json", "c", "JSON", "Copy the explanation as JSON", "explain"),
    _key("diff.swap", "s", "swap", "Swap the two sides", "diff"),
)  # fmt: skip

# What the last line shows in each place, most wanted first; the rest is in the help.
_LAST = ("help", "palette", "quit")
_HINTS: dict[Place, tuple[str, ...]] = {
    "requests": ("open", "explain", "filter", "pause", "panic", "errors", "sessions", "follow",
                 "window", *_LAST),
    "sessions": ("fold", "open", "related", "sessions", "sort", "filter", "errors", "pause",
                 "back", *_LAST),
    "detail": ("copy", "replay", "diff", "capture", "filter", "pane.next", "form", "pager", "mark",
               "explain", "related", "previous", "next", "back", *_LAST),
    "backends": ("toggle", "drain", "cut", "probe", "cooldown", "tier", "priority", "save", "open",
                 "related", "filter", "add", "window", *_LAST),
    "zones": ("panic", "toggle", "related", "explain", "window", *_LAST),
    "costs": ("pane.next", "period", "related", "sort", "filter", "copy_costs", "export_costs",
              *_LAST),
    "panel": ("open", "related", "pane.next", "down", "up", "back", "panic", *_LAST),
    "logs": ("open", "whole_line", "filter", "level", "follow", "copy_line", *_LAST),
    "keys": ("toggle", "open", "key.create", "key.limit", "key.rotate", "key.revoke", "sort",
             "filter", "copy_keys", *_LAST),
    "empty": ("again", "use_key", "save", "copy_example", *_LAST),
    "explain": ("simulate", "explain.send", "explain.copy", "explain.json", "pane.next", "back"),
    "diff": ("down", "up", "diff.swap", "back"),
}  # fmt: skip

# Keys that change the Nexus: they do nothing on a screen that may only read.
CHANGES = frozenset(
    {"panic", "toggle", "drain", "cut", "probe", "cooldown", "tier", "priority", "add", "save",
     "capture", "replay", "reload", "use_key", "explain.send", "key.create", "key.limit",
     "key.rotate", "key.revoke"}
)  # fmt: skip

# Keys that do something else in a place than their hint says.
_HINT_WORDS: dict[Place, dict[str, str]] = {
    "detail": {"filter": "search"},
    "sessions": {"sessions": "by request"},
    "keys": {"toggle": "block", "open": "its requests"},
}

_TITLES: dict[Place, str] = {
    "everywhere": "Everywhere",
    "lists": "Lists",
    "requests": "Requests",
    "sessions": "Sessions of agents",
    "detail": "Detail of a request",
    "backends": "Backends",
    "zones": "Zones",
    "costs": "Costs",
    "logs": "Logs",
    "keys": "Client keys",
    "panel": "Backends and reasons of the dashboard",
    "empty": "Without backends",
    "explain": "Explain",
    "diff": "Diff",
}

# A dialog has its keys for itself; elsewhere those of everywhere and lists work as well.
_ALONE: frozenset[Place] = frozenset({"explain", "diff"})
_TOGETHER: tuple[frozenset[Place], ...] = (
    frozenset({"everywhere", "lists", "requests", "detail"}),
    *(
        frozenset({"everywhere", "lists", place})
        for place in _TITLES
        if place not in ("everywhere", "lists", "requests", "detail", *_ALONE)
    ),
    *(frozenset({place}) for place in _ALONE),
)


@dataclass(frozen=True, slots=True)
class Keymap:
    """The key table, with the user's own keys applied."""

    keys: tuple[Key, ...] = KEYS
    _by_id: dict[str, Key] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {key.id: key for key in self.keys})

    def hints(
        self, place: Place, *, is_cut: bool = False, may_change: bool = True
    ) -> tuple[Key, ...]:
        """What to show in the last line, most wanted first; what `!` does if the zone is cut.

        Args:
            may_change: whether commands are carried out; else their keys are left out.
        """
        words = dict(_HINT_WORDS.get(place, {}))
        if is_cut:
            words["panic"] = "REOPEN"
        left_out = frozenset[str]() if may_change else CHANGES
        keys = [self._by_id[wanted] for wanted in _HINTS[place] if wanted not in left_out]
        return tuple([replace(key, hint=words.get(key.id, key.hint)) for key in keys])

    def by_place(self, first: Sequence[Place] = ()) -> Iterator[tuple[Place, str, list[Key]]]:
        """The help: a place, its title and its keys.

        Each key is there once: under the first of its places, or under one of those that are to
        come first.
        """
        order: list[Place] = [*first, *(place for place in _TITLES if place not in first)]
        for place in order:
            keys = [key for key in self.keys if _home(key, first) == place]
            if keys:
                yield place, _TITLES[place], keys

    def active(self, *places: Place) -> list[Key]:
        """What can be done where these places are on the screen."""
        return [key for key in self.keys if not set(key.places).isdisjoint(places)]

    def __getitem__(self, key_id: str) -> Key:
        return self._by_id[key_id]


def _home(key: Key, first: Sequence[Place]) -> Place:
    homes: list[Place] = [place for place in first if place in key.places]
    return homes[0] if homes else key.places[0]


# A person's own keys ------------------------------------------------------------------------------

_NAMED = frozenset(
    {"escape", "enter", "space", "tab", "shift+tab", "backspace", "delete", "insert", "up", "down",
     "left", "right", "home", "end", "pageup", "pagedown", *(f"f{n}" for n in range(1, 10)),
     *(f"ctrl+{letter}" for letter in "abcdefghklnoprtuvwxy")}
)  # fmt: skip
_EATEN = re.compile(r"ctrl\+[sqz]|f1[0-2]|alt\+.*|ctrl\+shift\+.*")


def remapped(own: Mapping[str, str]) -> Keymap:
    """The key table with keys of the configuration, checked by `check_keys`."""
    return Keymap(
        tuple(replace(key, keys=tuple(own.get(key.id, "").split()) or key.keys) for key in KEYS)
    )


def check_keys(own: Mapping[str, str]) -> list[tuple[KeyPath, str]]:
    """Problems of keys in the configuration, each with its place in the file."""
    problems: list[tuple[KeyPath, str]] = []
    ids = [key.id for key in KEYS]
    for key_id, keys in own.items():
        path: KeyPath = ("tui", "keys", key_id)
        if key_id not in ids:
            problems.append((path, f"is not an action{did_you_mean(key_id, ids)}"))
        elif wrong := next(filter(None, map(_fault, keys.split())), None):
            problems.append((path, wrong))
        elif not keys.split():
            problems.append((path, "is empty; name one or more keys, with blanks between them"))
    if not problems:
        problems += _clashes(own)
    return problems


def _fault(key: str) -> str | None:
    if _EATEN.fullmatch(key) and key != "ctrl+q":
        return f"{shown(key)} never arrives: terminals keep it for themselves"
    if key in _NAMED or key == "ctrl+q" or (len(key) == 1 and key.isprintable()):
        return None
    return f"{shown(key)} is not a key: one character, or a name such as ctrl+r, space, pagedown"


def _clashes(own: Mapping[str, str]) -> Iterator[tuple[KeyPath, str]]:
    keymap = remapped(own)
    for key_id in own:
        mine = keymap[key_id]
        for other in keymap.keys:
            both = set(mine.keys) & set(other.keys)
            if other.id != key_id and both and _meet(mine, other):
                text = f"{shown(min(both))} is also the key of {other.id}"
                yield ("tui", "keys", key_id), text
                break


def _meet(one: Key, other: Key) -> bool:
    return any(
        not together.isdisjoint(one.places) and not together.isdisjoint(other.places)
        for together in _TOGETHER
    )


_WRITTEN = {"up": "↑", "down": "↓", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn"}


def _shown(key: str) -> str:
    return _WRITTEN.get(key, key)
