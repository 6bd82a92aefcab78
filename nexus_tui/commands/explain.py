"""`nexus explain`: explain the route of a request, from a running Nexus or the config."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nexus_tui.commands.base.client import (
    answered,
    authorization,
    content_of,
    json_text,
    seconds_to_answer,
    understood,
    visible_json,
)
from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.listener import who_answers
from nexus_tui.commands.base.request_file import read_request_file
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.target import add_target, local_url, run_with_config
from nexus_tui.commands.base.watch import add_watch, show_blocks
from nexus_tui.process.streams import say

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    import httpx

    from nexus_core.config.schema import Config
    from nexus_core.gateway import Gateway
    from nexus_core.routing.explain import (
        Candidate,
        Dropped,
        Explanation,
        ModelStages,
        Refused,
    )

SERVED, REFUSED = 0, 1  # the exit codes, and BAD

_IN_PROCESS = "http://localhost"  # no socket: a name that the guard lets in


# The command --------------------------------------------------------------------------------------


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        "explain",
        help="explain the route of a request without sending it",
        description="Explain the route of a request without sending it. Asks the running Nexus; "
        "without one, uses the configuration and one probe of each backend.",
        epilog="Exit code: 0 if the request would be served, 1 if refused, 2 if unknown.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="M", help="model or alias")
    what.add_argument(
        "--request",
        metavar="FILE",
        help="a request of any API: a body, or what `nexus request ID --captured --json` prints; "
        "- for stdin",
    )
    add(
        "--endpoint",
        metavar="PATH",
        help="of the request's API, such as /v1/messages, where the file does not tell",
    )
    add("--privacy", choices=("restricted", "open"), help="as X-Nexus-Privacy-Zone")
    add("--min-tier", choices=tuple("01234"), help="as X-Nexus-Min-Tier")
    add("--backend", type=_backend, metavar="NAME", help="as X-Nexus-Backend: only this backend")
    add("--flexible", action="store_true", help="as X-Nexus-Flexible")
    add("--json", action="store_true", help="full answer as JSON; with --watch one per line")
    add_watch(parser)
    add_target(parser, port)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Explain; gives the exit code."""
    return run_with_config(options, environ, lambda config: _Explaining(options, config).run())


