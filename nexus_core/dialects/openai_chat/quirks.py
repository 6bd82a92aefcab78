"""Adapt requests for OpenAI-compatible providers with quirks: fields renamed or left out. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_core.catalog import Quirks
from nexus_core.dialects.report import Findings, Translation
from nexus_core.types import JsonObject, is_list, is_object


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
    has_developer = not quirks.has_developer_role and _has_developer(fields.get("messages"))
    if not (touched or has_developer):
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
        body["messages"] = [_as_system(message) for message in fields["messages"]]
        found.changed.append("role developer → system")
    return found.report(body, reject_hints=reject_hints)


def _touched(fields: JsonObject, quirks: Quirks) -> Mapping[str, object]:
    names = {name for name, _ in quirks.renamed} | quirks.refused | quirks.ignored
    if not quirks.takes_stream_options:
        names = names | {"stream_options"}
    return {name: fields[name] for name in fields.keys() & names}


def _has_developer(messages: object) -> bool:
    listed = messages if is_list(messages) else ()
    return any(is_object(message) and message.get("role") == "developer" for message in listed)


def _as_system(message: object) -> object:
    if is_object(message) and message.get("role") == "developer":
        return {**message, "role": "system"}
    return message
