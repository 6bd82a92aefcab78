"""Leases on counts: slots of backends, and requests under way of client keys.

Give back here first and then tell the store; take from the store first and then use: so the store's
number is never below what is used, though a call may be lost, repeated or come late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nexus_core.state.base import Link, StoreUnavailableError
from nexus_core.state.leases.lease import Term, tables
from nexus_core.types import JsonObject

_REMEMBERED_SECONDS = 10.0  # that fewer processes are live, before a share is larger
_HEADROOM = 4  # a taker asks for one more for each so many in use
_Later = Callable[[float, Callable[[], None]], object]


class Count:
    """A limit that several processes share, and this one's lease on it."""

    __slots__ = (
        *("asking", "changed", "contenders", "held", "held_when_cut", "is_refused", "lacks_word"),
        *("most", "name", "others_wait", "peak", "pending", "used", "waiting"),
    )

    def __init__(
        self, name: str, most: int, used: Callable[[], int], changed: Callable[[], None]
    ) -> None:
        """
        Args:
            name: its key in the store.
            most: the limit of all processes together.
            used: how many this process uses now.
            changed: called when it may use another number than before.
        """
        self.name = name
        self.most = most
        self.used = used
        self.changed = changed
        self.held = 0  # how many this process may use
        self.held_when_cut = 0
        self.peak = 0  # the most that it used since the last report
        self.waiting = 0  # requests here that wait for one
        self.pending: list[int] = []  # what takes under way may bring it to
        self.asking = 0  # of those in use, how many ask whether they may be
        self.others_wait = False  # or more is held by all than may be, as after it was lowered
        self.contenders = 1  # processes that hold one or wait for one
        self.is_refused = False  # a take was, since the last beat
        self.lacks_word = False  # and not because others have them

    def hear(self, told: JsonObject) -> None:
        """Go by what the store says of it."""
        self.held = int(told.get("held", 0))
        self.others_wait = int(told.get("waiting", 0)) > 0
        self.contenders = max(1, int(told.get("contenders", 1)))

    def stays_within(self, most: int) -> bool:
        """Whether no more than so many are in use now, which is remembered until the report."""
        used = self.used()
        if used > self.peak:
            self.peak = used
        return used <= most

    @property
    def fair(self) -> int:
        """How many of them may stay here while others wait."""
        return self.most // self.contenders


