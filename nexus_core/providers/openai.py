"""OpenAI and compatible servers: relay bytes, list models."""

from __future__ import annotations

import logging
from collections.abc import Collection, Coroutine
from typing import Any
from urllib.parse import quote

from nexus_core.catalog.spec import NO_QUIRKS, Quirks
from nexus_core.config.schema import BackendConfig
from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.openai_chat.additions import refuses_addition
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.quirks import adapt
from nexus_core.dialects.openai_chat.request import PATHS, write_request
from nexus_core.dialects.report import Translation
from nexus_core.dialects.request import Request
from nexus_core.providers.base import Call, Response, WayBack
from nexus_core.providers.http import AgentSettings, HttpAgent
from nexus_core.providers.native import NativeApis, passed_call
from nexus_core.providers.translated import dump_body
from nexus_core.types import DialectName, JsonObject, Operation, apis_named, is_object
from nexus_core.upstream.base import MaySend, UpstreamEngine

_HUB = DialectName.OPENAI_CHAT

log = logging.getLogger(__name__)


class OpenAIAgent(HttpAgent):
    """Agent of an OpenAI-compatible backend; requests pass unchanged but for its quirks."""

    own_paths = tuple(PATHS.values())
    hub_target = HubTarget.CLOUD

    def __init__(
        self, backend: BackendConfig, engine: UpstreamEngine, settings: AgentSettings
    ) -> None:
        super().__init__(backend, engine, settings)
        quirks = self._spec.quirks
        # Until it refuses them: then until its configuration changes.
        self._takes_additions = quirks.takes_stream_options
        self._quirks = None if quirks == NO_QUIRKS else quirks
        self.translates = self._quirks is not None
        known = self._spec.apis if backend.apis is None else apis_named(backend.apis)
        is_fixed = backend.type.is_cloud or backend.apis is not None
        self._apis = NativeApis(
            backend.name, known, is_fixed=is_fixed, is_vendors=backend.type.is_cloud
        )

    @property
    def passes(self) -> Collection[DialectName]:
        """The APIs that the server speaks itself, as far as it is known."""
        return self._apis.passes

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        """Prepare a request: unchanged but for the model's name, stream usage and quirks.

        Raises:
            UnsupportedFieldsError: the provider refuses a sampling hint, and hints are not dropped.
        """
        if request.dialect is not _HUB:
            return passed_call(self, self._apis, request, model)
        adds_usage = (
            wants_usage
            and self._takes_additions
            and request.is_streaming
            and request.operation is not Operation.EMBEDDINGS
            and not request.demand.wants_usage
        )
        adapted = None if self._quirks is None else self._adapted(request, self._quirks)
        if adapted is None:
            body = write_request(request, model, adds_usage=adds_usage)
        else:
            body = _written(adapted.body, model, adds_usage=adds_usage)
        path = PATHS[request.operation]
        return Call(
            path=_deployment(path, model) if self._base.is_by_deployment else path,
            body=body,
            is_streaming=request.is_streaming,
            model=model,
            adds_usage=adds_usage,
            way_back=self._way_back(request, model) if adds_usage else None,
            request=request,
            dialect=OPENAI_CHAT,
            translation=adapted,
        )

    def _adapted(self, request: Request, quirks: Quirks) -> Translation | None:
        if request.operation is Operation.EMBEDDINGS:
            return None
        return adapt(request.parsed, quirks, reject_hints=self._settings.rejects_hints)

    def _way_back(self, request: Request, model: str) -> WayBack:
        def plain() -> Call:
            return self.prepare(request, model)

        def remember() -> None:
            self._takes_additions = False
            log.info(
                "backend %s refuses stream_options; token counts of its streams are estimates",
                self.name,
            )

        return WayBack(plain, refuses_addition, remember)

    def send(self, call: Call, may_send: MaySend) -> Coroutine[Any, Any, Response]:
        """Send a call and wait for the answer's head.

        Raises:
            UpstreamError: there is no answer.
        """
        return self.post(
            call.path,
            call.body,
            is_streaming=call.is_streaming,
            may_send=may_send,
            more=call.headers,
        )


def _deployment(path: str, model: str) -> str:
    """Path of a deployment in Azure's API with dated versions."""
    version, _, rest = path[1:].partition("/")
    return f"/{version}/deployments/{quote(model, safe='')}/{rest}"


def _written(fields: JsonObject, model: str, *, adds_usage: bool) -> bytes:
    """
    Raises:
        InvalidRequestError: the request has a value that JSON can't hold.
    """
    body = {**fields, "model": model}
    if adds_usage:
        given = fields.get("stream_options")
        options: JsonObject = given if is_object(given) else {}
        body["stream_options"] = {**options, "include_usage": True}
    return dump_body(body)
