"""Tariffs: prices per token as integers of one unit, so that a cost is a few multiplications."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from nexus_core.money.price_list import Rates
from nexus_core.observe.events import TokenUsage

_NANO_DIGITS = 9


class Tariff:
    """What the tokens of each kind cost at one model, for prompts of one class of length.

    The unit is the largest decimal fraction of a dollar, a nano-dollar at the most, of which every
    rate is a whole number: so nothing is rounded but the sum, once, half to even.
    """

    __slots__ = (
        *("_cache_write", "_cache_write_1h", "_cached", "_input", "_input_audio", "_output"),
        *("_output_audio", "_reasoning", "_request", "_units"),
    )

    def __init__(self, rates: Rates) -> None:
        digits = max(_NANO_DIGITS, *(_decimals(rate) for rate in _all(rates)))

        def scaled(rate: Decimal | None) -> int | None:
            return None if rate is None else int(Fraction(rate) * 10**digits)

        self._units: int = 10 ** (digits - _NANO_DIGITS)  # in a nano-dollar
        self._input = scaled(rates.input)
        self._output = scaled(rates.output)
        self._cached = scaled(rates.cached)
        self._cache_write = scaled(rates.cache_write)
        self._cache_write_1h = scaled(rates.cache_write_1h)
        self._reasoning = scaled(rates.reasoning)
        self._input_audio = scaled(rates.input_audio)
        self._output_audio = scaled(rates.output_audio)
        self._request = int(Fraction(rates.request) * 10**digits)

    def nano_usd(self, usage: TokenUsage) -> int | None:
        """The cost of a usage; None where there are tokens of a kind that has no rate.

        Raises:
            ValueError: a token count is negative.
        """
        cached, written = usage.cached_tokens, usage.cache_write_tokens
        written_1h, heard = usage.cache_write_1h_tokens, usage.prompt_audio_tokens
        reasoning, spoken = usage.reasoning_tokens, usage.completion_audio_tokens
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        if cached or written or written_1h or heard or reasoning or spoken:
            if min(cached, written, written_1h, heard, reasoning, spoken, prompt, completion) < 0:
                raise ValueError(f"a token count is negative: {usage}")
            total = self._request
            for tokens, rate in (
                (cached, self._cached),
                (written - written_1h, self._cache_write),
                (written_1h, self._cache_write_1h),
                (heard, self._input_audio),
                (reasoning, self._reasoning),
                (spoken, self._output_audio),
            ):
                if tokens:
                    if rate is None:
                        return None
                    total += tokens * rate
            prompt = max(0, prompt - cached - written - heard)
            completion = max(0, completion - reasoning - spoken)
            return self._with_plain(total, prompt, completion)
        if prompt < 0 or completion < 0:
            raise ValueError(f"a token count is negative: {usage}")
        return self._with_plain(self._request, prompt, completion)

    def plain_nano_usd(self, prompt: int, completion: int) -> int | None:
        """The same for tokens that are neither cached nor anything else in particular."""
        return self._with_plain(self._request, prompt, completion)

    def _with_plain(self, total: int, prompt: int, completion: int) -> int | None:
        """A sum in units, and what plain tokens add to it, in nano-dollars."""
        if prompt:
            if self._input is None:
                return None
            total += prompt * self._input
        if completion:
            if self._output is None:
                return None
            total += completion * self._output
        units = self._units
        if units == 1:
            return total
        nano, rest = divmod(total, units)
        if rest:
            twice = rest + rest
            if twice > units or (twice == units and nano & 1):
                nano += 1
        return nano


def _all(rates: Rates) -> tuple[Decimal, ...]:
    kinds = (
        *(rates.input, rates.output, rates.cached, rates.cache_write, rates.cache_write_1h),
        *(rates.reasoning, rates.input_audio, rates.output_audio, rates.request),
    )
    return tuple(rate for rate in kinds if rate is not None)


def _decimals(rate: Decimal) -> int:
    """The digits behind the point."""
    exponent = rate.as_tuple().exponent
    if not isinstance(exponent, int):
        raise TypeError(f"not a number: {rate}")
    return max(0, -exponent)
