"""Explain form: the values of a request to explain, also from a listed request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nexus_core.control.commands import SendRequest
from nexus_core.dialects.inbound import CHAT_PATH, inbound_of, operation_at, place_of
from nexus_core.dialects.request import Demand
from nexus_core.errors import NexusError
from nexus_core.observe.record import RequestRecord
from nexus_core.routing.explain import Question
from nexus_core.routing.requirements import RoutingHints
from nexus_core.types import Capability, Operation, PrivacyZone
from nexus_tui.text.example import example_body

_BYTES_PER_TOKEN = 4  # of a body that was not kept: near enough to tell a long prompt
_NEEDS = {
    Operation.CHAT: Capability.CHAT,
    Operation.COMPLETIONS: Capability.COMPLETIONS,
    Operation.EMBEDDINGS: Capability.EMBEDDINGS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainForm:
    """Values of the explain form."""

    model: str = ""
    restricted: bool = False
    min_tier: int | None = None
    tokens: int = 0
    tools: bool = False
    stream: bool = False  # of no weight for the route; for what is copied
    pin: str | None = None
    flexible: bool = False
    endpoint: str = CHAT_PATH
    client: str | None = None  # whose budget counts; None: the operator's own request
    # What a body that was kept asks for beyond that.
    needs: frozenset[Capability] = frozenset()
    max_tokens: int | None = None
    choices: int = 1

    @classmethod
    def of_request(cls, row: RequestRecord) -> ExplainForm:
        """Explain form of a listed request, from its headers and size."""
        headers = {name.lower(): value.strip() for name, value in row.request_headers}
        return cls(
            model=row.asked_model,
            restricted=headers.get("x-nexus-privacy-zone") == "restricted",
            min_tier=_tier(headers),
            tokens=row.body_bytes // _BYTES_PER_TOKEN,
            stream=row.is_streaming,
            pin=headers.get("x-nexus-backend"),
            flexible=headers.get("x-nexus-flexible") == "true",
            endpoint=row.endpoint or CHAT_PATH,
            client=row.client,
        )

    @classmethod
    def of_captured(cls, row: RequestRecord, body: bytes | None) -> ExplainForm:
        """The same with what its body asks for, read as its own API reads it; None: not kept."""
        form = cls.of_request(row)
        known = inbound_of(form.place)
        if body is None or known is None:
            return form
        try:
            demand = known.dialect.read_request(known.operation, body).demand
        except NexusError:  # what was refused for its body
            return form
        return replace(
            form,
            tokens=demand.prompt_tokens,
            tools=Capability.TOOLS in demand.capabilities,
            needs=demand.capabilities - {Capability.TOOLS},
            max_tokens=demand.completion_limit,
            choices=demand.choices,
        )

    @classmethod
    def of_body(cls, body: bytes, endpoint: str) -> ExplainForm:
        """Explain form of a request's body, a JSON object."""
        asked: dict[str, Any] = json.loads(body)
        return cls(
            model=str(asked.get("model", "")),
            tokens=len(body) // _BYTES_PER_TOKEN,
            tools=bool(asked.get("tools")),
            stream=asked.get("stream") is True,
            endpoint=endpoint,
        )

    def question(self, usable: tuple[str, ...] = ()) -> Question:
        """As the core takes it."""
        needs = {_NEEDS[operation_at(self.endpoint)], *self.needs}
        if self.tools:
            needs.add(Capability.TOOLS)
        return Question(
            model=self.model,
            hints=RoutingHints(
                zone=self._zone,
                min_tier=self.min_tier,
                backend=self.pin,
                flexible=self.flexible,
            ),
            demand=Demand(
                capabilities=frozenset(needs),
                prompt_tokens=self.tokens,
                completion_limit=self.max_tokens,
                choices=self.choices,
            ),
            client=self.client,
            usable=usable,
        )

    @property
    def body(self) -> dict[str, Any]:
        """Of a short request that stands for the imagined one."""
        return example_body(
            self.model,
            operation_at(self.endpoint),
            stream=self.stream,
            tools=self.tools,
            endpoint=self.endpoint,
        )

    @property
    def place(self) -> str:
        """Where that request is sent: the endpoint, with the model's name if it has it."""
        return place_of(self.endpoint, self.model, is_streaming=self.stream)

    def request(self) -> SendRequest:
        """That request, to be sent."""
        return SendRequest(
            body=json.dumps(self.body).encode(),
            endpoint=self.place,
            zone=self._zone,
            min_tier=self.min_tier,
            backend=self.pin,
            flexible=self.flexible,
        )

    @property
    def _zone(self) -> PrivacyZone:
        return PrivacyZone.RESTRICTED if self.restricted else PrivacyZone.OPEN


def _tier(headers: Mapping[str, str]) -> int | None:
    tier = headers.get("x-nexus-min-tier", "")
    return int(tier) if tier in ("0", "1", "2", "3", "4") else None
