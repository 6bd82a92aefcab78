"""Read model lists of all server kinds, and the reasons of refused ones. Pure.

Seen: OpenAI's {"data": […]} · Ollama's own package writes a nil list as null · {"models": […]} of
Ollama, LM Studio, Cohere and xAI · a bare array of Together and GitHub Models · Cloudflare's
{"result": […]} · one object of a TGI /info · plain strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec

from nexus_core.dialects.parsing import parse_json
from nexus_core.late_pattern import LatePattern
from nexus_core.types import is_list, is_object

Entry: TypeAlias = Mapping[str, Any]
Query: TypeAlias = tuple[tuple[str, str], ...]

_LISTS = ("data", "models", "result", "results", "items")
_NAMES = ("id", "model", "key", "name")
# What stands as the id where the name is meant: GitHub's catalog, Cloudflare's search.
_NO_NAME = re.compile(r"azureml://|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.IGNORECASE)
_MAX_DEPTH = 2  # {"data": {"models": […]}}
_MAX_ERROR_CHARS = 200


class ListPage(msgspec.Struct, frozen=True):
    """A page of a model list."""

    names: tuple[str, ...]
    entries: tuple[Entry, ...] = ()  # as they came
    next_query: Query = ()  # with which the next part is asked for; empty: this is the last


def read_page(answer: object, *, after: str = "after") -> ListPage:
    """Read one page of a model list, in any known form.

    Args:
        answer: parsed JSON.
        after: the query parameter for the page after `last_id`.

    Raises:
        ValueError: it is not a list of models; the message is for people.
    """
    listed = _find_list(answer, _MAX_DEPTH)
    if listed is None:
        raise ValueError(_what_else(answer))
    entries = tuple(entry for entry in listed if is_object(entry))
    names = tuple(name for entry in listed if (name := _name(entry)) is not None)
    fields = answer if is_object(answer) else {}
    return ListPage(names, entries, _next_query(fields, after) if names else ())


def _find_list(answer: object, depth: int) -> list[object] | None:
    if answer is None:
        return []  # Go's nil list
    if is_list(answer):
        return answer
    if not is_object(answer):
        return None
    present = [answer[key] for key in _LISTS if key in answer]
    filled = [value for value in present if value]
    if not filled and (answer.get("error") or answer.get("errors")):
        return None
    for value in filled or present:
        if value is None or is_list(value):
            return value or []
        if is_object(value):
            return [value] if _name(value) else _find_list(value, depth - 1) if depth else None
    if isinstance(answer.get("model_id"), str):  # of a server with one model
        return [answer["model_id"]]
    return [] if answer.get("object") == "list" and not present else None


def _name(entry: object) -> str | None:
    if isinstance(entry, str):
        return entry
    if not is_object(entry):
        return None
    names = [name for key in _NAMES if isinstance(name := entry.get(key), str) and name]
    return next((name for name in names if not _NO_NAME.match(name)), names[0] if names else None)


def _next_query(page: Entry, after: str) -> Query:
    """Query of the next page: from a last id, a token, a link or a page number."""
    last = page.get("last_id")
    if page.get("has_more") is True and isinstance(last, str) and last:
        return ((after, last),)
    for field, parameter in (
        ("nextPageToken", "pageToken"),
        ("next_page_token", "page_token"),
        ("next_cursor", "cursor"),
    ):
        if isinstance(token := page.get(field), str) and token:
            return ((parameter, token),)
    return _query_of_link(page) or _next_number(page.get("result_info"))


def _query_of_link(page: Entry) -> Query:
    """Query of a link; its host is ignored: an answer must not decide where the key is sent."""
    links = page.get("links")
    link = page.get("next") or (links.get("next") if is_object(links) else None)
    if not isinstance(link, str):
        return ()
    try:
        return tuple(parse_qsl(urlsplit(link).query))
    except ValueError:
        return ()


def _next_number(info: object) -> Query:
    if not is_object(info):
        return ()
    counts = [info.get(key) for key in ("page", "per_page", "total_count")]
    number, size, total = (value if isinstance(value, int) else 0 for value in counts)
    return (("page", str(number + 1)),) if 0 < number * size < total else ()


# What is no list ----------------------------------------------------------------------------------


class Refusal(Enum):
    """Meaning of a refused model list for the key."""

    KEY = auto()  # it is refused
    LISTING = auto()  # it is good, and may not list
    NONE = auto()  # nothing: there is no list, or not now


# A restricted key of OpenAI: "You have insufficient permissions for this operation. Missing
# scopes: api.model.read"; the status was 401 and 403 in turn.
_LACKS_SCOPE = LatePattern(r"missing scopes?\b|model\.read", re.IGNORECASE)
_MAY_NOT_LIST = LatePattern(
    rf"{_LACKS_SCOPE.pattern}|insufficient[ _]permissions|not (?:allowed|permitted) to list",
    re.IGNORECASE,
)
# xAI and Google answer 400 to a wrong key, others 200 with an error inside.
_BAD_KEY = LatePattern(
    r"(?:incorrect|invalid|wrong|unknown|expired|missing|no)\W+(?:\w+\W+)?api[ _-]?key"
    r"|api[ _-]?key\W+(?:\w+\W+){0,3}(?:invalid|incorrect|expired|not (?:valid|found)|required)"
    r"|invalid[ _]authentication|authentication[ _](?:fail|error)|unauthori[sz]ed|login fail",
    re.IGNORECASE,
)


def read_refusal(status: int, body: bytes) -> Refusal:
    """Classify a refused model list by status and message."""
    text = body[:4096].decode("utf-8", "replace")
    if status == 401:
        return Refusal.LISTING if _LACKS_SCOPE.search(text) else Refusal.KEY
    if status == 403:
        return Refusal.LISTING if _MAY_NOT_LIST.search(text) else Refusal.KEY
    if status in (200, 400) and "{" in text and _BAD_KEY.search(text):
        return Refusal.KEY
    return Refusal.NONE


def _what_else(answer: object) -> str:
    """Why the answer is not a list, with the error's message."""
    error = answer.get("error") if is_object(answer) else None
    message = error.get("message") if is_object(error) else error
    if isinstance(message, str) and message:
        return f"the answer is an error: {message[:_MAX_ERROR_CHARS]}"
    return "the answer is not a list of models"


def parse_page(body: bytes, *, after: str = "after") -> ListPage:
    """Read the models in an answer's body.

    Raises:
        ValueError: it is not a list of models.
    """
    return read_page(parse_json(body), after=after)