def _backend(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        return text
    raise argparse.ArgumentTypeError("not a valid backend name")


# Asking -------------------------------------------------------------------------------------------


class _Explaining:
    """One question, asked once or, with --watch, again and again."""

    def __init__(self, options: argparse.Namespace, config: Config) -> None:
        self._options = options
        self._config = config
        self._file = (
            None
            if options.request is None
            else read_request_file(options.request, options.endpoint)
        )
        self._said: set[str] = set()
        self._is_served = False

    def run(self) -> int:
        """Show the answer; gives the exit code.

        Raises:
            NoAnswerError: there is none.
        """
        show_blocks(self._options, self._lines, is_plain=not self._options.json)
        return SERVED if self._is_served else REFUSED

    def _lines(self) -> list[str]:
        answer = self._ask()
        content = content_of(answer, self._config)
        with understood():
            explanation = _read(content)
        self._is_served = explanation.chosen is not None
        # Each replica of a fleet goes by what it knows itself.
        replica = answer.headers.get("x-nexus-replica")
        if self._options.json:
            content = content if replica is None else {**content, "replica": replica}
            return [json_text(content, indent=2 if self._options.watch is None else None)]
        from nexus_tui.text.escape import escaped

        lines = as_text(explanation)
        return lines if replica is None else [_line("replica", escaped(replica)), *lines]

    def _ask(self) -> httpx.Response:
        """What POST /nexus/explain says: a running Nexus's, else one's in this process.

        Raises:
            NoAnswerError: --url was given, and there is no Nexus.
        """
        options, server = self._options, self._config.server
        url = options.url or local_url(server.host, server.port)
        problem = f"no Nexus is running at {url}"
        # Where the configured port is any free one, a running Nexus can't be found by it.
        if options.url or server.port:
            found = who_answers(url, server.connect_timeout_seconds)
            if found.kind == "nexus":
                return self._ask_running(url)
            problem = found.problem
            if options.url:
                raise NoAnswerError(problem)
        self._say(f"{problem}; explaining from the configuration and one probe of each backend")
        return asyncio.run(self._ask_in_process())

    def _ask_running(self, url: str) -> httpx.Response:
        import httpx

        seconds = seconds_to_answer(self._config)
        with (
            answered(url, seconds),
            httpx.Client(base_url=url, timeout=seconds, trust_env=False) as client,
        ):
            return client.send(self._request(client))

    async def _ask_in_process(self) -> httpx.Response:
        import httpx

        from nexus_core.api.app import FrontDoor
        from nexus_core.discovery.watch import Discovery
        from nexus_core.gateway import Gateway, GatewayOptions

        config = self._config
        for unusable in config.unusable:
            self._say(unusable.why)
        gateway = Gateway(config, options=GatewayOptions(is_read_only=True))
        if config.path is None:
            await Discovery(gateway.live, gateway.engine, {}).search()
        transport = httpx.ASGITransport(FrontDoor(gateway))
        async with gateway.running():
            await gateway.health.first_round()
            self._tell_silent(gateway)
            async with httpx.AsyncClient(transport=transport, base_url=_IN_PROCESS) as client:
                return await client.send(self._request(client))

    def _request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        options, config, file = self._options, self._config, self._file
        if file is None:
            return _request(client, options, config)
        headers = _with_key({"Content-Type": "application/json"}, config)
        hints = {
            "X-Nexus-Privacy-Zone": options.privacy,
            "X-Nexus-Min-Tier": options.min_tier,
            "X-Nexus-Backend": options.backend,
            "X-Nexus-Flexible": "true" if options.flexible else None,
        }
        headers |= {name: value for name, value in hints.items() if value is not None}
        return client.build_request(
            "POST",
            "/nexus/explain",
            params={"endpoint": file.endpoint},
            content=file.body,
            headers=headers,
        )

    def _tell_silent(self, gateway: Gateway) -> None:
        """One failed look makes no backend unhealthy: a Nexus that just started would try it."""
        for backend in gateway.registry.snapshots():
            if backend.consecutive_failures and backend.health != "unhealthy":
                threshold = gateway.config.health_check.failure_threshold
                self._say(
                    f'backend "{backend.name}" did not answer; as after start-up, it counts as '
                    f"usable until {threshold} failed probes"
                )

    def _say(self, text: str) -> None:
        if text not in self._said:
            say(text)
        self._said.add(text)


def _request(
    client: httpx.Client | httpx.AsyncClient, options: argparse.Namespace, config: Config
) -> httpx.Request:
    from nexus_core.control.question import question_as_json
    from nexus_core.dialects.request import Demand
    from nexus_core.routing.explain import Question
    from nexus_core.routing.requirements import RoutingHints
    from nexus_core.types import Capability, PrivacyZone

    hints = RoutingHints(
        zone=PrivacyZone(options.privacy or PrivacyZone.OPEN),
        min_tier=None if options.min_tier is None else int(options.min_tier),
        backend=options.backend,
        flexible=options.flexible,
    )
    demand = Demand(capabilities=frozenset({Capability.CHAT}))
    question = Question(model=options.model, hints=hints, demand=demand)
    headers = _with_key({"Content-Type": "application/json"}, config)
    # As ASCII, so that an argument that is not valid Unicode is Nexus's to refuse.
    body = json.dumps(question_as_json(question))
    return client.build_request("POST", "/nexus/explain", content=body, headers=headers)


def _with_key(headers: dict[str, str], config: Config) -> dict[str, str]:
    key = authorization(config)
    return headers if key is None else {**headers, "Authorization": key}


# Showing ------------------------------------------------------------------------------------------


def _read(content: Any) -> Explanation:
    """Every text in it is made safe for the terminal first, so that the columns stay aligned."""
    from pydantic import TypeAdapter

    from nexus_core.routing.explain import Explanation

    return TypeAdapter(Explanation).validate_python(visible_json(content))


# The table ----------------------------------------------------------------------------------------


_NOTHING = "–"  # noqa: RUF001  an en dash, as on the screen
_TIMES = "×"  # noqa: RUF001
_WORTH_TELLING = 1000  # prompt tokens
_SILENT = frozenset(
    {"pin", "tried", "coordination", "budget"}
)  # not shown where they dropped nobody


def as_text(explanation: Explanation) -> list[str]:
    """Lines of plain text, columns aligned. What came from outside stands in them as it came."""
    lines = [
        _line("asked", " → ".join(explanation.models[0].path)),
        _line("policies", ", ".join(explanation.policies) or _NOTHING),
        _line("demands", _demands(explanation)),
        _line("strategy", explanation.strategy),
        "",
    ]
    for number, model in enumerate(explanation.models):
        if number:
            lines += ["", _line("fallback", " → ".join(model.path))]
        lines += _stage_table(model, explanation.min_tier if not number else None)
    lines += _candidate_table(explanation)
    lines += ["", *_verdict(explanation)]
    if explanation.note:
        lines.append(_line("note", explanation.note))
    return lines + _column("what if…", list(explanation.would_change))


def _line(label: str, text: str) -> str:
    return f" {label:<11} {text}".rstrip()


def _column(label: str, texts: list[str]) -> list[str]:
    return [_line("" if number else label, text) for number, text in enumerate(texts)]


def _demands(explanation: Explanation) -> str:
    demands = ["zone restricted"] if explanation.zone == "restricted" else []
    demands += [] if explanation.min_tier is None else [f"tier ≥ {explanation.min_tier}"]
    demands += [] if explanation.backend is None else [f"pinned to {explanation.backend}"]
    demands += ["flexible"] if explanation.is_flexible else []
    demands += [need.value for need in explanation.needs if need != "chat"]
    if explanation.prompt_tokens > _WORTH_TELLING:
        demands.append(f"about {explanation.prompt_tokens:,} prompt tokens")
    return ", ".join(demands) or _NOTHING


def _stage_table(model: ModelStages, min_tier: int | None) -> list[str]:
    lines = [_line("stage", "in → out   dropped")]
    for count in model.stages:
        if count.stage in _SILENT and not count.dropped:
            continue
        is_tier = count.stage == "tier" and min_tier is not None
        label = f"tier ≥ {min_tier}" if is_tier else count.stage.word
        counts = f"{count.before} → {count.after}"
        lines.append(_line(label, f"{counts:<11}{_by_reason(count.dropped)}"))
    return lines


def _by_reason(dropped: tuple[Dropped, ...]) -> str:
    names: dict[str, list[str]] = {}
    for drop in dropped:
        names.setdefault(drop.why, []).append(drop.backend)
    return "; ".join(f"{', '.join(backends)}: {why}" for why, backends in names.items())


def _candidate_table(explanation: Explanation) -> list[str]:
    rows = [_cells(candidate, explanation) for candidate in explanation.candidates]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    is_scored = any(candidate.terms for candidate in explanation.candidates)
    return _column("score" if is_scored else "order", texts)


def _cells(candidate: Candidate, explanation: Explanation) -> list[str]:
    fallback = "" if candidate.model == explanation.resolved[-1] else f" ({candidate.model})"
    terms = [
        f"{term.name} {term.weight:g}{_TIMES}{term.value:.2f}={term.weight * term.value:.0f}"
        for term in candidate.terms
    ]
    score = [] if candidate.score is None else [f"= {candidate.score:.0f}"]
    is_first = candidate.position == 1 and explanation.chosen is not None
    chosen = [f"← chosen, {explanation.chosen.reason}" if is_first and explanation.chosen else ""]
    return [f"{candidate.position} {candidate.backend}{fallback}", *terms, *score, *chosen]


def _verdict(explanation: Explanation) -> list[str]:
    lines: list[str] = []
    if chosen := explanation.chosen:
        where = f"{chosen.backend} ({chosen.backend_type}, zone {chosen.zone})"
        lines.append(_line("goes to", f"{where} as {chosen.model}: {chosen.reason}"))
        if chosen.first_byte_timeout_seconds is not None:
            seconds = f"{chosen.first_byte_timeout_seconds:g}"
            lines.append(_line("limit", f"first byte of a stream within {seconds} s"))
        if chosen.backend_type == "cloud":
            usd = chosen.estimated_usd
            lines.append(_line("cost", "unpriced" if usd is None else f"about ${usd:.6f}"))
    if explanation.wait_seconds is not None:
        lines.append(_line("waits", f"up to {explanation.wait_seconds:g} s for a backend, else"))
    if refused := explanation.refused:
        lines.append(_line("refused", f"{refused.status} {refused.code}: {refused.message}"))
        lines += _column("backends", _statuses(refused))
    return lines


def _statuses(refused: Refused) -> list[str]:
    if refused.context is None:
        return []
    texts: list[str] = []
    for backend in refused.context.available_backends:
        tier = "no tier" if backend.tier is None else f"tier {backend.tier}"
        texts.append(f"{backend.name}: {backend.status}, zone {backend.zone}, {tier}")
    eta = refused.context.eta_seconds
    return texts if eta is None else [*texts, f"capacity expected in {eta} s"]