class Counts:
    """The part of every beat that tells of counts."""

    name = "slots"

    def __init__(self, link: Link, term: Term, later: _Later) -> None:
        """`later` calls something after so many seconds."""
        self._link = link
        self._later = later
        self._seq = 0
        self._reported: set[str] = set()  # of which the store knows something
        self._members = (
            1  # live processes; of late, since after a loss of data they come one by one
        )
        self._members_at = 0.0
        self._is_unanswered = False  # the newest take
        self.term = term
        self.items: dict[str, Count] = {}

    def share(self, count: Count) -> Count:
        """Hold a limit from now on; one of the same name keeps its lease."""
        before = self.items.get(count.name)
        if before is not None:
            count.held, count.pending = before.held, before.pending
            count.waiting, count.peak = before.waiting, before.peak
            count.others_wait, count.contenders = before.others_wait, before.contenders
        self.items[count.name] = count
        count.changed()
        return count

    def drop(self, name: str) -> None:
        """The limit is no more; what the store knows of it is told to end."""
        self.items.pop(name, None)

    # --- what requests ask ---------------------------------------------------------------

    def usable(self, count: Count) -> int:
        """How many may be used without asking."""
        term = self.term
        if not term.was_heard:
            return 1 if term.is_alone else 0
        if term.is_fresh:
            return count.held
        if not term.is_alone:
            return 0  # it slept: it hears from the store first
        share = self.share_of(count)
        if term.age < term.dead_after:
            return min(share, count.held_when_cut)  # until then the others count on no more
        return share

    def share_of(self, count: Count) -> int:
        """How many are this process' part of the limit."""
        return max(1, count.most // max(1, self._members))

    @property
    def is_unheard(self) -> bool:
        """The store does not answer: what is refused here may be free."""
        return self._is_unanswered or not self.term.is_fresh

    def may_try(self, count: Count) -> int:
        """How many may be used, if need be after asking."""
        if self.term.is_alone:
            return self.usable(count)
        return count.held if count.is_refused or count.waiting else count.most

    def lacks_word(self, count: Count) -> bool:
        """Whether more may be used here soon, for want of word from the store, and of nothing else.

        Until others count this process as dead it uses no more than it held; then it has a share.
        """
        term = self.term
        return count.lacks_word or (term.is_alone and term.was_heard and term.age < term.dead_after)

    def covers(self, count: Count) -> bool:
        """Whether what is in use now may be."""
        return count.stays_within(self.usable(count))

    async def obtain(self, count: Count) -> bool:
        """Have the store grant what is in use now, the asker's own included; False: it does not."""
        need = count.used()
        if count.is_refused or self.term.is_alone:
            return self.covers(count)
        like = min(count.most, need + 1 + need // _HEADROOM)
        self._seq += 1
        asked = {"need": need, "like": like, "most": count.most}
        count.pending.append(like)
        count.asking += 1
        try:
            answer = await self._link.take(
                self.name, {"seq": self._seq, "items": {count.name: asked}}
            )
        except StoreUnavailableError:
            self._is_unanswered = True
            # At a start without the store it is one.
            most = self.usable(count) if self.term.is_alone else 1 - self.term.was_heard
            has_share = need <= most
            count.lacks_word = not has_share
            self._refuse(count, is_refused=not has_share)
            return has_share
        finally:
            count.pending.remove(like)
            count.asking -= 1
        self._is_unanswered = False
        told = tables(answer.get("items")).get(count.name, {})
        self._reported.add(count.name)
        count.hear({**told, "held": max(count.held, int(told.get("held", 0)))})
        count.changed()
        is_granted = count.held >= need
        count.lacks_word = not is_granted and bool(answer.get("quarantine"))
        self._refuse(count, is_refused=not is_granted)
        return is_granted

    def _refuse(self, count: Count, *, is_refused: bool) -> None:
        if is_refused != count.is_refused:
            count.is_refused = is_refused
            count.changed()

    def released(self, count: Count) -> None:
        """One is not in use any more: it goes to others, where they wait and have less.

        Or to nobody, where the limit was lowered and more is held than that.
        """
        if not count.others_wait:
            return
        kept = max(count.used(), count.fair)
        if count.held > kept:
            count.held = kept
            count.changed()
            self._link.hurry()

    def wait(self, count: Count, more: int) -> None:
        """So many more requests wait for one here."""
        count.waiting = max(0, count.waiting + more)  # it may have been another limit before
        count.changed()
        if more > 0:
            self._link.hurry()

    # --- beats ---------------------------------------------------------------------------

    def report(self) -> JsonObject:
        """What is held, and how many wait; what was not used since the last time is given back."""
        self._seq += 1
        items: JsonObject = {}
        for count in self.items.values():
            used = count.used()
            kept = used if count.others_wait and not count.waiting else max(used, count.peak)
            count.peak = used
            count.held = min(count.held, kept)
            if count.held or count.waiting or count.pending or count.name in self._reported:
                items[count.name] = {
                    "held": max(count.held, used - count.asking),
                    "keep": max([count.held, *count.pending]),
                    "waiting": count.waiting,
                    "most": count.most,
                }
        for name in self._reported - self.items.keys():
            items[name] = {"held": 0, "keep": 0, "waiting": 0, "most": 0}
        return {"seq": self._seq, "items": items}

    def accept(self, answer: JsonObject, sent: float) -> None:
        """Go by what is granted now."""
        self.term.renew(sent)
        self._is_unanswered = False
        if self._link.live >= self._members or sent - self._members_at > _REMEMBERED_SECONDS:
            self._members, self._members_at = self._link.live, sent
        told = tables(answer.get("items"))
        self._reported = {
            name for name, one in told.items() if one.get("held") or name in self.items
        }
        for count in self.items.values():
            one = told.get(count.name)
            count.is_refused = count.lacks_word = False
            if one is None:
                count.others_wait = False
            else:
                count.hear(one)
                if not count.held and not count.waiting:
                    self._reported.discard(count.name)
            count.changed()

    def cut_off(self, since: float) -> None:
        """Go on with a share, which is another one when the others count this one as dead."""
        term = self.term
        term.end(since)
        for count in self.items.values():
            count.held_when_cut = count.held
            count.lacks_word = False
            count.changed()
        for at in (term.seconds, term.dead_after):
            self._later(max(0.0, at - term.age) + 0.001, self._look_again)

    def _look_again(self) -> None:
        for count in self.items.values():
            count.changed()

    def __iter__(self) -> Iterator[Count]:
        return iter(self.items.values())
