"""What is compared: the floor, Nexus with everything on, LiteLLM where it is found."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loads import MODELS
from benchmarks.side_by_side.processes import (
    GATEWAY_CORE,
    Running,
    free_port,
    started,
    started_on_a_terminal,
)

FLOOR, NEXUS, DASHBOARD, LITELLM = "floor", "nexus", "dashboard", "litellm"

_FLOOR = str(Path(__file__).parents[1] / "floor.py")
_KEYS = {f"{kind.upper()}_API_KEY": "sk-none-0123456789" for kind in MODELS}
_NEXUS_CONFIG = """
[health_check]
enabled = false
[storage]
path = "ledger.db"
{backends}
"""
_BACKEND = """
[[backends]]
name = "{kind}"
type = "{kind}"
url = "{url}"
api_key_env = "{variable}"
models = ["{model}"]
[pricing.{kind}]
"{model}" = {{ input_per_1k = 0.00015, output_per_1k = 0.0006 }}
"""
_LITELLM_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {url}/v1
      api_key: sk-none
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where gateways are started: the backend they have, and a folder for their files."""

    backend_url: str
    folder: Path

    def command(self, name: str, port: int) -> list[str]:
        """How to start one of them."""
        match name:
            case "floor":
                return [sys.executable, _FLOOR, str(port), self.backend_url]
            case "litellm":
                config = self.folder / "litellm.yaml"
                config.write_text(
                    _LITELLM_CONFIG.format(model=MODELS["openai"], url=self.backend_url)
                )
                litellm = shutil.which("litellm") or "litellm"
                return [litellm, "--config", str(config), "--port", str(port)]
            case _:
                config = self._nexus_config(name)
                screen = [] if name == DASHBOARD else ["--no-ui"]
                nexus = [sys.executable, "-m", "nexus_tui.cli", *screen]
                return [*nexus, "--config", str(config), "--port", str(port)]

    def _nexus_config(self, name: str) -> Path:
        room = self.folder / name
        room.mkdir(exist_ok=True)
        backends = "".join(
            _BACKEND.format(
                kind=kind, model=model, url=self.backend_url, variable=f"{kind.upper()}_API_KEY"
            )
            for kind, model in MODELS.items()
        )
        config = room / "nexus.toml"
        config.write_text(_NEXUS_CONFIG.format(backends=backends))
        return config

    @contextmanager
    def begun(self, name: str, log_level: str = "info") -> Generator[Running]:
        """One of them, on its core; its process has just been started."""
        port = free_port()
        command = self.command(name, port)
        if name in (NEXUS, DASHBOARD):
            command += ["--log-level", log_level]
        if name == DASHBOARD:
            start = started_on_a_terminal(command, GATEWAY_CORE, _KEYS)
        else:
            start = started(command, self.folder / f"{name}.log", GATEWAY_CORE, _KEYS)
        with start as child:
            yield Running(name, port, child)

    @contextmanager
    def running(self, name: str, log_level: str = "info") -> Generator[Running]:
        """The same, ready and at rest."""
        with self.begun(name, log_level) as gateway:
            gateway.wait_for_health()
            gateway.rest()
            yield gateway


def rivals() -> list[str]:
    """Names of those that can be started here."""
    return [FLOOR, NEXUS, *([LITELLM] if shutil.which("litellm") else [])]
