"""Check [tui.keys]: unknown action names are reported with file, line and key."""

from __future__ import annotations

from nexus_core.config.problems import Problems
from nexus_core.config.schema import Config
from nexus_tui.keymap.keys import KEYS, check_keys


def require_known_keys(config: Config) -> None:
    """Check [tui.keys] of a valid configuration.

    Raises:
        ConfigError: with every action that there is not, every key that is none, every clash.
    """
    if not (faults := check_keys(config.tui.keys)):
        return
    text = config.path.read_text(encoding="utf-8-sig") if config.path else ""
    problems = Problems(config.path, text)
    actions = {key.id for key in KEYS}
    for path, wrong in faults:
        problems.add(path, wrong, is_key=path[-1] not in actions)
    problems.raise_if_any()
