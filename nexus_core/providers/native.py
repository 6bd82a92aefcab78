"""Which APIs a local server speaks itself, found out by asking it, and requests that pass to it.

A request in such a format passes as it came, but for the model's name. Where the server refuses it
after all, it is asked again with the request translated: no request is lost by a wrong guess.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Collection
from typing import Protocol

import msgspec

from nexus_core.dialects.inbound import dialect_named
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.request import Request
from nexus_core.providers.base import Call, InferenceAgent, WayBack
from nexus_core.types import API_NAMES, Capability, DialectName, is_list, is_object
from nexus_core.upstream.base import UpstreamError

log = logging.getLogger(__name__)

# An upgraded server may come back between two probes: it is asked again after so many of them.
_PROBES_BETWEEN = 20
# One whose answer hangs costs a probe seconds; it may have been busy.
_PROBES_AFTER_A_HANG = 5
_MAX_TEXT = 4096  # of an error's words that are looked at
_NO_PATH = frozenset({404, 405, 501})
_INVALID = frozenset({400, 422})
_NOT_NOW = frozenset({401, 403, 408, 425, 429, 502, 503, 504, 529})
# vLLM and SGLang say so for a model that a route exists for, but no handler.
_NO_API = re.compile(rb"not support \w+ API", re.IGNORECASE)
# OpenAI's 404 for an item that it doesn't keep, and vLLM's for a response.
_OF_REQUEST = re.compile(rb'with id|"(?:param|code)"\s*:\s*"', re.IGNORECASE)
_TOO_LONG = re.compile(rb"context|too long|too many tokens|exceed", re.IGNORECASE)
# llama.cpp, by its words: what it doesn't know in these formats it leaves out without an error.
# Tried with b10434: tools that are no functions, forms of an answer, documents, search results.
_LEAVES_OUT = re.compile(
    rb"'(?:input|messages)' is required|model name is missing from the request"  # of its router
)


class Asked(msgspec.Struct, frozen=True):
    """What finds out about an API: a body without a model or prompt, which nothing can run.

    Servers that have the path refuse it and name a field that they miss. Sources, as of 2026-11:
    Ollama middleware/anthropic.go and middleware/openai.go ("model is required", 400), llama.cpp
    tools/server ("'messages' is required", 500; "'input' is required", 400), vLLM, SGLang and exo
    (FastAPI: 422 or 400 with the missing fields), LM Studio (400). Those that don't have it answer
    404 or 405, and LM Studio with 200 and an error for every path that it doesn't know.
    """

    path: str
    fields: tuple[str, ...]
    body: bytes  # should a server take all the rest as given: an answer without a token


_ASKED = {
    DialectName.ANTHROPIC: Asked(
        "/v1/messages", ("messages", "max_tokens", "model"), b'{"max_tokens":0}'
    ),
    DialectName.RESPONSES: Asked("/v1/responses", ("input", "model"), b'{"max_output_tokens":0}'),
}


class Asker(Protocol):
    """What sends a probe's questions."""

    async def get_small(self, path: str) -> tuple[int, bytes]: ...
    async def post_small(self, path: str, body: bytes) -> tuple[int, bytes]: ...


class NativeApis:
    """The APIs of one server beside chat completions, as far as they are known."""

    def __init__(
        self,
        name: str,
        known: Collection[DialectName],
        *,
        is_fixed: bool,
        is_vendors: bool = False,
    ) -> None:
        """
        Args:
            name: of the backend, for the log.
            is_fixed: by its configuration or type: it is not asked.
            is_vendors: what it refuses is refused: no field is unknown to it.
        """
        self.passes = frozenset(known)
        self.takes_late_system = True  # system messages amid a conversation
        self.takes_own_tools = True  # tools of the Responses API that are no functions
        self.leaves_out = False  # what it doesn't know, without an error
        self._name = name
        self.is_vendors = is_vendors
        self._is_fixed = is_fixed
        self._rest = 0  # probes until it is asked again

    @property
    def names(self) -> tuple[str, ...]:
        """Their names and chat's, in a fixed order."""
        spoken = {DialectName.OPENAI_CHAT, *self.passes}
        return tuple(name for dialect, name in API_NAMES.items() if dialect in spoken)

    def was_away(self) -> None:
        """It did not answer: what comes back may be another version."""
        self._rest = 0

    def hangs(self) -> None:
        """It took too long to answer: it is not asked with every probe."""
        self._rest = _PROBES_AFTER_A_HANG

    async def ask(self, server: Asker) -> None:
        """Find out, if it is time to; what can't be found out now stays as it was.

        Raises:
            UpstreamError: there is no answer.
            ValueError: an answer is too long.
        """
        if self._is_fixed or self._rest > 0:
            self._rest -= 1
            return
        found: dict[DialectName, bool | None] = {}
        for dialect, asked in _ASKED.items():
            status, body = await server.post_small(asked.path, asked.body)
            found[dialect] = _speaks(asked, status, body)
            if found[dialect] is not None:
                self.leaves_out = _LEAVES_OUT.search(body) is not None
        found[DialectName.OLLAMA] = await _is_ollama(server)
        before = self.passes
        yes = {dialect for dialect, is_spoken in found.items() if is_spoken}
        unsure = {dialect for dialect, is_spoken in found.items() if is_spoken is None}
        self.passes = frozenset(yes | (before & unsure))
        self.takes_late_system = self.takes_own_tools = True
        self._rest = 0 if unsure else _PROBES_BETWEEN
        if self.passes != before:
            log.info("backend %s speaks %s", self._name, ", ".join(self.names))

    def forget(self, dialect: DialectName) -> None:
        """A request found that it doesn't speak it."""
        self.passes -= {dialect}
        self._rest = _PROBES_BETWEEN
        log.info("backend %s does not speak %s after all", self._name, API_NAMES[dialect])


