"""Cloud backends with fixed prices, answers that cost something, and what the ledger says of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, PriceConfig, StorageConfig
from nexus_core.money.ledger_queries import read_ledger
from tests.contract.bodies import ANSWER, FIRST, HELLO, STOP, THERE
from tests.contract.scripted_upstream import Script, answers
from tests.scenarios.nexus import Nexus, cloud, running
from tests.waiting import until

COST = "x-nexus-cost-estimated"
PATTERN = re.compile(r"^\$\d+\.\d{4,}$")

# Model "m": 1 $ for a thousand prompt tokens, 2 $ for a thousand of an answer.
PRICE = PriceConfig(input_per_1k=1.0, output_per_1k=2.0)
PRICING = {name: {"m": PRICE} for name in ("openai", "anthropic", "google")}
CLOUD_TYPES = (BackendType.OPENAI, BackendType.ANTHROPIC, BackendType.GOOGLE)

# A chat of one word is 3 + 3 for its framing, 1 for the role, 2 for the word, of 4 bytes a token.
PROMPT = 9
FIRST_GUESS = 256
ESTIMATE = "$0.521000"  # PROMPT and FIRST_GUESS
DONE = b"data: [DONE]\n\n"


def usage(prompt: int = 10, completion: int = 20, **more: Any) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        **more,
    }


def usage_chunk(prompt: int = 10, completion: int = 20, **more: Any) -> bytes:
    """What `include_usage` adds to a stream."""
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": []}
    return (
        b"data: "
        + json.dumps(told | {"usage": usage(prompt, completion)} | more).encode()
        + (b"\n\n")
    )


SPOKEN = (FIRST, HELLO, THERE, STOP)


def costs(prompt: int = 10, completion: int = 20, **more: Any) -> Script:
    """A whole answer with this usage."""
    return answers(ANSWER | {"usage": usage(prompt, completion)} | more)


@asynccontextmanager
async def priced(*backends: BackendConfig, folder: Path, **sections: Any) -> AsyncIterator[Nexus]:
    """Serve with a ledger in the folder; prices are known once this is entered."""
    values = {"pricing": PRICING, "storage": StorageConfig(path=str(folder / "nexus.db"))}
    async with running(*backends, **values | sections) as nexus:
        await nexus.gateway.cost_tracker.ready(wants_prices=True)
        yield nexus


def vendor(kind: BackendType, url: str, **more: Any) -> BackendConfig:
    return cloud(kind.value, url, type=kind, **more)


async def settled(nexus: Nexus, count: int = 1) -> None:
    """Return once so many requests are over."""
    await until(lambda: len(nexus.finished()) >= count)


def usd(nano_usd: int | None) -> Decimal | None:
    return None if nano_usd is None else Decimal(nano_usd) / 10**9


def ledger(folder: Path) -> list[dict[str, Any]]:
    """Its rows, in the order they ended; ask after the gateway has closed it."""
    with read_ledger(folder / "nexus.db") as kept:
        names = [row[1] for row in kept.execute("PRAGMA table_info(requests)")]
        found = kept.execute("SELECT * FROM requests ORDER BY rowid")
        return [dict(zip(names, row, strict=True)) for row in found]
