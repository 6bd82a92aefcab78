"""Paths of the Gemini API: the model's name and the method stand in them, the body has neither.

https://ai.google.dev/api/all-methods
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl

from nexus_core.errors import AuthenticationError, InvalidRequestError

MODEL = "{model}"  # in a published path, for the model's name
# Google's SDKs ask v1beta, and v1 where they are told to.
ROOTS = ("/v1beta/models/", "/v1/models/")


class Method(StrEnum):
    """A method of a model that is a request of its own; `countTokens` is none."""

    GENERATE = "generateContent"
    STREAM = "streamGenerateContent"
    EMBED = "embedContent"
    BATCH_EMBED = "batchEmbedContents"

    @property
    def path(self) -> str:
        """The path as it is published."""
        return f"{ROOTS[0]}{MODEL}:{self.value}"

    @property
    def is_streaming(self) -> bool:
        return self is Method.STREAM


_METHODS = {method.value: method for method in Method}


class Asked(NamedTuple):
    """What the path and query of a request ask for."""

    method: Method
    model: str | None  # None: the published path itself, whose body names the model
    as_array: bool  # a stream as one JSON array, piece by piece, in place of events


def read_path(path: str, query: str = "") -> Asked | None:
    """Read a path that is decoded already; None for one of no method that is a request.

    The last colon stands before the method: names of models may have colons and slashes.

    Raises:
        AuthenticationError: the query has a key.
        InvalidRequestError: it asks for a form of answer that Google does not have.
    """
    root = next((root for root in ROOTS if path.startswith(root)), None)
    if root is None:
        return None
    name, colon, verb = path[len(root) :].rpartition(":")
    method = _METHODS.get(verb)
    if method is None or not colon or not name:
        return None
    form = read_query(query)
    as_array = method.is_streaming and form != "sse"
    return Asked(method, None if name == MODEL else name.removeprefix("models/"), as_array)


def read_query(query: str) -> str:
    """The form of the answer that a query asks for: `sse`, `json`, or empty.

    Raises:
        AuthenticationError: it has a key, which would stand in the logs of whatever is between.
        InvalidRequestError: it has another form.
    """
    form = ""
    for name, value in parse_qsl(query, keep_blank_values=True) if query else ():
        if name == "key":
            raise AuthenticationError(
                "a key in the URL (?key=) would end in logs, and is not read; "
                "send it as a header: x-goog-api-key: KEY"
            )
        if name in ("alt", "$alt"):
            form = value.lower()
    if form not in ("", "sse", "json"):
        raise InvalidRequestError("alt: sse or json is required", param="alt")
    return form
