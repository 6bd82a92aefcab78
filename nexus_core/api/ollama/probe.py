"""Requests of Ollama's API without a prompt, which load or unload a model.

An Ollama backend gets them as any other. No other kind of backend is told when to keep its models
in memory, so there the answer is Nexus's own: it costs nothing, and is no request.
"""

from __future__ import annotations

from datetime import UTC, datetime

from nexus_core.dialects.ollama.bridge.answer import dumped, silence
from nexus_core.dialects.ollama.request import is_probe, unloads
from nexus_core.gateway import Gateway
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.types import DialectName


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
    return dumped(
        {
            "model": envelope.model,
            "created_at": datetime.fromtimestamp(gateway.now(), UTC).isoformat(),
            **silence(envelope),
            "done": True,
            "done_reason": "unload" if unloads(envelope) else "load",
        }
    )
