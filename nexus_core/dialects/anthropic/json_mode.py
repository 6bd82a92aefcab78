"""OpenAI's JSON mode for Anthropic's models, which have none: asked of the model, then checked.

A stream can't be checked before it is over; of a whole answer a code fence and words around the
object are taken away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.report import ModelFailedError
from nexus_core.types import JsonObject, is_list, is_object

_INSTRUCTION = (
    "Answer with one valid JSON object and nothing else: "
    "no words before or after it, and no code fence."
)
_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL | re.IGNORECASE)


def instruction() -> JsonObject:
    """The last block of the system prompt: what stands before it stays in the prompt cache."""
    return {"type": "text", "text": _INSTRUCTION}


def wants_object(fields: Mapping[str, object]) -> bool:
    """Whether a chat request asks for an answer that is a JSON object by itself.

    Not where the client began the answer: then what the model adds is not the whole of it.
    """
    form, messages = fields.get("response_format"), fields.get("messages")
    if not is_object(form) or form.get("type") != "json_object":
        return False
    last = messages[-1] if is_list(messages) and messages else None
    return not (is_object(last) and last.get("role") == "assistant")


def object_in(text: str | None) -> str:
    """The JSON object that an answer is, as it stands in it.

    Raises:
        ModelFailedError: there is none.
    """
    text = text or ""
    fenced = _FENCED.fullmatch(text)
    within = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (text, fenced.group(1) if fenced else "", within):
        if _is_object(candidate):
            return candidate
    raise ModelFailedError(
        "it answered without the JSON object that was asked for", "malformed_response"
    )


def _is_object(text: str) -> bool:
    try:
        return is_object(parse_json(text))
    except ValueError:
        return False