def _speaks(asked: Asked, status: int, body: bytes) -> bool | None:
    """Whether it has the path; None: it doesn't say now, while it loads a model for example."""
    if status in _NOT_NOW:
        return None
    if status not in _INVALID and status != 500:
        return False
    try:
        text = json.dumps(parse_json(body))[:_MAX_TEXT]
    except ValueError:
        return False
    return any(field in text for field in asked.fields)


async def _is_ollama(server: Asker) -> bool | None:
    """Others have one of the two paths: Open WebUI the first, llama.cpp the second."""
    for path, key, is_value in (
        ("/api/version", "version", _is_text),
        ("/api/tags", "models", is_list),
    ):
        status, body = await server.get_small(path)
        if status in _NOT_NOW:
            return None
        try:
            told = parse_json(body) if status == 200 else None
        except ValueError:
            return False
        if not (is_object(told) and is_value(told.get(key))):
            return False
    return True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def passed_call(agent: InferenceAgent, apis: NativeApis, request: Request, model: str) -> Call:
    """The request as it came, but for the model's name; translated, if it is refused."""
    dialect = dialect_named(request.dialect)
    asked, has_late_system = request, False
    is_ollama = request.dialect is DialectName.OLLAMA
    if apis.leaves_out and dialect.bridge is not None and _needs_all(request):
        return _translated(agent, request, model)
    if request.dialect is DialectName.ANTHROPIC:
        from nexus_core.dialects.anthropic.inbound.passed import (
            has_late_system as has_late,
        )
        from nexus_core.dialects.anthropic.inbound.passed import (
            with_system_as_text,
        )

        has_late_system = has_late(request)
        if has_late_system and not apis.takes_late_system:
            asked, has_late_system = with_system_as_text(request), False
    has_own_tools = False
    if request.dialect is DialectName.RESPONSES:
        from nexus_core.dialects.openai_responses.passed import has_own_tools as has_own

        has_own_tools = has_own(request)
        if has_own_tools and not apis.takes_own_tools:
            return _translated(agent, request, model)
    refused: list[tuple[int, bytes]] = []

    def is_refusal(status: int, body: bytes) -> bool:
        # A vendor, and an Ollama, know their own fields: what they say is about the model.
        if apis.is_vendors or is_ollama:
            if not _lacks_path(status, body):
                return False
        elif not _is_refusal(status, body, has_late_system=has_late_system):
            return False
        refused.append((status, body))
        return True

    def plain() -> Call:
        call = _translated(agent, request, model)
        call.way_back = None
        return call

    def remember() -> None:
        status, body = refused[0]
        if status in _NO_PATH or _NO_API.search(body):
            apis.forget(request.dialect)
        elif has_late_system and b"system" in body:
            apis.takes_late_system = False
        elif has_own_tools and b"tool" in body.lower():
            apis.takes_own_tools = False

    return Call(
        path=request.path,
        body=dialect.write_passed(asked, model),
        is_streaming=request.is_streaming,
        model=model,
        request=request,
        dialect=dialect,
        headers=request.headers,
        way_back=WayBack(plain, is_refusal, remember) if dialect.bridge is not None else None,
    )


def _needs_all(request: Request) -> bool:
    """Whether it holds what a server leaves out that has its API by way of chat's."""
    if Capability.JSON in request.demand.capabilities:
        return True
    if request.dialect is DialectName.ANTHROPIC:
        from nexus_core.dialects.anthropic.inbound.passed import has_documents

        return has_documents(request)
    if request.dialect is DialectName.RESPONSES:
        from nexus_core.dialects.openai_responses.passed import has_own_tools

        # Its events have no output_index, without which OpenAI's own SDK can't put them together.
        return request.is_streaming or has_own_tools(request)
    return False


def _translated(agent: InferenceAgent, request: Request, model: str) -> Call:
    from nexus_core.providers.prepared import prepare_foreign

    return prepare_foreign(agent, request, model, wants_usage=False)


def _is_refusal(status: int, body: bytes, *, has_late_system: bool) -> bool:
    """Whether an error is about the API or its fields, and not about the model or the prompt."""
    if _NO_API.search(body):
        return True
    if status in _NO_PATH:
        return _lacks_path(status, body)
    if status in _INVALID:
        return not _TOO_LONG.search(body)
    # llama.cpp answers so where the model's chat template refuses the system message.
    return status == 500 and has_late_system and b"system" in body.lower()


def _lacks_path(status: int, body: bytes) -> bool:
    """Whether nothing is at the path, and not about the model or what the request refers to."""
    return status in _NO_PATH and b"model" not in body.lower() and not _OF_REQUEST.search(body)


async def asked_in_time(apis: NativeApis, server: Asker) -> None:
    """Find out what is due; a failure changes nothing."""
    try:
        await apis.ask(server)
    except (UpstreamError, ValueError):
        apis.was_away()


async def ask_within(seconds: float, apis: NativeApis, server: Asker) -> None:
    """The same, for so long at most; who answers too late is not asked with every probe."""
    try:
        async with asyncio.timeout(seconds):
            await asked_in_time(apis, server)
    except TimeoutError:
        apis.hangs()
