"""Calendar months and days in UTC: the periods of budget limits and reports."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, TypeAlias

PATTERN = "^(19[7-9]|2[0-9]{2})[0-9]-(0[1-9]|1[0-2])$"  # of a month

_DAY_SECONDS = 86_400


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
        if not re.fullmatch(PATTERN, text):
            raise ValueError("not a month such as 2026-11")
        year, _, number = text.partition("-")
        return cls(int(year), int(number))

    @property
    def before(self) -> Month:
        """The month before it."""
        return Month(self.year - (self.number == 1), (self.number - 2) % 12 + 1)

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


class Day(NamedTuple):
    """A calendar day; ordered by time."""

    date: date

    @classmethod
    def of(cls, at: float) -> Day:
        """The day of a moment, in seconds since the epoch."""
        return cls(datetime.fromtimestamp(at, UTC).date())

    @classmethod
    def parse(cls, text: str) -> Day:
        """Read "2026-11-30".

        Raises:
            ValueError: it is not of that form.
        """
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
                return cls(date.fromisoformat(text))
        except ValueError:
            pass  # such as 2026-02-30
        raise ValueError("not a day such as 2026-11-30")

    @property
    def before(self) -> Day:
        """The day before it."""
        return Day(self.date - timedelta(days=1))

    @property
    def start(self) -> float:
        """Its first moment, in seconds since the epoch."""
        return datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC).timestamp()

    @property
    def end(self) -> float:
        """The first moment of the next one."""
        return self.start + _DAY_SECONDS

    def __str__(self) -> str:
        return self.date.isoformat()


Period: TypeAlias = Month | Day
