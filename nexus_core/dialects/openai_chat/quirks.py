"""Adapt requests for OpenAI-compatible providers with quirks: fields renamed or left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nexus_core.catalog import Quirks
from nexus_core.dialects.report import Findings, Translation
from nexus_core.types import JsonObject, is_list, is_object

_REASONING = "reasoning_content"  # of an answer by another model, sent back in the history


def adapt(fields: JsonObject, quirks: Quirks, *, reject_hints: bool = False) -> Translation | None:
    """Rename or leave out the fields that the provider names otherwise, refuses or ignores.

    Args:
        fields: of a chat or a completion, as the client sent them; not changed.
        reject_hints: raise an error instead of leaving out a sampling hint.

    Returns:
        None without a change: the request passes as it came.

    Raises:
        UnsupportedFieldsError: names the refused hints; only with `reject_hints`.
    """
    touched = _touched(fields, quirks)
    messages = _messages(fields)
    has_developer = not quirks.has_developer_role and any(map(_is_developer, messages))
    has_reasoning = not quirks.takes_reasoning_back and any(map(_has_reasoning, messages))
    if not (touched or has_developer or has_reasoning):
        return None
    found, renamed = Findings(), dict(quirks.renamed)
    body = {name: value for name, value in fields.items() if name not in touched}
    for name, value in touched.items():
        if own := renamed.get(name):  # OpenAI's newer name wins where both are there
            body[own] = body.get(own) if value is None else value
            found.changed.append(f"{name} → {own}")
        elif name in quirks.refused and value:  # an empty or zero one is without effect
            found.dropped[name] = "this provider does not take it"
        else:
            found.ignore(name)
    if has_developer:
        messages = [_as_system(message) for message in messages]
        found.changed.append("role developer → system")
    if has_reasoning:
        messages = [_without_reasoning(message) for message in messages]
        found.ignore(f"messages[].{_REASONING}")
    if has_developer or has_reasoning:
        body["messages"] = messages
    return found.report(body, reject_hints=reject_hints)


def _touched(fields: JsonObject, quirks: Quirks) -> Mapping[str, object]:
    names = {name for name, _ in quirks.renamed} | quirks.refused | quirks.ignored
    if not quirks.takes_stream_options:
        names = names | {"stream_options"}
    return {name: fields[name] for name in fields.keys() & names}


def _messages(fields: JsonObject) -> list[Any]:
    """The messages; none of a completion, which has a prompt."""
    messages = fields.get("messages")
    return messages if is_list(messages) else []


def _is_developer(message: object) -> bool:
    return is_object(message) and message.get("role") == "developer"


def _has_reasoning(message: object) -> bool:
    return is_object(message) and _REASONING in message


def _as_system(message: object) -> object:
    if is_object(message) and message.get("role") == "developer":
        return {**message, "role": "system"}
    return message


def _without_reasoning(message: object) -> object:
    if is_object(message) and _REASONING in message:
        return {name: value for name, value in message.items() if name != _REASONING}
    return message
