"""`nexus request ID`: everything that is known of one request, as plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nexus_tui.commands.base.client import understood
from nexus_tui.commands.base.errors import NoAnswerError, NotFoundError
from nexus_tui.commands.base.replicas import Replicas, add_only, named
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.text_view import Asked, TextView, add_text_view, labelled

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.observe.events import Considered
    from nexus_core.observe.record import Headers, RequestRecord

_HOW_TO_CAPTURE = "B in the dashboard starts body capture, as POST /nexus/capture does"


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    reader = _Reader()
    view = TextView(
        "request",
        "all about one request: route, attempts, timing, cost",
        reader.read,
        reader.lines,
        "a request's detail",
    )
    parser = add_text_view(commands, port, view)
    parser.epilog = (
        "Of a fleet, the replica at the URL is asked first, then the others. "
        "Exit code: 0 on success, 1 if there is no such request or its bodies were not captured, "
        "2 without a running Nexus."
    )
    add_only(parser)
    parser.add_argument(
        "id",
        metavar="ID",
        help="id, or the beginning or end of one, as lists show it",
    )
    bodies = parser.add_mutually_exclusive_group()
    bodies.add_argument(
        "--captured", action="store_true", help="also the captured bodies of request and answer"
    )
    bodies.add_argument(
        "--answer", action="store_true", help="only the text of the captured answer"
    )


class _Reader:
    """Asks for one request, and keeps its bodies as they came until they are shown."""

    def __init__(self) -> None:
        self._bodies: Any = None

    def read(self, asked: Asked) -> Any:
        """The answer, with `bodies` where they are wanted.

        Raises:
            NotFoundError: there is no such request, or its bodies were not captured.
        """
        options = asked.options
        asked, content = _found(asked, f"/nexus/requests/{quote(options.id, safe='')}")
        if not (options.captured or options.answer):
            return content
        with understood():
            path = f"/nexus/requests/{quote(str(content['id']), safe='')}/bodies"
        try:
            self._bodies = asked.get(path)
        except NotFoundError as error:
            raise NotFoundError(f"{error}; {_HOW_TO_CAPTURE}") from error
        return {**content, "bodies": self._bodies}

    def lines(self, content: Any, asked: Asked) -> Iterable[str]:
        """The request as text, one fact a line."""
        from nexus_tui.commands.base.told_request import read_told, record_of
        from nexus_tui.text.answer import answer_text

        if asked.options.answer:
            return _body(answer_text(_bytes(self._bodies["answer"])))
        told = read_told({**content, "bodies": None})
        found = [*_about(record_of(told), told.has_body)]
        if asked.options.captured:
            request, answer = (_bytes(self._bodies[one]) for one in ("request", "answer"))
            is_whole = "" if self._bodies["is_whole"] else ", incomplete or cut"
            found += ["", " request body", *_body(request.decode(errors="replace"))]
            found += ["", f" answer{is_whole}", *_body(answer_text(answer))]
        return found


def _found(asked: Asked, path: str) -> tuple[Asked, Any]:
    """The replica that knows the request, and what it tells.

    Raises:
        NotFoundError: none does.
    """
    try:
        return asked, asked.get(path)
    except NotFoundError as error:
        missing = error
    if not asked.options.only:
        fleet = Replicas(asked, "")
        try:
            replicas = fleet.find()
        except NoAnswerError:  # it is in no fleet
            raise missing from None
        others = {name: one for name, one in replicas.items() if one is not asked}
        for name, (one, content) in fleet.ask(others, lambda _, one: (one, _known(one, path))):
            if content is not None:
                return one, named([content], name)[0]
    raise missing


def _known(asked: Asked, path: str) -> Any:
    try:
        return asked.get(path)
    except NotFoundError:
        return None


def _bytes(told: Mapping[str, str]) -> bytes:
    import base64

    content = told["content"]
    return base64.b64decode(content) if told["encoding"] == "base64" else content.encode()


def _body(text: str) -> list[str]:
    from nexus_tui.text.escape import escaped

    return [escaped(line.replace("\t", "    ")) for line in text.splitlines()]


# The parts ----------------------------------------------------------------------------------------


def _about(row: RequestRecord, has_body: bool) -> Iterator[str]:
    for label, text in _facts(row):
        if text:
            yield labelled(label, text)
    if not row.is_live:
        yield labelled("bodies", "captured; --captured shows them" if has_body else "not captured")
    if row.attempts:
        yield from ("", " failed attempts", *_attempts(row))
    if row.considered:
        yield from ("", " backends considered, in order", *_considered(row))
    yield from _headers("request headers (credentials masked)", row.request_headers)
    yield from _headers("response headers", row.response_headers)


def _facts(row: RequestRecord) -> Iterator[tuple[str, str]]:
    from nexus_tui.text.costs import cost_words, tokens_words
    from nexus_tui.text.facts import origin_words
    from nexus_tui.text.numbers import NOTHING, clock, date
    from nexus_tui.text.outcome import outcome_word

    status = "no status yet" if row.status is None else str(row.status)
    backend = row.backend or "none answered"
    kind = f" ({row.backend_type})" if row.backend_type else ""
    zone = f", zone {row.zone}" if row.zone else ""
    code = row.error_code or ""
    yield "request", row.request_id
    yield "replica", row.replica or ""
    yield "time", f"{date(row.at)} {clock(row.at)}"
    yield "status", f"{status} {outcome_word(row)}".rstrip()
    yield "error", ": ".join(dict.fromkeys(text for text in (code, row.error) if text))
    yield "model", " → ".join(row.resolved) or row.model or NOTHING
    if (served := row.served_model) and served != (row.resolved or (row.asked_model,))[-1]:
        yield "served as", served
    yield "api", _api(row)
    yield "key", row.client or ""
    yield "agent", origin_words(row.origin)
    yield "backend", f"{backend}{kind}{zone}"
    yield "reason", row.reason or ""
    yield "replay of", row.replay_of or ""
    yield "tokens", tokens_words(row)
    yield "cost", cost_words(row)
    yield "timing", _timing(row)


def _api(row: RequestRecord) -> str:
    if row.refused is not None:
        return f"{row.api} at {row.refused.path}, refused before routing"
    shape = "stream" if row.is_streaming else "single answer"
    return f"{row.api} at {row.endpoint}, {row.body_bytes:,} bytes in, {shape} out"


def _timing(row: RequestRecord) -> str:
    from nexus_tui.text.numbers import duration

    failed = sum(attempt.elapsed_ms for attempt in row.attempts) if row.attempts else None
    first, total = row.first_byte_ms, row.total_ms
    stream = None if first is None or total is None else max(0.0, total - first)
    steps = (
        ("nexus", row.overhead_ms),
        ("failed attempts", failed),
        ("first byte", first),
        ("stream" if row.is_streaming else "rest", stream),
        ("total", total),
    )
    return ", ".join(f"{label} {duration(ms)}" for label, ms in steps if ms is not None)


def _attempts(row: RequestRecord) -> Iterator[str]:
    from nexus_tui.text.numbers import duration

    for number, one in enumerate(row.attempts, 1):
        status = "no answer" if one.status is None else str(one.status)
        yield f"  {number}  {one.backend}: {status} after {duration(one.elapsed_ms)}: {one.error}"


def _considered(row: RequestRecord) -> Sequence[str]:
    from nexus_tui.commands.base.text_view import table
    from nexus_tui.text.numbers import NOTHING

    rows = [
        [
            NOTHING if one.position is None else str(one.position),
            one.backend,
            one.health,
            one.zone,
            NOTHING if one.tier is None else str(one.tier),
            f"{sum(term.weight * term.value for term in one.score):.0f}" if one.score else NOTHING,
            _verdict(one, row),
        ]
        for one in row.considered
    ]
    return [
        f" {line}" for line in table(("#", "name", "health", "zone", "tier", "score", ""), rows)
    ]


def _verdict(one: Considered, row: RequestRecord) -> str:
    if one.position is None:
        return f"out: {one.why or one.dropped_by or 'unknown reason'}"
    terms = ", ".join(
        f"{term.name} {term.weight:g}×{term.value:.2f}"  # noqa: RUF001
        for term in one.score
    )
    return "; ".join(text for text in (_use(one.backend, row), terms) if text)


def _use(backend: str, row: RequestRecord) -> str:
    if row.backend == backend:
        return "waiting" if row.status is None else f"answered {row.status}"
    return "failed" if any(one.backend == backend for one in row.attempts) else "not needed"


def _headers(title: str, headers: Headers) -> Iterator[str]:
    if headers:
        yield from ("", f" {title}", *(f"  {name}: {value}" for name, value in headers))
