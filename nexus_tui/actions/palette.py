"""Palette actions: carry out what was typed after `:`; what asks when pressed asks here too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial

from nexus_core.observe.windows.window import Window
from nexus_core.types import PrivacyZone
from nexus_tui.actions.backends import BackendActions, wrong_priority
from nexus_tui.actions.context import AppContext, Tabs
from nexus_tui.actions.zones import ZoneActions
from nexus_tui.keymap.keys import Key, Keymap, Place
from nexus_tui.screens.palette import Palette
from nexus_tui.text.escape import escaped
from nexus_tui.view.commands import (
    Found,
    Noun,
    Suggestion,
    Vocabulary,
    name_then,
    one_of,
)
from nexus_tui.view.filter.grammar import term
from nexus_tui.view.known_names import known_names
from nexus_tui.view.replicas import replica_note
from nexus_tui.widgets.base.sortable import SortableList

# The places of tabs, whose actions the palette offers from everywhere.
_TAB_PLACES: tuple[Place, ...] = (
    "requests",
    "backends",
    "zones",
    "costs",
    "logs",
    "keys",
)
_THEMES = {
    "nexus-dark": "dark ground",
    "nexus-light": "light ground",
    "nexus-contrast": "black ground, contrast of 7:1",
    "nexus-ansi": "the terminal's own sixteen colours",
}
_VERBS: Mapping[str, str] = {
    "on": "Switch it on",
    "off": "Switch it off until restart; running requests finish",
    "drain": "The same as off",
    "cut": "Switch it off and end running requests; asks first",
    "probe": "Probe it now",
    "cooldown": "End its cooldowns and those of its models",
    "requests": "Show its requests",
}
_TIERS = {**{str(tier): f"Tier {tier}" for tier in range(5)}, "none": "No tier"}
_ZONES = {
    "cut": "Cut the zone",
    "on": "Open the zone again; asks first",
    "requests": "Show its requests",
}


class PaletteActions:
    """The command palette, and what its nouns do."""

    def __init__(
        self,
        context: AppContext,
        tabs: Tabs,
        keymap: Keymap,
        backends: BackendActions,
        zones: ZoneActions,
        look: Callable[[str], None],
        show_requests: Callable[[str], None],
    ) -> None:
        """
        Args:
            look: changes the theme.
            show_requests: shows the requests that a filter leaves.
        """
        self._context = context
        self._tabs = tabs
        self._keymap = keymap
        self._backends = backends
        self._zones = zones
        self._look = look
        self._show_requests = show_requests

    def palette(self) -> Palette:
        """The palette of what can be done now."""
        return Palette(self._vocabulary())

    async def carry_out(self, text: str | None) -> str | None:
        """Carry out what a noun was typed for.

        Where an action was chosen, opens the tab that it is for and gives its id instead.
        """
        if text is None:
            return None
        if any(key.id == text for key in self._keymap.keys):
            places, here = self._keymap[text].places, {"everywhere", *self._context.tab.places}
            if here.isdisjoint(places):
                self._context.show_tab(next(place for place in places if place in _TAB_PLACES))
            return text
        await self._carry_out(*text.split(None, 1))
        return None

    # --- what there is -------------------------------------------------------------------

    def _vocabulary(self) -> Vocabulary:
        actions = [Suggestion(key.id, key.help, key.all_shown) for key in self._actions()]
        known = {key: cache(_as_tuple(get)) for key, get in self._names().items()}
        backends, models, keys = known["backend"], known["model"], known["key"]
        sortable = self._sortable
        ways = dict.fromkeys(sortable.sorting.ways, "Sort by this; again: the other way round")
        windows = {str(window): f"Numbers {window.shown}" for window in Window}
        zones = [str(zone) for zone in PrivacyZone]
        return Vocabulary(
            actions,
            [
                Noun("filter", "Filter the list that is shown", self._filters),
                Noun(
                    "backend",
                    "Go to its row; or on, off, cut, tier, …",
                    name_then("backend", backends, "Go to its row", _verbs_of),
                    backends,
                ),
                Noun("model", "Show its requests", _names_of("model", models), models),
                *self._replicas(),
                Noun("key", "Show the requests of a client key", _names_of("key", keys), keys),
                Noun(
                    "zone",
                    "Go to it; or cut it, open it",
                    name_then("zone", lambda: zones, "Go to it", lambda _: _ZONES),
                ),
                Noun("sort", "Sort the list by a column", one_of("sort", lambda: ways)),
                Noun(
                    "window", "Numbers of this stretch of time", one_of("window", lambda: windows)
                ),
                Noun("theme", "Change the colours", one_of("theme", lambda: _THEMES)),
            ],
        )

    def _names(self) -> Mapping[str, Callable[[], Iterable[str]]]:
        context = self._context
        found = known_names(context.source, context.view)
        return {**found, "backend": lambda: [one.name for one in context.source.backends()]}

    def _actions(self) -> list[Key]:
        """Every action, this tab's first."""
        here = set(self._context.tab.places)
        keys = self._keymap.active("everywhere", *here, *_TAB_PLACES)
        # How to move comes after what can be done here, and what is done elsewhere last.
        keys.sort(
            key=lambda key: (
                here.isdisjoint(key.places) and "everywhere" not in key.places,
                "lists" in key.places,
                here.isdisjoint(key.places),
            )
        )
        return [key for key in keys if key.id != "interrupt"]

    def _filters(self, typed: str) -> Found:
        filtered = self._context.tab.filtered or self._tabs.requests.filtered
        if not typed.strip():
            return Found([Suggestion("filter ", filtered.example, is_whole=False)])
        parsed = filtered.language.parse(typed, filtered.names())
        if parsed.problem:
            return Found(
                [Suggestion(f"filter {typed}", "", is_whole=False, problem=parsed.problem)]
            )
        found = [Suggestion(f"filter {typed}", parsed.hint or f"of the {filtered.kind}")]
        longer = filtered.completed(typed)
        if longer is not None and longer != typed:
            is_begun = bool(filtered.language.parse(longer, filtered.names()).problem)
            found.append(Suggestion(f"filter {longer}", "", is_whole=not is_begun))
        return Found(found)

    @property
    def _sortable(self) -> SortableList:
        """The list that is shown, or that of requests where none can be sorted."""
        return self._context.tab.sortable or self._tabs.requests.list

    # --- what is done --------------------------------------------------------------------

    async def _carry_out(self, noun: str, rest: str = "") -> None:
        name, _, argument = rest.partition(" ")
        match noun:
            case "filter":
                self._filter(rest)
            case "theme":
                self._look(rest)
            case "window":
                self._context.view.window = window = Window(rest)
                self._context.notice(f"numbers: {window.shown}")
            case "sort":
                self._sort(rest)
            case "zone":
                await self._zone(PrivacyZone(name), argument)
            case "backend":
                await self._backend(name, argument)
            case "model" | "key" | "replica":
                self._show_requests(term(noun, rest))
            case _:
                self._context.notice(f"{escaped(noun)} is no command")

    def _replicas(self) -> list[Noun]:
        """The noun for a fleet's replicas, with their numbers; none without a fleet."""
        source = self._context.source
        if (fleet := source.fleet) is None:
            return []
        notes = {one.name: replica_note(one, source.now()) for one in fleet.replicas}
        help_ = "Show the requests of a replica, after its numbers"
        return [Noun("replica", help_, one_of("replica", lambda: notes), lambda: notes)]

    def _filter(self, text: str) -> None:
        tab = self._context.tab
        if tab.filtered is None:
            self._context.show_tab("requests")
            tab = self._tabs.requests
        tab.close()
        if tab.filtered is not None:
            tab.filtered.set(text)

    def _sort(self, column: str) -> None:
        shown = self._sortable
        if shown is not self._context.tab.sortable:
            self._context.show_tab("requests")
        shown.sort_by(column)

    async def _zone(self, zone: PrivacyZone, verb: str) -> None:
        if verb == "requests":
            self._show_requests(term("zone", zone))
        elif not verb:
            self._tabs.zones.board.select(zone)
            self._context.show_tab("zones")
        elif (verb == "on") is self._context.source.is_zone_enabled(zone):
            self._context.notice(f"zone {zone} is {'on' if verb == 'on' else 'cut'} already")
        else:
            await self._zones.switch(zone)

    async def _backend(self, name: str, argument: str) -> None:
        verb, _, value = argument.partition(" ")
        if verb == "requests":
            self._show_requests(term("backend", name))
        elif verb:
            await self._backends.act(name, verb, value)
        else:
            self._tabs.backends.show(name)
            self._context.show_tab("backends")


def _as_tuple(get: Callable[[], Iterable[str]]) -> Callable[[], Sequence[str]]:
    """All names at once: they are asked for at every letter that is typed."""
    return lambda: tuple(name for name in get() if name)


def _names_of(noun: str, names: Callable[[], Iterable[str]]) -> Callable[[str], Found]:
    return one_of(noun, lambda: dict.fromkeys(sorted({*names()}), "Show its requests"))


def _verbs_of(name: str) -> Mapping[str, Callable[[str], Found] | str]:
    return {
        **_VERBS,
        "tier": one_of(f"backend {name} tier", lambda: _TIERS),
        "priority": partial(_priorities, name),
    }


def _priorities(name: str, typed: str) -> Found:
    text = f"backend {name} priority {typed}".rstrip()
    problem = wrong_priority(typed) if typed else None
    told = "Higher is preferred; until restart"
    return Found([Suggestion(text, told, is_whole=problem is None, problem=problem or "")])
