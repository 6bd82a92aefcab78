"""Google Gemini agent: :generateContent, :streamGenerateContent, :batchEmbedContents."""

from __future__ import annotations

import time
from urllib.parse import quote

from msgspec.structs import replace

from nexus_core.dialects.embeddings import check_embeddings_request
from nexus_core.dialects.gemini import (
    FALLBACK_MODELS,
    AnswerForm,
    GoogleStream,
    estimate_tokens,
    read_models,
    read_retry_after,
    read_usage,
    stream_failure,
    translate_embeddings_request,
    translate_embeddings_response,
    translate_error,
    translate_request,
    translate_response,
)
from nexus_core.dialects.gemini.inbound.array import ArrayWriter
from nexus_core.dialects.gemini.inbound.dialect import as_gemini, dialect_of
from nexus_core.dialects.gemini.inbound.passed import counting_body, path_of, write_passed
from nexus_core.dialects.hub.request import ChatRequest, check_chat_request
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import StreamFailedError, Translation
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import Call, Response, call_mapping
from nexus_core.providers.http import HttpAgent, read_small
from nexus_core.providers.model_list import ListPage, read_page
from nexus_core.providers.translated import dump_body, translated
from nexus_core.providers.translated_stream import StreamTranslator
from nexus_core.types import DialectName, JsonObject, JsonValue, Operation, is_list, is_object
from nexus_core.upstream.base import MaySend

_PREFIX = "models/"


class GoogleAgent(HttpAgent):
    """A Google AI account (the Gemini API, v1beta)."""

    list_query = (("pageSize", "1000"),)
    fallback_models = FALLBACK_MODELS
    translates = True
    own_formats = frozenset({DialectName.GEMINI})

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        """Translate a request into Gemini's format; one that is in it passes.

        Raises:
            InvalidRequestError: a field is invalid.
            UnsupportedFieldsError: names every field without an equivalent at Google.
        """
        model = model.removeprefix(_PREFIX)
        if request.dialect is DialectName.GEMINI:
            return self._passed(request, model)
        translation = self._translate(request, model)
        return Call(
            path=f"/v1beta/models/{quote(model, safe='')}:{_method(request)}",
            body=dump_body(translation.body),
            is_streaming=request.is_streaming,
            model=model,
            request=request,
            dialect=OPENAI_CHAT,
            translation=translation,
        )

    def _passed(self, request: Request, model: str) -> Call:
        """The client's own bytes; the model's name stands in the path."""
        asked = as_gemini(request)
        return Call(
            path=path_of(asked, model),
            body=write_passed(asked, model),
            is_streaming=request.is_streaming,
            model=model,
            request=request,
            dialect=dialect_of(asked),
            writer=ArrayWriter() if asked.as_array else None,
        )

    def _translate(self, request: Request, model: str) -> Translation:
        if request.operation is Operation.EMBEDDINGS:
            check_embeddings_request(request.parsed)
            return translate_embeddings_request(request.parsed, model)
        hints = self._settings.rejects_hints
        return translate_request(check_chat_request(request.parsed), model, reject_hints=hints)

    async def send(self, call: Call, may_send: MaySend) -> Response:
        """Send a call and wait for the answer's head, or for all of an error.

        Raises:
            UpstreamError: there is no answer.
        """
        response = await self.post(
            call.path, call.body, is_streaming=call.is_streaming, may_send=may_send
        )
        if call.dialect is not OPENAI_CHAT:
            return response
        is_embedding = call.request.operation is Operation.EMBEDDINGS
        return await translated(
            response,
            EmbeddingsAnswer(call) if is_embedding else GoogleAnswer(call),
            self.keys,
            is_streaming=call.is_streaming,
            max_bytes=self._settings.max_response_bytes,
        )

    async def count_tokens(self, request: Request, model: str) -> int | None:
        """Google's own count, of a request in its format.

        Raises:
            UpstreamError: there is no answer.
        """
        if request.dialect is not DialectName.GEMINI:
            return None
        model = model.removeprefix(_PREFIX)
        path = f"/v1beta/models/{quote(model, safe='')}:countTokens"
        response = await self.post(path, counting_body(request, model))
        try:
            status, told = await read_small(response)
            counted = parse_json(told) if status == 200 else None
        except ValueError:
            return None
        tokens = counted.get("totalTokens") if is_object(counted) else None
        return tokens if isinstance(tokens, int) and tokens >= 0 else None

    def read_page(self, body: bytes) -> ListPage:
        """Read a model list: models that chat or embed; a proxy may list in OpenAI's format.

        Raises:
            ValueError: it is not a list of models.
        """
        answer = parse_json(body)
        if is_object(answer) and (not answer or is_list(answer.get("models"))):
            page = read_models(answer)
            token = page.next_page_token
            return ListPage(tuple(page.names), next_query=(("pageToken", token),) if token else ())
        found = read_page(answer)
        names = tuple(name.removeprefix(_PREFIX) for name in found.names)
        return replace(found, names=names)

    def status_of(self, status: int, body: bytes) -> int:
        """Status of an error answer; Google answers an invalid key with a 400 and a reason."""
        return translate_error(status, body)[0]


