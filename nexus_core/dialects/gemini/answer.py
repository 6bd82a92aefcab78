"""Translate a whole Gemini answer into OpenAI's chat.completion."""

from __future__ import annotations

from nexus_core.dialects.gemini import signatures
from nexus_core.dialects.gemini.candidates import (
    AnswerForm,
    FunctionCall,
    Image,
    Piece,
    Signature,
    Text,
    Thought,
    answer_id,
    call_id,
    failure,
    finish_reason,
    finish_reason_of,
    is_failed,
    prompt_refusal,
    read_pieces,
    refusal,
)
from nexus_core.dialects.gemini.extras import read_annotations, read_logprobs
from nexus_core.dialects.gemini.usage import read_usage
from nexus_core.dialects.gemini.values import as_list, as_object
from nexus_core.dialects.hub import answer as chat_answer
from nexus_core.dialects.report import ModelFailedError
from nexus_core.types import JsonObject

_EVERYTHING = AnswerForm()


def translate_response(
    answer: JsonObject, *, model: str, created: int, form: AnswerForm = _EVERYTHING
) -> JsonObject:
    """Translate an answer of :generateContent; each candidate becomes a choice.

    A blocked prompt is an answer too: a refusal that ended by content_filter. Images are in
    `message.images`, as data: URLs; the signature of a text is in `message.extra_content`.

    Raises:
        ValueError: it is not an answer, or the model itself failed (a malformed function call, …).
    """
    head = chat_answer.AnswerHead(answer_id(answer, model, created), model, created)
    candidates = as_list(answer.get("candidates"), "candidates")
    choices = [
        _choice(as_object(candidate, "a candidate"), number, head.id, form)
        for number, candidate in enumerate(candidates)
    ]
    if not choices:
        blocked = prompt_refusal(answer)
        if blocked is None:
            raise ValueError("neither candidates nor a reason why there are none")
        message = chat_answer.assistant_message(None, refusal=blocked)
        choices = [chat_answer.choice(message, "content_filter")]
    return chat_answer.completion(head, choices, read_usage(answer))


def _choice(candidate: JsonObject, number: int, answer: str, form: AnswerForm) -> JsonObject:
    pieces = list(read_pieces(candidate, form.calls))
    reason = finish_reason_of(candidate)
    if reason is None:
        if not pieces:
            raise ValueError("a candidate that is empty and has not ended")
        reason = "STOP"
    if is_failed(reason):
        raise ModelFailedError(failure(candidate, reason), reason)
    calls = [piece for piece in pieces if isinstance(piece, FunctionCall)]
    if form.one_call:
        calls = calls[:1]
    word = finish_reason(reason, form=form, has_calls=bool(calls))
    text = "".join(piece.text for piece in pieces if isinstance(piece, Text))
    withheld = (
        refusal(candidate, reason) if word == "content_filter" and not (text or calls) else None
    )
    message = chat_answer.assistant_message(
        None if not text and (calls or withheld) else text,
        refusal=withheld,
        reasoning="".join(piece.text for piece in pieces if isinstance(piece, Thought)),
        tool_calls=[] if form.as_function_call else _tool_calls(calls, number, answer),
        annotations=read_annotations(candidate),
    )
    if form.as_function_call and calls:
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    message |= _beside(pieces)
    return chat_answer.choice(message, word, index=number, logprobs=read_logprobs(candidate))


def _tool_calls(calls: list[FunctionCall], choice: int, answer: str) -> list[JsonObject]:
    return [
        chat_answer.tool_call(
            call.id or call_id(answer, choice, number),
            call.name,
            call.arguments,
            extra_content=signatures.wrap(call.signature) if call.signature else None,
        )
        for number, call in enumerate(calls)
    ]


def _beside(pieces: list[Piece]) -> JsonObject:
    """Extra fields of a message, for content that OpenAI's format has no field for."""
    fields: JsonObject = {}
    images = [piece.url for piece in pieces if isinstance(piece, Image)]
    if images:
        fields["images"] = [image_field(url, index) for index, url in enumerate(images)]
    signed = [piece.value for piece in pieces if isinstance(piece, Signature)]
    if signed:
        fields["extra_content"] = signatures.wrap(signed[-1])
    return fields


def image_field(url: str, index: int) -> JsonObject:
    """Build an image of a message or a delta; clients join a delta's images by their index."""
    return {"index": index, "type": "image_url", "image_url": {"url": url}}
