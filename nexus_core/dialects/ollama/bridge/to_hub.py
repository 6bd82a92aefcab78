"""Translate an Ollama request into the hub's: a chat, a completion or embeddings."""

from __future__ import annotations

from nexus_core.dialects.base.bridge import HubRequest, HubTarget
from nexus_core.dialects.hub.envelope import hub_envelope
from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.dialects.ollama.bridge.conversation import (
    read_messages,
    read_prompt_messages,
    read_tools,
)
from nexus_core.dialects.ollama.bridge.options import read_options
from nexus_core.dialects.ollama.demand import ONLY_OLLAMA
from nexus_core.dialects.ollama.dialect import CHAT, GENERATE
from nexus_core.dialects.ollama.request import PROMPT, is_probe
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, Operation, PromptParts, is_list, is_object

# Without effect on the answer of another server, which keeps its models as it likes.
_SILENT = frozenset({"model", "stream", "keep_alive", "options"})
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "max": "high"}
_ONLY_OLLAMA = "only Ollama backends take it; route this model to one, or leave it out"


def to_hub(request: Request, target: HubTarget) -> HubRequest:
    """Translate a request.

    Raises:
        InvalidRequestError: a field is invalid, or asks for what only Ollama has.
    """
    fields = request.parsed
    dropped: list[str] = []
    if is_probe(request):
        words = "no prompt: only Ollama backends load a model without one"
        raise InvalidRequestError(words, param=PROMPT[request.path])
    if request.operation is Operation.EMBEDDINGS:
        hub = _embeddings(request, dropped)
    elif request.operation is Operation.COMPLETIONS:
        hub = _completion(fields, target, dropped)
    else:
        hub = _chat(request, dropped)
    hub |= read_options(fields.get("options"), request.operation, target, dropped)
    if request.is_streaming:
        hub["stream"] = True
    return HubRequest(hub_envelope(request, hub, request.operation), tuple(dropped))


def read_prompt(request: Request) -> PromptParts:
    """What the tokens of a request's prompt are counted by; invalid values count as nothing."""
    fields = request.parsed
    if request.operation is Operation.EMBEDDINGS:
        return prompt_of({"input": fields.get(PROMPT[request.path])})
    if request.operation is Operation.COMPLETIONS:
        return prompt_of({"prompt": f"{fields.get('prompt') or ''}{fields.get('suffix') or ''}"})
    try:
        if request.path == GENERATE.path:
            return prompt_of({"messages": read_prompt_messages(fields)})
        counted = {"messages": read_messages(fields), "tools": read_tools(fields.get("tools"))}
    except InvalidRequestError:  # what only Ollama reads
        return prompt_of({"messages": fields.get("messages")})
    return prompt_of(counted)


def _chat(request: Request, dropped: list[str]) -> JsonObject:
    fields, hub = request.parsed, JsonObject()
    _refuse(fields)
    if request.path == CHAT.path:
        hub["messages"] = read_messages(fields)
        if tools := read_tools(fields.get("tools")):  # some servers refuse an empty list
            hub["tools"] = tools
        known = {"messages", "tools"}
    else:
        hub["messages"] = read_prompt_messages(fields)
        known = {"prompt", "system", "images", "suffix", "raw"}
    known |= {"format", "think", "logprobs", "top_logprobs", *ONLY_OLLAMA}
    _drop(fields, known, dropped)
    hub |= _format(fields) | _effort(fields)
    if fields.get("logprobs") is True:
        hub["logprobs"] = True
        if isinstance(most := fields.get("top_logprobs"), int) and most:
            hub["top_logprobs"] = most
    return hub


def _completion(fields: JsonObject, target: HubTarget, dropped: list[str]) -> JsonObject:
    """A prompt that is continued as it stands."""
    _refuse(fields)
    if fields.get("images"):
        raise InvalidRequestError(f"images: with raw or suffix {_ONLY_OLLAMA}", param="images")
    prompt = fields.get("prompt") or ""
    if fields.get("system"):
        if fields.get("raw") is True:  # as Ollama answers
            raise InvalidRequestError("system: raw mode does not support it", param="system")
        prompt = f"{fields['system']}\n{prompt}"
    hub: JsonObject = {"prompt": prompt}
    if suffix := fields.get("suffix"):
        hub["suffix"] = suffix
    if fields.get("logprobs") is True:
        most = fields.get("top_logprobs")
        hub["logprobs"] = most if isinstance(most, int) and most > 0 else 1
    if made := _format(fields):
        if target is not HubTarget.LOCAL:
            raise InvalidRequestError(f"format: with raw or suffix {_ONLY_OLLAMA}", param="format")
        hub |= made
    known = {"prompt", "system", "suffix", "raw", "images", "format"}
    _drop(fields, known | {"logprobs", "top_logprobs", *ONLY_OLLAMA}, dropped)
    return hub


def _embeddings(request: Request, dropped: list[str]) -> JsonObject:
    fields = request.parsed
    name = PROMPT[request.path]
    given = fields[name]
    if is_list(given) and "" in given:
        raise InvalidRequestError(f"{name}: only Ollama takes an empty text", param=name)
    hub: JsonObject = {"input": given}
    if fields.get("dimensions") is not None:
        hub["dimensions"] = fields["dimensions"]
    # That a text is cut off where it is too long is Ollama's doing; others refuse it.
    known = {name, "dimensions"}
    if fields.get("truncate") is not True:
        known.add("truncate")
    _drop(fields, known, dropped)
    return hub


def _refuse(fields: JsonObject) -> None:
    given = [name for name in ONLY_OLLAMA if fields.get(name)]
    if given:
        raise InvalidRequestError(f"{', '.join(given)}: {_ONLY_OLLAMA}", param=given[0])


def _drop(fields: JsonObject, known: set[str], dropped: list[str]) -> None:
    """Note what has no place, of the fields that Ollama knows."""
    dropped += [
        name
        for name in ("think", "truncate", "shift", "tools", "suffix", "system")
        if name not in known | _SILENT and fields.get(name) is not None
    ]


def _effort(fields: JsonObject) -> JsonObject:
    """The effort of reasoning that `think` asks for: yes or no, or a level.

    https://docs.ollama.com/capabilities/thinking
    """
    think = fields.get("think")
    if think is None:
        return {}
    if think is True:
        return {"reasoning_effort": "medium"}
    if think is False:
        return {"reasoning_effort": "none"}
    if isinstance(think, str) and think in _EFFORTS:
        return {"reasoning_effort": _EFFORTS[think]}
    raise InvalidRequestError(
        "think: true, false, low, medium, high or max is required", param="think"
    )


def _format(fields: JsonObject) -> JsonObject:
    """JSON of any form, or by a schema."""
    form = fields.get("format")
    if not form:
        return {}
    if form == "json":
        return {"response_format": {"type": "json_object"}}
    if is_object(form):
        # Not strict: then OpenAI takes only schemas that name every property as required.
        named = {"name": "answer", "schema": form}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    raise InvalidRequestError('format: "json" or a JSON schema is required', param="format")