def _method(request: Request) -> str:
    if request.operation is Operation.EMBEDDINGS:
        return "batchEmbedContents"
    # Without alt=sse the stream would be one JSON array.
    return "streamGenerateContent?alt=sse" if request.is_streaming else "generateContent"


class _GoogleForm:
    """Common part of the translators of Google's answers."""

    counts_unended_event = True

    def usage(self, answer: JsonObject) -> TokenUsage | None:
        """Read the usage of a whole answer."""
        return read_usage(answer)

    def reported(self, answer: JsonValue) -> StreamFailedError | None:
        """Read the error in a 2xx answer; None without one."""
        return stream_failure(answer)

    def error(self, status: int, body: bytes) -> tuple[int, JsonObject, float | None]:
        """Translate an error into status, envelope and the retry delay stated in the body."""
        return *translate_error(status, body), read_retry_after(body)


class GoogleAnswer(_GoogleForm):
    """Translator of the answer to one chat request."""

    ends_at_completion = False  # calls, signatures and the last usage may come after finishReason

    def __init__(self, call: Call) -> None:
        asked: ChatRequest = call.request.parsed  # type: ignore[assignment]  # checked in `prepare`
        options = asked.get("stream_options") or {}
        self._model = call.model
        self._created = int(time.time())
        self._form = AnswerForm.of(asked, call_mapping(call))
        self._include_usage = options.get("include_usage") is True

    def whole(self, answer: JsonObject) -> JsonObject:
        """Translate a whole answer.

        Raises:
            ValueError: it is invalid.
        """
        return translate_response(answer, model=self._model, created=self._created, form=self._form)

    def stream(self) -> StreamTranslator:
        """Create the translator of a stream."""
        return GoogleStream(
            model=self._model,
            created=self._created,
            include_usage=self._include_usage,
            form=self._form,
        )


class EmbeddingsAnswer(_GoogleForm):
    """Translator of an embeddings answer."""

    ends_at_completion = False

    def __init__(self, call: Call) -> None:
        encoding = call.request.parsed.get("encoding_format")
        self._model = call.model
        self._encoding = encoding if isinstance(encoding, str) else None
        self._tokens = estimate_tokens(call.translation.body) if call.translation else 0

    def whole(self, answer: JsonObject) -> JsonObject:
        """Translate a whole answer.

        Raises:
            ValueError: it is invalid.
        """
        return translate_embeddings_response(
            answer,
            model=self._model,
            encoding_format=self._encoding,
            estimated_tokens=self._tokens,
        )

    def stream(self) -> StreamTranslator:
        """Never called: embeddings are not streamed."""
        raise AssertionError("embeddings are no stream")
