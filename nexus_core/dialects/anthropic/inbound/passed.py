"""Requests that pass to a backend of the same format: their bytes, and what has to be mended."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from nexus_core.dialects.anthropic.inbound.demand import BILLING, system_blocks
from nexus_core.dialects.anthropic.inbound.signatures import MARK, PREFIX
from nexus_core.dialects.anthropic.models import FOREIGN, Family, family_of
from nexus_core.dialects.hub.envelope import dumped_fields
from nexus_core.dialects.reading.body import read_object, rename_model
from nexus_core.dialects.report import Translation
from nexus_core.dialects.request import Request
from nexus_core.types import JsonObject, is_list, is_object

_REMINDER = "<system-reminder>\n{}\n</system-reminder>"  # as Claude Code has it for older models
_MAX_BUDGET = 16_384  # of thinking, where a model wants a number
_DOCUMENTS = ("document", "search_result", "tool_reference")


def write_passed(request: Request, model: str) -> tuple[bytes, Translation | None]:
    """The body with the backend's own model name; no other byte changes, with two exceptions.

    Thinking of another provider's model, which came back with Nexus's signature in place of
    Anthropic's, is left out. And where an alias leads to an older model than was asked for, what
    that refuses is changed or left out, which the translation tells.
    """
    fields, dropped = request.parsed, list[str]()
    if MARK in request.body:
        fields = {**fields, "messages": [*map(_without_foreign, fields["messages"])]}
    if model != request.model:
        fields = _mended(fields, request.model, model, dropped)
    if fields is request.parsed:
        return rename_model(request, model), None
    body = {**fields, "model": model}
    return dumped_fields(body), Translation(body, tuple(dropped)) if dropped else None


def write_local(request: Request, model: str) -> bytes:
    """The body for a server that is not Anthropic's, by its own model name.

    Every other byte stays, but for the client's note on billing, which is no part of the prompt.
    """
    body = rename_model(request, model)
    if BILLING.encode() not in body:
        return body
    system = request.parsed.get("system")
    kept = [*system_blocks(system)]
    if len(kept) == (len(system) if is_list(system) else isinstance(system, str)):
        return body
    start, end = request.spans["system"]
    written = b"" if isinstance(system, str) else b",".join(_kept(request.body[start:end], kept))
    written = b'""' if isinstance(system, str) else b"[%s]" % written
    # The name of the model may stand before it, and be longer or shorter.
    if model != request.model and request.spans["model"][0] < start:
        moved = len(body) - len(request.body)
        start, end = start + moved, end + moved
    return body[:start] + written + body[end:]


def _kept(system: bytes, kept: list[JsonObject]) -> list[bytes]:
    """The bytes of the blocks that are kept, as the client wrote them."""
    try:
        blocks = msgspec.json.decode(system, type=list[msgspec.Raw])
        return [bytes(raw) for raw in blocks if not _is_billing(msgspec.json.decode(raw))]
    except (msgspec.MsgspecError, RecursionError):
        return [dumped_fields(block) for block in kept]


def _is_billing(block: object) -> bool:
    return not [*system_blocks([block])]


def with_system_as_text(request: Request) -> Request:
    """The request with system messages amid the conversation as texts of the user's."""
    fields = {**request.parsed, "messages": [*map(_as_user, request.parsed["messages"])]}
    body = dumped_fields(fields)
    _, spans = read_object(body)
    return replace(request, body=body, parsed=fields, spans=spans)


def has_late_system(request: Request) -> bool:
    """Whether a system message stands amid the conversation."""
    return any(map(_is_system, request.parsed["messages"]))


def has_documents(request: Request) -> bool:
    """Whether the conversation holds blocks of text that are no text blocks."""
    if not any(b'"%s"' % kind.encode() in request.body for kind in _DOCUMENTS):
        return False
    contents = [message.get("content") for message in request.parsed["messages"]]
    while contents:
        content = contents.pop()
        for block in content if is_list(content) else ():
            if not is_object(block):
                continue
            if block.get("type") in _DOCUMENTS:
                return True
            contents.append(block.get("content"))  # of a tool's result
    return False


def _without_foreign(message: JsonObject) -> JsonObject:
    content = message.get("content")
    if not is_list(content):
        return message
    return {**message, "content": [block for block in content if not _is_foreign(block)]}


def _is_foreign(block: object) -> bool:
    signature = block.get("signature") if is_object(block) else None
    return isinstance(signature, str) and signature.startswith(PREFIX)


# For an older model than was asked for -----------------------------------------------------------


def _mended(fields: JsonObject, asked: str, model: str, dropped: list[str]) -> JsonObject:
    """The fields without what the model refuses; the same object where that is nothing."""
    family = family_of(model)
    if family is FOREIGN or family is family_of(asked):
        return fields  # what a server of others refuses is not known
    changes: JsonObject = {}
    if not family.system_turns and any(map(_is_system, fields["messages"])):
        changes["messages"] = [*map(_as_user, fields["messages"])]
        dropped.append("messages[].role")
    thinking = fields.get("thinking")
    if is_object(thinking) and thinking.get("type") == "adaptive" and family.thinking != "adaptive":
        changes["thinking"] = _budget(fields, family)
        dropped.append("thinking")
    config = fields.get("output_config")
    effort = config.get("effort") if is_object(config) else None
    if is_object(config) and effort is not None and effort not in family.efforts:
        rest = {name: value for name, value in config.items() if name != "effort"}
        changes["output_config"] = rest or None
        dropped.append("output_config.effort")
    edits = fields.get("context_management")
    is_off = "thinking" in changes and changes["thinking"] is None
    if edits is not None and (is_off or family.thinking == "none"):
        changes["context_management"] = None
        dropped.append("context_management")
    if not changes:
        return fields
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def _budget(fields: JsonObject, family: Family) -> JsonObject | None:
    limit = fields.get("max_tokens")
    room = limit - 1 if isinstance(limit, int) else 0
    if family.thinking == "none" or room < 1024:
        return None
    return {"type": "enabled", "budget_tokens": min(room, _MAX_BUDGET)}


def _is_system(message: JsonObject) -> bool:
    return message.get("role") == "system"


def _as_user(message: JsonObject) -> JsonObject:
    """A system message amid the conversation as a text of the user's."""
    if not _is_system(message):
        return message
    content = message.get("content")
    if isinstance(content, str):
        return {"role": "user", "content": _REMINDER.format(content)}
    return {"role": "user", "content": content}
