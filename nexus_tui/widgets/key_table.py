"""Key table: client keys with their limits as bars, and the selected one in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from nexus_tui.sources.client_keys import ClientKey
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, clip, date, dollars, short_count, uptime, wrap
from nexus_tui.view.filter.filtered import OwnFilter
from nexus_tui.view.filter.grammar import term
from nexus_tui.view.filter.keys import CLIENT_KEYS
from nexus_tui.view.frame import Frames
from nexus_tui.view.keys.watch import KeyWatch
from nexus_tui.view.order import Sorting, Way
from nexus_tui.widgets.base.bars import gauge
from nexus_tui.widgets.base.columns import Column, Layout, layout
from nexus_tui.widgets.base.filter_lines import filter_parts, filter_problem, nothing_matches
from nexus_tui.widgets.base.lines import Cell, Line, joined, rule
from nexus_tui.widgets.base.sortable import SortableList

_BAR = 4
_NEARLY, _FULL = 0.75, 1.0  # of a limit
_STATES: dict[str, Cell] = {
    "active": ("● active", "good"),
    "blocked": ("✗ blocked", "warn"),
    "expired": ("○ expired", "dim"),
    "revoked": ("○ revoked", "dim"),
    "environment": ("● env", "good"),
}
_MONTH = 14  # cells at least
_COLUMNS = (
    Column("state", "state", 9, 1),
    Column("name", "name", 12, 0, grows=28),
    Column("now", "now", 5, 2, right=True),
    Column("rpm", "requests/min", 12, 3, grows=16),
    Column("tpm", "tokens/min", 14, 5, grows=18),
    Column("budget", "month", _MONTH, 4, grows=18),
    Column("last", "last used", 9, 6, right=True),
    Column("models", "models", 12, 8, grows=40),
    Column("zone", "zone", 4, 9),
    Column("tier", "tier", 4, 10, right=True),
    Column("expires", "expires", 8, 7, right=True),
)
_AS_MADE = "created"
_WAYS: dict[str, Way[ClientKey]] = {
    _AS_MADE: Way("c", None, is_text=True),
    "state": Way("s", lambda key: key.state, is_text=True),
    "name": Way("n", lambda key: key.name, is_text=True),
    "now": Way("w", lambda key: key.used.under_way),
    "requests": Way("r", lambda key: key.used.requests),
    "tokens": Way("t", lambda key: key.used.tokens),
    "month": Way("m", lambda key: key.used.spent_usd),
    "last": Way("l", lambda key: key.used.last),
    "expires": Way("x", lambda key: key.expires, is_text=True),
}
_WITHOUT_KEYS = (
    "No client key: whoever reaches this Nexus may use it.",
    "Once there is a created key, requests need a key. One with limits:",
)
_COMMAND = "nexus keys create laptop --rpm 60 --budget 20"


class KeyTable(SortableList):
    """Key table; the cursor stays on its key when the order changes."""

    head_lines = 4

    def __init__(self, frames: Frames, watch: KeyWatch) -> None:
        super().__init__(id="key-table")
        self._frames = frames
        self._watch = watch
        self._sorting = Sorting(_WAYS, usual=_AS_MADE)
        self._rows: Sequence[ClientKey] = ()
        self._name = ""  # of the key under the cursor
        self.typed = OwnFilter(
            "client keys",
            "words  state:active  model:llama  cost:>1  limited",
            CLIENT_KEYS,
            {"name": lambda: [key.name for key in self._watch.keys or ()]},
        )

    # --- rows ----------------------------------------------------------------------------

    @property
    def sorting(self) -> Sorting[ClientKey]:
        return self._sorting

    @property
    def shown(self) -> Sequence[ClientKey]:
        """The keys as they are listed."""
        return self._rows

    @property
    def selected(self) -> ClientKey | None:
        """The key under the cursor."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    @property
    def selected_term(self) -> str | None:
        """The filter for its requests; None without keys."""
        selected = self.selected
        return None if selected is None else term("key", selected.name)

    def columns(self, width: int) -> Layout:
        return layout(_COLUMNS, width)

    def cursor_moved(self) -> None:
        selected = self.selected
        self._name = selected.name if selected else ""

    def locate(self) -> None:
        names = [key.name for key in self._rows]
        if self.cursor < len(names) and names[self.cursor] == self._name:
            return
        if self._name in names:
            self.cursor = names.index(self._name)

    def row_count(self) -> int:
        return len(self._rows)

    # --- drawing -------------------------------------------------------------------------

    def lines(self, width: int, height: int) -> Sequence[Line]:
        keys = self._watch.keys
        if keys is None:
            text = self._watch.problem
            told = "Asking for the client keys …" if text is None else f"No keys: {escaped(text)}."
            return [rule(width, "Keys"), (), *(((f" {x}", "dim"),) for x in wrap(told, width - 2))]
        if self._sorting.is_usual:
            ordered = sorted(keys, key=lambda key: key.state == "revoked")  # these last
        else:
            ordered = self._sorting.top_first(keys)
        self._rows = self.typed.of(ordered)
        self.locate()
        return super().lines(width, height)

    def head(self, width: int) -> Sequence[Line]:
        keys = self._watch.keys or ()
        created = sum(key.is_created for key in keys)
        title = rule(
            width,
            "Keys",
            f"{created} created",
            f"{len(keys) - created} of the environment",
            *self.sorted_by(),
            *filter_parts(self.typed.current, len(self._rows), len(keys)),
            warning=filter_problem(self.typed.current) or escaped(self._watch.problem or ""),
        )
        selected = self.selected
        limits, dates = ((), ()) if selected is None else self._in_words(selected, width)
        return [title, limits, dates, self.titles(width)]

    def _in_words(self, key: ClientKey, width: int) -> tuple[Line, Line]:
        """Its limits, and its dates."""
        now = self._frames.current.now
        name: Line = ((escaped(key.name), "bright"),)
        if not key.is_created:
            where = "set where Nexus is started, and changed there"
            told: list[Line] = [((part, "dim"),) for part in (where, *_limits(key))]
            return joined([name, *told], width), ()
        limits = joined([name, *(((part, "dim"),) for part in _limits(key))], width)
        return limits, ((f" {clip('  '.join(_dates(key, now)), width - 2)}", "dim"),)

    def empty(self, width: int) -> Sequence[Line]:
        if self._watch.keys:
            return nothing_matches(self.typed.current)
        said = [part for text in _WITHOUT_KEYS for part in wrap(text, width - 2)]
        return [
            *(((f" {part}", "dim"),) for part in said),
            (),
            (("   ", "text"), (_COMMAND, "bright")),
            (),
            ((" ", "text"), ("+", "key"), (" makes one here", "dim")),
        ]

    def row(self, index: int, width: int) -> Line:
        key, now = self._rows[index], self._frames.current.now
        cells: list[Cell] = [(" ", "text")]
        for column, column_width in self.columns(width):
            text, style = _cell(key, column.id, now)
            cells.append((column.cell(text, column_width), style))
        return tuple(cells)


