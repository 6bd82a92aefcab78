"""Average completion length per model: the expected length of an answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

FIRST_GUESS = 256  # completion tokens, of a model that has not answered yet
_WEIGHT = 0.1  # of the newest answer
_MAX_MODELS = 1024


class CompletionAverages:
    """Moving averages of completion tokens per model; models longest unseen are dropped."""

    def __init__(self, seed: Mapping[str, float] | None = None) -> None:
        self._averages: OrderedDict[str, float] = OrderedDict(seed or {})

    def observe(self, model: str, completion_tokens: int) -> None:
        """An answer of this model was so long."""
        average = self._averages.get(model, float(completion_tokens))
        self._averages[model] = average + _WEIGHT * (completion_tokens - average)
        self._averages.move_to_end(model)
        while len(self._averages) > _MAX_MODELS:
            self._averages.popitem(last=False)

    def expected(self, model: str, max_tokens: int | None = None) -> int:
        """How many tokens the next answer is likely to have, never above `max_tokens`."""
        expected = round(self._averages.get(model, FIRST_GUESS))
        return expected if max_tokens is None else min(expected, max(0, max_tokens))
