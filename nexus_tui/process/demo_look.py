"""The demo looks and answers to keys as the user's config file says; nothing else of it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tomli
from pydantic import ValidationError

from nexus_core.config.load import find_config
from nexus_core.config.schema import Config
from nexus_core.config.tui import TuiConfig
from nexus_core.config.wording import faults_of, shown_path
from nexus_core.errors import ConfigError
from nexus_tui.keymap.keys import check_keys


def with_own_look(config: Config, environ: Mapping[str, str], cwd: Path) -> Config:
    """The configuration with [tui] of the file that a start without --demo would use.

    What is wrong with that file is a note, and the demo starts as if there were none.
    """
    try:
        path = find_config(None, environ, cwd)
        if path is None:
            return config
        tui, note = _tui_of(path), f"[tui] of {path} is used, nothing else of it"
    except ConfigError as error:
        tui, note = config.tui, f"[tui] is not used: {error.lines[0]}"
    return config.model_copy(update={"tui": tui, "notes": (*config.notes, note)})


def _tui_of(path: Path) -> TuiConfig:
    """
    Raises:
        ConfigError: it can't be read, or its section is wrong.
    """
    try:
        document = tomli.loads(path.read_text(encoding="utf-8-sig"))
        tui = Config.model_validate({"tui": document.get("tui", {})}).tui
    except ValidationError as error:
        fault = faults_of(error)[0]
        problem = f"{shown_path(fault.path)}: {fault.text}"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except (ValueError, RecursionError):  # no TOML, or no UTF-8
        problem = "is not valid; nexus check names its faults"
    else:
        faults = check_keys(tui.keys)
        if not faults:
            return tui
        problem = f"{shown_path(faults[0][0])}: {faults[0][1]}"
    raise ConfigError([f"{path}: {problem}"])
