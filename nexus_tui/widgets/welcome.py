"""What a newcomer sees: no backend yet, where Nexus listens, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_tui.figures import wrap
from nexus_tui.source import EventSource
from nexus_tui.untrusted import visible
from nexus_tui.widgets.lines import Line, LineWidget


class Welcome(LineWidget):
    """Stands in for the dashboard while there is no backend."""

    def __init__(self, source: EventSource) -> None:
        super().__init__(id="welcome")
        self._source = source

    def lines(self, width: int, height: int) -> Sequence[Line]:
        base = f"http://{visible(self._source.address)}/v1"
        lines: list[Line] = [
            (),
            ((" Nexus is running at ", "text"), (base, "bright")),
            ((" and has no backend that it could send a request to.", "text"),),
            (),
            *self._config(width),
            (),
            ((" A local server as a backend", "head"),),
            *(((f"   {line}", "live"),) for line in _EXAMPLE),
            (),
            ((" Then try it", "head"),),
            *(((f"   {line}", "live"),) for line in _curl(base)),
        ]
        return lines

    def _config(self, width: int) -> list[Line]:
        config = self._source.config
        if config.path is None:
            text = "Configuration: none was found. Write nexus.toml and start Nexus again."
        else:
            text = f"Configuration: {visible(str(config.path))}. It names no usable backend."
        lines: list[Line] = [((f" {part}", "text"),) for part in wrap(text, width - 2)]
        for backend in config.unusable:
            why = f"{visible(backend.name)}: {visible(backend.why)}"
            lines += [((f"   ✗ {part}", "bad"),) for part in wrap(why, width - 6)]
        return lines


_EXAMPLE = (
    "[[backends]]",
    'name = "ollama"',
    'type = "ollama"',
    'url = "http://127.0.0.1:11434"',
)


def _curl(base: str) -> tuple[str, ...]:
    return (
        f"curl {base}/chat/completions \\",
        "  -H 'Content-Type: application/json' \\",
        '  -d \'{"model":"MODEL","messages":[{"role":"user","content":"hi"}]}\'',
    )
