"""Open circuits of each process, told to the others as hints: they see for themselves.

A replica whose own network is bad would else have everybody leave a sound backend alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from nexus_core.types import JsonObject, is_list

Place = tuple[str, str | None]  # a backend, and the model, by its own name; None: all of it


class Hints:
    """The open circuits of this process, told to others, and those of others, heard here."""

    name = "hints"

    def __init__(
        self,
        circuits: Callable[[], Iterable[Place]],
        heed: Callable[[Mapping[Place, str]], None],
    ) -> None:
        """
        Args:
            circuits: those that are open here. Why is not told: words of a backend may repeat a
                prompt.
            heed: is given all that are open elsewhere, each with one replica that says so,
                whenever these are others than before.
        """
        self._circuits = circuits
        self._heed = heed
        self._heard: dict[Place, str] = {}

    def report(self) -> JsonObject:
        return {"circuits": [json.dumps(place) for place in self._circuits()]}

    def accept(self, answer: JsonObject, sent: float) -> None:
        told = answer.get("circuits")
        self._hear({_place(text): replica for text, replica in (told if is_list(told) else ())})

    def cut_off(self, since: float) -> None:
        self._hear({})

    def _hear(self, heard: dict[Place, str]) -> None:
        if heard != self._heard:
            self._heard = heard
            self._heed(heard)


def _place(text: str) -> Place:
    backend, model = json.loads(text)
    return backend, model
