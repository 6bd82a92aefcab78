"""Anthropic agent: POST /v1/messages, with requests and answers translated."""

from __future__ import annotations

import time

from nexus_core.dialects.anthropic.inbound.dialect import MESSAGES
from nexus_core.dialects.anthropic.inbound.passed import write_passed
from nexus_core.dialects.anthropic.json_mode import wants_object
from nexus_core.dialects.anthropic.models import FALLBACK_MODELS, read_models
from nexus_core.dialects.anthropic.request import translate_request
from nexus_core.dialects.anthropic.response import read_usage, translate_error, translate_response
from nexus_core.dialects.anthropic.stream import AnthropicStream, stream_failure
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import StreamFailedError
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import Call, Response, call_mapping
from nexus_core.providers.http import HttpAgent
from nexus_core.providers.message_count import ask_count
from nexus_core.providers.model_list import ListPage, read_page
from nexus_core.providers.translated import dump_body, translated
from nexus_core.providers.translated_stream import StreamTranslator
from nexus_core.types import DialectName, JsonObject, JsonValue, is_list, is_object
from nexus_core.upstream.base import Headers, MaySend

VERSION = "2023-06-01"  # of the API; https://docs.anthropic.com/en/api/versioning


class AnthropicAgent(HttpAgent):
    """An Anthropic account, or a server that speaks its API."""

    list_query = (("limit", "100"),)
    after_parameter = "after_id"
    fallback_models = FALLBACK_MODELS
    translates = True
    own_headers: Headers = (("anthropic-version", VERSION),)
    own_paths = ("/v1/messages",)
    own_formats = frozenset({DialectName.ANTHROPIC})

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        """Translate a chat request into Anthropic's message request; such a request passes.

        Raises:
            InvalidRequestError: a field is invalid.
            UnsupportedFieldsError: names every field without an equivalent at Anthropic.
        """
        if request.dialect is DialectName.ANTHROPIC:
            return self._passed(request, model)
        fields = check_chat_request(request.parsed)
        hints = self._settings.rejects_hints
        translation = translate_request(fields, model, reject_hints=hints)
        return Call(
            path="/v1/messages",
            body=dump_body(translation.body),
            is_streaming=request.is_streaming,
            model=model,
            request=request,
            dialect=OPENAI_CHAT,
            translation=translation,
        )

    def _passed(self, request: Request, model: str) -> Call:
        """The client's own bytes, but for the model's name and what an older model refuses."""
        body, translation = write_passed(request, model)
        return Call(
            path="/v1/messages",
            body=body,
            is_streaming=request.is_streaming,
            model=model,
            request=request,
            dialect=MESSAGES,
            headers=request.headers,
            translation=translation,
        )

    async def send(self, call: Call, may_send: MaySend) -> Response:
        """Send a call and wait for the answer's head, or for all of an error.

        Raises:
            UpstreamError: there is no answer.
        """
        response = await self.post(
            call.path,
            call.body,
            is_streaming=call.is_streaming,
            may_send=may_send,
            more=call.headers,
        )
        if call.dialect is MESSAGES:
            return response
        return await translated(
            response,
            AnthropicAnswer(call),
            self.keys,
            is_streaming=call.is_streaming,
            max_bytes=self._settings.max_response_bytes,
        )

    async def count_tokens(self, request: Request, model: str) -> int | None:
        """The backend's own count, of a request in its format.

        Raises:
            UpstreamError: there is no answer.
        """
        if request.dialect is not DialectName.ANTHROPIC:
            return None
        body, _ = write_passed(request, model)
        return await ask_count(self, body, request.headers)

    def read_page(self, body: bytes) -> ListPage:
        """Read a model list: Anthropic's, or one of a compatible server in any other form.

        Raises:
            ValueError: it is not a list of models.
        """
        answer = parse_json(body)
        if is_object(answer) and is_list(answer.get("data")):
            page = read_models(answer)
            after = ((self.after_parameter, page.after_id),) if page.after_id else ()
            return ListPage(tuple(page.names), next_query=after)
        return read_page(answer, after=self.after_parameter)


class AnthropicAnswer:
    """Translator of the answer to one call into OpenAI's format."""

    ends_at_completion = True  # message_stop is the last event
    counts_unended_event = False

    def __init__(self, call: Call) -> None:
        asked = call.request.parsed
        options = asked.get("stream_options")
        self._model = call.model
        self._created = int(time.time())
        self._legacy = bool(asked.get("functions")) and not asked.get("tools")
        self._wants_object = wants_object(asked)
        self._calls = call_mapping(call)
        self._include_usage = is_object(options) and options.get("include_usage") is True

    def whole(self, answer: JsonObject) -> JsonObject:
        """Translate a whole answer.

        Raises:
            ValueError: it is invalid.
        """
        return translate_response(
            answer,
            model=self._model,
            created=self._created,
            legacy_functions=self._legacy,
            wants_object=self._wants_object,
            calls=self._calls,
        )

    def usage(self, answer: JsonObject) -> TokenUsage | None:
        """Read the usage of a whole answer."""
        return read_usage(answer.get("usage"))

    def stream(self) -> StreamTranslator:
        """Create the translator of a stream."""
        return AnthropicStream(
            model=self._model,
            created=self._created,
            include_usage=self._include_usage,
            legacy_functions=self._legacy,
            calls=self._calls,
        )

    def reported(self, answer: JsonValue) -> StreamFailedError | None:
        """Read the error in a 2xx answer; None without one."""
        if is_object(answer) and is_object(answer.get("error")):
            return stream_failure(answer)
        return None

    def error(self, status: int, body: bytes) -> tuple[int, JsonObject, float | None]:
        """Translate an error into status and envelope; its retry delay is in a header."""
        return *translate_error(status, body), None
