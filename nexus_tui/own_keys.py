"""Refuse a configuration whose [tui.keys] name what there is not, by file, line and key."""

from __future__ import annotations

from nexus_core.config import Config, shown_path
from nexus_core.errors import ConfigError
from nexus_core.toml_lines import locate
from nexus_tui.keys import check_keys


def require_known_keys(config: Config) -> None:
    """Check the keys of a configuration that is right otherwise.

    Raises:
        ConfigError: with every action that there is not, every key that is none, every clash.
    """
    problems = check_keys(config.tui.keys)
    if not problems:
        return
    lines = locate(config.path.read_text(encoding="utf-8-sig")) if config.path else {}
    raise ConfigError(
        [
            f"{config.path}:{lines.get(path, 1)}: {shown_path(path)}: {text}"
            for path, text in problems
        ]
    )
