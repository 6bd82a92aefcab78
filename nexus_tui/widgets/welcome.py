"""Welcome screen without backends: discovery results and next steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from nexus_tui.sources.base import DiscoverySource, EventSource, offered
from nexus_tui.text.escape import escaped
from nexus_tui.text.example import example_body
from nexus_tui.text.numbers import fit, wrap
from nexus_tui.text.requests.snippets import curl_for
from nexus_tui.widgets.base.lines import Line, rule
from nexus_tui.widgets.base.scrolled import ScrolledLines

_SIDE_BY_SIDE = 100  # columns
_EXAMPLE = (
    "[[backends]]",
    'name = "ollama"',
    'type = "ollama"',
    'url = "http://127.0.0.1:11434"',
)


class Welcome(ScrolledLines):
    """Welcome screen, shown instead of the dashboard without backends."""

    def __init__(self, source: EventSource) -> None:
        super().__init__(id="welcome")
        self._source = source

    @property
    def example(self) -> str:
        """A request to try, as a command."""
        discovery = self._source.discovery
        used = any(server.is_used for server in discovery.servers) if discovery else False
        return curl_for(example_body("qwen2.5:7b" if used else "MODEL"), self._source.address)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        parts = self._parts(width)
        for body in (_spaced([[], *parts]), _spaced(parts)):
            if len(body) <= height:
                return body
        body = [line for part in parts for line in part]
        if len(body) <= height:
            return body
        shown = self.in_sight(body, height - 1)
        return [*shown, self._more(len(body) - self._top - len(shown), width)]

    def _more(self, below: int, width: int) -> Line:
        """The sign that there is more than what is seen."""
        where = [f"{n} lines {at}" for n, at in ((self._top, "above"), (below, "below")) if n]
        return rule(width, ", ".join(where), "↑ ↓ pgup pgdn")

    def _parts(self, width: int) -> list[list[Line]]:
        """What is wrong and what there is to do comes first: the end may be out of sight."""
        discovery = self._source.discovery
        example: list[Line] = [((" Then try it (y copies)", "head"),)]
        for line in self.example.split("\n"):
            example += [((f"   {part}", "live"),) for part in wrap(escaped(line), width - 4)]
        return [
            [*self._address(width), *self._config(width, is_discovering=discovery is not None)],
            *(_found(discovery, width) if discovery else [_by_hand()]),
            example,
        ]

    def _address(self, width: int) -> list[Line]:
        head: Line = (
            (" Nexus is running at ", "text"),
            (f"http://{escaped(self._source.address)}/v1", "bright"),
        )
        tail = " without a usable backend."
        if sum(len(text) for text, _ in head) + len(tail) > width:
            return [head, ((tail, "text"),)]
        return [(*head, (tail, "text"))]

    def _config(self, width: int, *, is_discovering: bool) -> list[Line]:
        config = self._source.config
        if config.path is not None:
            text = f"Config file: {escaped(str(config.path))}. It has no usable backend."
        elif is_discovering:
            text = "No config file found. S writes nexus.toml with the discovered servers."
        else:
            text = "No config file found. Write a nexus.toml and restart Nexus."
        lines: list[Line] = [((f" {part}", "text"),) for part in wrap(text, width - 2)]
        for backend in config.unusable:
            why = f"{escaped(backend.name)}: {escaped(backend.why)}"
            first, *rest = wrap(why, width - 6)
            lines += [((f"   ✗ {first}", "bad"),), *(((f"     {part}", "bad"),) for part in rest)]
        return lines


def _spaced(parts: Sequence[Sequence[Line]]) -> list[Line]:
    """One below the other, with an empty line between them."""
    first, *rest = parts
    return [*first, *(line for part in rest for line in ((), *part))]


def _by_hand() -> list[Line]:
    return [
        ((" A local server as a backend", "head"),),
        *(((f"   {x}", "live"),) for x in _EXAMPLE),
    ]


def _found(discovery: DiscoverySource, width: int) -> list[list[Line]]:
    servers: list[Line] = [((" Local servers (R searches again)", "head"),)]
    for server in discovery.servers:
        glyph = ("✓", "good") if server.is_used else ("✗", "dim")
        used = "  used" if server.is_used else ""
        servers.append(
            (
                ("  ", "text"),
                glyph,
                (f" {fit(escaped(server.title), 10)} {fit(escaped(server.address), 16)} ", "text"),
                (f"{escaped(server.finding)}{used}", "good" if server.is_used else "dim"),
            )
        )
    verb = "adds" if len(offered(discovery)) == 1 else "offers"  # of several, it asks which
    keys: list[Line] = [((" Cloud keys in the environment", "head"),)]
    for key in discovery.keys:
        glyph = ("✓", "good") if key.is_set else ("✗", "dim")
        offer = f"set    o {verb} {escaped(key.title)}, zone open" if key.is_set else "not set"
        keys.append(
            (
                ("  ", "text"),
                glyph,
                (f" {fit(escaped(key.variable), 18)} ", "text"),
                ("used" if key.is_used else offer, "live" if key.is_set else "dim"),
            )
        )
    keys.append((("  keys are not sent anywhere until added", "dim"),))
    if width < _SIDE_BY_SIDE:
        return [servers, keys]
    half = width // 2
    pairs = [
        (*left, (" " * (half - sum(len(text) for text, _ in left)), "text"), *right)
        for left, right in zip_longest(servers, keys, fillvalue=())
    ]
    return [pairs]