# Cells --------------------------------------------------------------------------------------------


def _cell(key: ClientKey, column: str, now: float) -> Cell:
    used = key.used
    match column:
        case "state":
            return _STATES.get(key.state, (escaped(key.state), "dim"))
        case "name":
            return escaped(key.name), "text" if key.state in ("active", "environment") else "dim"
        case "now":
            return _now(key)
        case "rpm":
            return _rate(used.requests, used.rpm, used.rpm_limit)
        case "tpm":
            return _rate(used.tokens, used.tpm, used.tpm_limit)
        case "budget":
            return _month(key)
        case "last":
            return (NOTHING if used.last is None else f"{_age(now - used.last)} ago"), "dim"
        case "models":
            return (NOTHING if key.models is None else escaped(",".join(key.models))), "dim"
        case "zone":
            return (key.zone[:1].upper() if key.zone == "restricted" else NOTHING), "dim"
        case "tier":
            return (NOTHING if key.tier is None else str(key.tier)), "dim"
        case _:
            return _expires(key, now)


def _now(key: ClientKey) -> Cell:
    under_way, most = key.used.under_way, key.used.parallel_limit
    if most is None:
        return (str(under_way) if under_way else NOTHING), "text" if under_way else "dim"
    return f"{under_way}/{most}", _style(under_way, most)


