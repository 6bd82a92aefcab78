"""Start-up messages: the address, the config file, unused keys and unusable backends."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from nexus_core.config.load import search_path
from nexus_core.config.schema import Config
from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_tui.commands.base.target import local_url
from nexus_tui.process.launch import Launch
from nexus_tui.process.streams import say
from nexus_tui.text.escape import escaped

log = logging.getLogger(__name__)


def announce(launch: Launch, config: Config, url: str, ring: LogRing) -> None:
    """Report the address, the config file, and its problems.

    With the dashboard only problems go to the terminal, which shows them again after it; the rest
    goes to the log tab.
    """
    notes = [f"DEMO: simulated backends and traffic at {url}"] if launch.is_demo else []
    notes += [f"listening on {url}", _origin(launch, config), *config.notes]
    complaints = [*config.outdated, *(backend.why for backend in config.unusable)]
    if launch.is_zero_config(config):
        notes += _offers(launch, config)
    elif not (config.backends or config.unusable):
        complaints.append("no backend is configured; add one to the config file")
    for note in notes:
        if launch.is_headless:
            report(launch, ring, logging.INFO, note)
        else:
            _keep(ring, logging.INFO, note)
    for complaint in complaints:
        report(launch, ring, logging.WARNING, complaint)


def serving_on(url: str) -> tuple[str, ...]:
    """What to say when the screen was left, and the process goes on without it."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    local = local_url(host.strip("[]"), int(port))
    return (
        f"serving on at {url} without the dashboard (pid {os.getpid()}); ctrl+c to stop",
        f"the dashboard again: nexus attach {local}",
    )


def _offers(launch: Launch, config: Config) -> list[str]:
    """Messages without a configuration: searched servers, and cloud keys that --cloud would use."""
    # Only here: who has a configuration need not wait for it.
    from nexus_core.discovery.cloud import cloud_keys, keys_without_url
    from nexus_core.discovery.local import USUAL_PLACES

    ports = ", ".join(f"{place.kind.spec.title} {place.port}" for place in USUAL_PLACES)
    used = {backend.type for backend in config.backends}
    keys = [key for key in cloud_keys(launch.environ) if key.is_set and key.type not in used]
    offers = [f"{key.variable} is set but not used; --cloud uses it" for key in keys]
    offers += [
        f"{key.variable} is set but not used; {key.type.spec.title} needs its url in a config file"
        for key in keys_without_url(launch.environ)
    ]
    return [f"looking for local servers ({ports}); `nexus init` writes a config", *offers]


def report(launch: Launch, ring: LogRing, level: int, text: str) -> None:
    """Print a line for the user; a log record if stderr is JSON."""
    if launch.is_headless and launch.log_format == "json":
        log.log(level, "%s", text)
    else:
        say(text)
        _keep(ring, level, text)


def _keep(ring: LogRing, level: int, text: str) -> None:
    """Add a line to the log shown by the dashboard and by `nexus logs`."""
    ring.add(LogLine(time.time(), logging.getLevelName(level).lower(), __name__, escaped(text)))


def _origin(launch: Launch, config: Config) -> str:
    if config.path is not None:
        return f"config {config.path}"
    if launch.is_demo:
        return "the demo uses backends and settings of its own"
    searched = ", ".join(str(path) for path in search_path(Path.cwd()))
    return f"no config file found (searched {searched})"
