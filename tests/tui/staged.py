"""What the fixed fleet alone does not have: money, captured bodies, finds, a lost link."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal

from nexus_core.control.commands import Outcome
from nexus_core.errors import InvalidRequestError
from nexus_core.money.report import CostReport, CostRow
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_tui.sources.base import FoundKey, FoundServer
from nexus_tui.sources.local import LocalSource
from tests.tui.fake_gateway import NOW, FakeGateway
from tests.tui.fleet import make_source, play

COSTS = CostReport(
    at=NOW,
    today=Decimal("1.8342"),
    today_estimated=Decimal("0.0219"),
    today_unpriced=12,
    saved=Decimal("4.10"),
    month=Decimal("31.20"),
    reserved=Decimal(0),
    monthly_limit=Decimal(100),
    month_forecast=Decimal(96),
    pace_per_hour=Decimal("0.29"),
    spent_at=None,
    burn=tuple(Decimal(hour % 7 + hour) / 100 for hour in range(14)),
    per_minute=tuple(
        Decimal(1 + (3 if minute in (20, 21, 40) else minute % 2)) / 100 for minute in range(60)
    ),
    by_model=(
        CostRow(
            name="gpt-4o",
            where="openai",
            requests=1204,
            prompt_tokens=812_000,
            completion_tokens=190_000,
            estimated=Decimal("0.0219"),
            actual=Decimal("1.612"),
            price_from="config",
        ),
        CostRow(
            name="gpt-next",
            where="openai",
            requests=12,
            prompt_tokens=9_000,
            completion_tokens=2_000,
            estimated=None,
            actual=None,
            unpriced=12,
        ),
        CostRow(
            name="llama3:70b",
            where="local-llama",
            requests=14_211,
            prompt_tokens=3_400_000,
            completion_tokens=900_000,
            estimated=None,
            actual=None,
            saved=Decimal("4.10"),
        ),
    ),
    by_backend=(
        CostRow(
            name="openai",
            requests=1216,
            prompt_tokens=821_000,
            completion_tokens=192_000,
            estimated=Decimal("0.0219"),
            actual=Decimal("1.612"),
            unpriced=12,
            price_from="config",
        ),
    ),
    by_key=(
        CostRow(
            name="ci",
            requests=900,
            prompt_tokens=600_000,
            completion_tokens=120_000,
            estimated=None,
            actual=Decimal("1.2"),
            price_from="config",
        ),
    ),
)


class FixedDiscovery:
    """What was found on a fixed machine, with a key of OpenAI; a used one is remembered."""

    def __init__(self, *set_keys: str) -> None:
        self.looked = 0
        self.servers = (
            FoundServer(
                title="Ollama", address="127.0.0.1:11434", finding="refused", is_used=False
            ),
            FoundServer(
                title="LM Studio", address="127.0.0.1:1234", finding="lists no model", is_used=False
            ),
            FoundServer(
                title="vLLM", address="127.0.0.1:8000", finding="this is Nexus", is_used=False
            ),
            FoundServer(
                title="llama.cpp", address="127.0.0.1:8080", finding="refused", is_used=False
            ),
            FoundServer(title="exo", address="127.0.0.1:52415", finding="refused", is_used=False),
        )
        self.keys: tuple[FoundKey, ...] = (
            FoundKey(title="OpenAI", variable="OPENAI_API_KEY", is_set=True),
            *(
                FoundKey(title=title, variable=variable, is_set=variable in set_keys)
                for title, variable in (
                    ("Anthropic", "ANTHROPIC_API_KEY"),
                    ("Google", "GOOGLE_API_KEY"),
                )
            ),
        )

    async def search(self) -> None:
        self.looked += 1

    async def use_key(self, variable: str) -> Outcome:
        if all(key.variable != variable or not key.is_set for key in self.keys):
            raise InvalidRequestError(f"{variable} is not set")
        self.keys = tuple(
            replace(key, is_used=key.variable == variable or key.is_used) for key in self.keys
        )
        return Outcome(message=f"{variable} is used until restart")


_BODY = b'{"model":"gpt-4","messages":[{"role":"user","content":"Why is the sky blue?"}]}'


def captured(request_id: str, answer: bytes, body: bytes = _BODY) -> CapturedExchange:
    """A request for gpt-4 and its whole answer, as the core keeps them."""
    return CapturedExchange(
        request_id=request_id,
        endpoint="/v1/chat/completions",
        model="gpt-4",
        body=body,
        answer=answer,
        status=200,
        is_whole=True,
        is_restricted=False,
        replay_of=None,
    )


def streamed(text: str) -> bytes:
    """A text as a stream of chunks, a word each."""
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": word}}]}
        for word in re.findall(r"\S+\s*", text)
    ]
    events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return b"".join(events) + b"data: [DONE]\n\n"


ANSWERS = (
    "The sky is blue because air scatters short waves of light more than long ones. "
    "At dusk the light takes a longer way and the red is left over.",
    "The sky looks blue since air molecules scatter short waves of light far more than long "
    "ones. At dusk the light takes a longer way through the air and red is left over.",
)


@dataclass
class Stage:
    """A source of which everything can be set, and the gateway behind it."""

    source: LocalSource
    gateway: FakeGateway
    kept: dict[str, CapturedExchange] = field(default_factory=dict)


class StagedSource(LocalSource):
    """A LocalSource with captured exchanges."""

    kept: dict[str, CapturedExchange]

    async def captured(self, request_id: str) -> CapturedExchange | None:
        return self.kept.get(request_id)

    def now(self) -> float:
        return NOW


def make_stage(
    *, is_empty: bool = False, has_costs: bool = False, finds: bool = False, plays: bool = True
) -> Stage:
    """The fixed fleet with what is asked for beside it."""
    plain, gateway = make_source(is_empty=is_empty, plays=False)
    plain.close()
    source = StagedSource(
        gateway,
        "127.0.0.1:8000",
        discovery=FixedDiscovery() if finds else None,
    )
    source.costs = gateway.costs = COSTS if has_costs else None
    source.kept = {}
    if plays and not is_empty:
        play(gateway)
        gateway.registry.set_enabled("lmstudio", False)
    return Stage(source, gateway, source.kept)


def keep_two(stage: Stage) -> None:
    """Bodies of two requests of the fixed minute, as if capture had been on."""
    for request_id, answer in zip(("a81f7c", "a81f78"), ANSWERS, strict=True):
        stage.kept[request_id] = captured(request_id, streamed(answer))
    stage.gateway.captures.is_on = True


def make_logs() -> LogRing:
    """A fixed log."""
    ring = LogRing()
    for number, (level, logger, text) in enumerate(
        (
            ("info", "nexus_tui.cli", "listening on http://127.0.0.1:8000"),
            ("info", "nexus_core.fleet.health", "health backend=vllm-a now=healthy detail=-"),
            ("warning", "nexus_core.fleet.health", "health backend=exo-lab now=unhealthy"),
            ("info", "nexus_core.proxy", "routed request=a81f7c backend=openai"),
            ("error", "nexus_core.proxy", "[/] \\x1b[2J backend=other-cloud answered 529"),
            ("debug", "nexus_core.proxy", "released slot backend=openai"),
        )
    ):
        ring.add(LogLine(NOW - 60 + number, level, logger, text))
    return ring
