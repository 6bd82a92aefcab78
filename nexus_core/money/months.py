"""Calendar months in UTC: the period of budget limits and reports."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple


class Month(NamedTuple):
    """A calendar month; ordered by time."""

    year: int
    number: int  # 1 to 12

    @classmethod
    def of(cls, at: float) -> Month:
        """The month of a moment, in seconds since the epoch."""
        moment = datetime.fromtimestamp(at, UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read "2026-11".

        Raises:
            ValueError: it is not of that form.
        """
        if not re.fullmatch(r"(19[7-9]|2[0-9]{2})[0-9]-(0[1-9]|1[0-2])", text):
            raise ValueError("not a month such as 2026-11")
        year, _, number = text.partition("-")
        return cls(int(year), int(number))

    @property
    def start(self) -> float:
        """Its first moment, in seconds since the epoch."""
        return datetime(self.year, self.number, 1, tzinfo=UTC).timestamp()

    @property
    def end(self) -> float:
        """The first moment of the next one."""
        return Month(self.year + self.number // 12, self.number % 12 + 1).start

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"