def _rate(counted: int, used: int | None, limit: int | None) -> Cell:
    """`██░░ 30/60` of a limit; without one, what came this minute."""
    if limit is None:
        return (short_count(counted) if counted else NOTHING), "text" if counted else "dim"
    part = used or 0
    return f"{_bar(part, limit)} {short_count(part)}/{short_count(limit)}", _style(part, limit)


def _month(key: ClientKey) -> Cell:
    spent = dollars(Decimal(str(key.used.spent_usd)), 2)
    if key.budget_usd is None:
        has_spent = key.used.spent_usd > 0
        return (spent if has_spent else NOTHING), "text" if has_spent else "dim"
    part = key.used.spent_usd + key.used.reserved_usd
    bar = _bar(part, key.budget_usd) if key.budget_usd else "█" * _BAR
    text = f"{bar} {spent}/${key.budget_usd:g}"
    if len(text) > _MONTH:  # half an amount would be read as another one
        text = f"{bar} {dollars(Decimal(str(key.used.spent_usd)), 0)}/${key.budget_usd:g}"
    return text, _style(part, key.budget_usd)


def _bar(part: float, whole: float) -> str:
    return "".join(gauge(part, whole, _BAR))


def _style(part: float, whole: float) -> str:
    share = part / whole if whole else _FULL
    return "bad" if share >= _FULL else "warn" if share >= _NEARLY else "text"


def _expires(key: ClientKey, now: float) -> Cell:
    if key.expires is None:
        return NOTHING, "dim"
    left = key.expires - now
    if left <= 0:
        return "over", "dim"
    return _age(left), "warn" if left < 86_400 else "dim"


def _age(seconds: float) -> str:
    """`12 s`, `3 m`, `5 h`, `29 d`: its largest unit."""
    if seconds < 60:
        return f"{max(0, int(seconds))} s"
    return " ".join(uptime(seconds).split()[:2])


# In words -----------------------------------------------------------------------------------------


def _limits(key: ClientKey) -> list[str]:
    used = key.used
    told = [
        None if used.rpm_limit is None else f"{used.rpm_limit:,} requests/min",
        None if used.tpm_limit is None else f"{used.tpm_limit:,} tokens/min",
        None if used.parallel_limit is None else f"{used.parallel_limit} at a time",
        None if key.budget_usd is None else f"${key.budget_usd:g} a month",
        f"${used.reserved_usd:.4f} reserved" if used.reserved_usd else None,
        "restricted zone only" if key.zone == "restricted" else None,
        None if key.tier is None else f"tier {key.tier} or above",
        None if key.models is None else f"only {escaped(', '.join(key.models))}",
    ]
    return [one for one in told if one is not None] or ["no limits"]


def _dates(key: ClientKey, now: float) -> list[str]:
    told = [
        ("created", key.created),
        ("expired" if (key.expires or now) < now else "expires", key.expires),
        ("blocked", key.blocked),
        ("revoked", key.revoked),
        ("old secret is taken until", key.old_secret_until),
    ]
    return [f"{word} {date(at)}" for word, at in told if at is not None]


def as_rows(keys: Sequence[ClientKey]) -> list[list[object]]:
    """The keys for a table elsewhere: the titles first; empty where nothing is known."""
    titles = ["name", "state", "requests_this_minute", "rpm", "tokens_this_minute", "tpm"]
    titles += ["under_way", "parallel", "spent_usd", "budget_usd", "last_used", "expires"]
    titles += ["zone", "tier", "models"]
    return [list(titles), *([_plain(value) for value in _values(key)] for key in keys)]


def _values(key: ClientKey) -> list[object]:
    used = key.used
    models = None if key.models is None else ",".join(key.models)
    return [
        *(key.name, key.state, used.requests, key.rpm, used.tokens, key.tpm),
        *(used.under_way, key.parallel, used.spent_usd, key.budget_usd),
        *(_iso(used.last), _iso(key.expires), key.zone, key.tier, models),
    ]


def _plain(value: object) -> object:
    return "" if value is None else value


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
