"""Check [tui]: unknown actions, keys and columns are reported with file, line and key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nexus_core.config.problems import Problems
from nexus_core.config.schema import Config, KeyPath
from nexus_core.config.wording import did_you_mean, shown
from nexus_core.observe.facts import SCREEN_LIST
from nexus_tui.keymap.keys import KEYS, check_keys

COLUMNS = tuple([name for name, _ in SCREEN_LIST])  # of the request list


def require_known_keys(config: Config) -> None:
    """Check [tui.keys] and [tui] columns of a valid configuration.

    Raises:
        ConfigError: with every action that there is not, every key that is none, every clash, and
            every column that there is not or that is named twice.
    """
    tui = config.tui
    faults = [*check_keys(tui.keys), *_check_columns(tui.columns)]
    if not faults:
        return
    text = config.path.read_text(encoding="utf-8-sig") if config.path else ""
    problems = Problems(config.path, text)
    actions = {key.id for key in KEYS}
    for path, wrong in faults:
        is_action = path[:2] == ("tui", "keys")
        problems.add(path, wrong, is_key=is_action and path[-1] not in actions)
    problems.raise_if_any()


def _check_columns(names: Sequence[str] | None) -> Iterator[tuple[KeyPath, str]]:
    if names is None:
        return
    if not names:
        yield ("tui", "columns"), "is empty; name one or more columns, or leave it out"
    for place, name in enumerate(names):
        path: KeyPath = ("tui", "columns", place)
        if name not in COLUMNS:
            meant = did_you_mean(name, COLUMNS)
            yield path, f"{shown(name)} is not one of {', '.join(COLUMNS)}{meant}"
        elif name in names[:place]:
            yield path, f"{shown(name)} is there already"
