"""Prepare a request for a backend, whatever format its client speaks: in place, or in a thread.

A request whose format the backend does not take goes by way of the hub's
(`dialects/base/bridge.py`): its bridge makes a request in the hub's format, which the agent
prepares as any other, and writes the answer back.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from nexus_core.background import in_background
from nexus_core.dialects.base.bridge import HubRequest, HubTarget
from nexus_core.dialects.hub.envelope import with_any_object, without_field
from nexus_core.dialects.inbound import dialect_named
from nexus_core.dialects.report import Translation
from nexus_core.dialects.request import Request
from nexus_core.providers.base import Call, InferenceAgent, WayBack
from nexus_core.tokens.count import THREAD_FROM_BYTES
from nexus_core.types import DialectName

_HUB = DialectName.OPENAI_CHAT
_EFFORT = "reasoning_effort"
# How servers refuse the effort for a model that does not reason.
_REFUSES_EFFORT = re.compile(rb"reasoning|thinking|effort", re.IGNORECASE)

_HAVE_TRANSLATED: set[tuple[type[InferenceAgent], bool]] = set()


async def prepared(
    agent: InferenceAgent, request: Request, model: str, *, wants_usage: bool = False
) -> Call:
    """Prepare a request, in a thread if that may take long, so that the loop is not blocked.

    Raises:
        InvalidRequestError: a field read by the translation is invalid.
        UnsupportedFieldsError: the provider does not support a field.
    """
    call = prepare_here(agent, request, model, wants_usage=wants_usage)
    if call is None:
        call = await prepare_beside(agent, request, model, wants_usage=wants_usage)
    return call


def prepare_here(
    agent: InferenceAgent, request: Request, model: str, *, wants_usage: bool
) -> Call | None:
    """Prepare a request; None where that may take so long that it is to be done beside the loop.

    A hundred new tools take 20 to 30 ms, which other requests would wait for; so does the first
    translation of a kind of agent, which makes what the later ones need.

    Raises: as `prepared`.
    """
    if request.dialect is _HUB:
        if not agent.translates:
            return agent.prepare(request, model, wants_usage=wants_usage)
    elif request.dialect in agent.passes:
        return agent.prepare(request, model, wants_usage=wants_usage)
    if len(request.body) >= THREAD_FROM_BYTES or _kind(agent, request) not in _HAVE_TRANSLATED:
        return None
    return _prepare(agent, request, model, wants_usage=wants_usage)


async def prepare_beside(
    agent: InferenceAgent, request: Request, model: str, *, wants_usage: bool
) -> Call:
    """Prepare in a thread what `prepare_here` did not.

    Raises: as `prepared`.
    """
    call = await in_background(partial(_prepare, agent, request, model, wants_usage=wants_usage))
    _HAVE_TRANSLATED.add(_kind(agent, request))
    return call


def _kind(agent: InferenceAgent, request: Request) -> tuple[type[InferenceAgent], bool]:
    return type(agent), request.dialect is not _HUB


def _prepare(agent: InferenceAgent, request: Request, model: str, *, wants_usage: bool) -> Call:
    prepare = agent.prepare if request.dialect is _HUB else partial(prepare_foreign, agent)
    return prepare(request, model, wants_usage=wants_usage)


def prepare_foreign(
    agent: InferenceAgent, request: Request, model: str, *, wants_usage: bool
) -> Call:
    """Prepare a request in a format of another kind of backend.

    Its stream is always asked for the usage: the client's format has one in every answer.
    """
    bridge = dialect_named(request.dialect).bridge
    assert bridge is not None  # noqa: S101 - every agent speaks the hub's format
    hub = bridge.to_hub(request, agent.hub_target)
    writer = bridge.writer(request, model)

    def finished(call: Call, way_back: WayBack | None) -> Call:
        call.writer, call.way_back = writer, way_back
        call.translation = _joined(call.translation, hub)
        return call

    has_effort = _EFFORT in hub.request.parsed and not agent.translates
    asked = hub.request
    if agent.hub_target is HubTarget.LOCAL:
        asked = with_any_object(asked)
    if has_effort and model in agent.refuses_effort:
        asked, has_effort = without_field(asked, _EFFORT), False
    call = agent.prepare(asked, model, wants_usage=asked.is_streaming)
    usual = call.way_back
    if usual is None and not has_effort:
        return finished(call, None)
    found: list[bool] = []  # whether the effort was refused

    def is_refusal(status: int, body: bytes) -> bool:
        if has_effort and status in (400, 422) and _REFUSES_EFFORT.search(body):
            found.append(True)
            return True
        return usual is not None and usual.is_refusal(status, body)

    def plain() -> Call:
        if found:
            # A server that refuses the usage, too, would be asked a third time.
            again = agent.prepare(without_field(asked, _EFFORT), model)
        else:
            again = agent.prepare(asked, model)
        return finished(again, None)

    def remember() -> None:
        if found:
            agent.refuses_effort.add(model)
        elif usual is not None:
            usual.remember()

    return finished(call, WayBack(plain, is_refusal, remember))


def _joined(made: Translation | None, hub: HubRequest) -> Translation | None:
    """What both translations left out."""
    if made is None:
        return Translation(hub.request.parsed, hub.dropped)
    return replace(made, dropped=(*hub.dropped, *made.dropped))
