"""Requests of Ollama's API before they are forwarded: the model's tag, and those without a prompt.

A request without a prompt loads or unloads its model. An Ollama backend gets it as any other. No
other kind of backend is told when to keep its models in memory, so there the answer is Nexus's own:
it costs nothing, and is no request.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from nexus_core.api.ollama.entries import places_of
from nexus_core.dialects.ollama.bridge.answer import dumped, no_embedding, silence
from nexus_core.dialects.ollama.request import is_probe, unloads
from nexus_core.dialects.request import Request
from nexus_core.gateway import Gateway
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.types import DialectName, Operation

_TAG = ":latest"  # which a name without a tag means


def tagged(gateway: Gateway, request: Request) -> Request:
    """The request with the model's name as it is served: with the tag, or without it.

    Ollama's clients take "gpt-4o" and "gpt-4o:latest" for one model.
    """
    name = served_name(gateway, request.model)
    return request if name == request.model else replace(request, model=name)


def served_name(gateway: Gateway, model: str) -> str:
    """The name under which a model is served; the same where none is."""
    backends, aliases = gateway.registry.snapshots(), gateway.config.routing.aliases
    other = model.removesuffix(_TAG) if model.endswith(_TAG) else model + _TAG
    if not places_of(model, backends, aliases) and places_of(other, backends, aliases):
        return other
    return model


def own_answer(gateway: Gateway, request: ProxyRequest) -> bytes | None:
    """The answer to a request that only loads a model; None where it is to be forwarded."""
    envelope = request.envelope
    if not is_probe(envelope):
        return None
    decision = gateway.forwarder.foresee(request.need, envelope.demand, request.client)
    choice = decision.first
    if choice is None:  # forwarding says why
        return None
    if DialectName.OLLAMA in gateway.fleet.agents[choice.backend.name].passes:
        return None
    if envelope.operation is Operation.EMBEDDINGS:
        return dumped(no_embedding(envelope))
    return dumped(
        {
            "model": envelope.parsed["model"],
            "created_at": datetime.fromtimestamp(gateway.now(), UTC).isoformat(),
            **silence(envelope),
            "done": True,
            "done_reason": "unload" if unloads(envelope) else "load",
        }
    )
