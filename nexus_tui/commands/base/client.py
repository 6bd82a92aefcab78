"""HTTP client of the commands for a running Nexus. Draws nothing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from nexus_core.types import is_list, is_object
from nexus_tui.commands.base.errors import NoAnswerError, NotFoundError
from nexus_tui.commands.base.listener import connection_problem, require_nexus, who_answers
from nexus_tui.commands.base.target import local_url

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    import httpx

    from nexus_core.config.schema import Config

_KEY_PROBLEMS = (401, 403)


# Asking -------------------------------------------------------------------------------------------


def authorization(config: Config) -> str | None:
    """Authorization header for /nexus/*: admin key, else first client key; None without keys."""
    keys = [client.value for client in config.auth.api_keys]
    key = config.auth.admin_key or next(iter(keys), None)
    return None if key is None else f"Bearer {key.decode('ascii')}"


def find_running(url: str | None, config: Config) -> str:
    """URL of the running Nexus: the given one, else the configured one.

    Raises:
        NoAnswerError: there is none.
    """
    if url is None and not config.server.port:
        raise NoAnswerError(
            "the configured port is 0 (any free port); set --url to the running Nexus"
        )
    seconds = config.server.connect_timeout_seconds
    if url is not None:
        require_nexus(url, seconds)
        return url
    url = local_url(config.server.host, config.server.port)
    found = who_answers(url, seconds)
    if found.kind == "nexus":
        return url
    if found.is_silent:
        raise NoAnswerError(found.problem)
    what_to_do = "start one (nexus), or name" if found.kind == "nothing" else "name"
    raise NoAnswerError(f"{found.problem}; {what_to_do} the URL of another")


def get_json(url: str, path: str, config: Config, query: Mapping[str, str | int]) -> Any:
    """GET `path` of the Nexus at `url`, as JSON; errors as of `get_told`."""
    return get_told(url, path, config, query)[0]


def get_told(
    url: str, path: str, config: Config, query: Mapping[str, str | int]
) -> tuple[Any, str | None]:
    """GET `path` of the Nexus at `url`, as JSON, and the replica of a fleet that answers.

    Raises:
        NotFoundError: there is no such thing there.
        NoAnswerError: it does not answer, or with an error.
    """
    import httpx

    key = authorization(config)
    headers = {} if key is None else {"Authorization": key}
    seconds = seconds_to_answer(config)
    with (
        answered(url, seconds),
        httpx.Client(base_url=url, timeout=seconds, trust_env=False) as client,
    ):
        answer = client.get(path, params=dict(query), headers=headers)
    content = content_of(answer, config)
    here = answer.headers.get("x-nexus-replica")
    if here is None and is_object(content) and isinstance(told := content.get("replica"), str):
        here = told
    return content, here


def seconds_to_answer(config: Config) -> float:
    """How long to wait: a Nexus may look at each backend once before it answers."""
    return config.server.connect_timeout_seconds + config.health_check.timeout_seconds


@contextlib.contextmanager
def answered(url: str, seconds: float) -> Generator[None]:
    """Turn errors of asking the Nexus at `url` into a NoAnswerError.

    Raises:
        NoAnswerError: instead.
    """
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise NoAnswerError(f"no answer from {url} within {seconds:g} s") from error
    except httpx.ConnectError as error:
        raise NoAnswerError(connection_problem(url, error)) from error
    except httpx.RequestError as error:
        raise NoAnswerError(f"no answer from the Nexus at {url}: the connection broke") from error


def content_of(answer: httpx.Response, config: Config) -> Any:
    """The JSON of an answer.

    Raises:
        NotFoundError: it is a 404 of a Nexus.
        NoAnswerError: it is another error, or not what a Nexus of this version answers.
    """
    status = answer.status_code
    with understood(status):
        content = answer.json()
        if status == 200:
            return content
        message = str(content["error"]["message"])
    if status == 404:
        raise NotFoundError(message)
    hint = f"; {_about_the_key(config)}" if status in _KEY_PROBLEMS else ""
    raise NoAnswerError(f"{status}: {message}{hint}")


def _about_the_key(config: Config) -> str:
    auth = config.auth
    if auth.admin_key is not None:
        return f"sent was the key of {auth.admin_key_env}"
    if auth.api_keys:
        return f"sent was the first key of {auth.api_keys_env}; {auth.admin_key_env} goes first"
    return f"set {auth.admin_key_env} or {auth.api_keys_env}"


@contextlib.contextmanager
def understood(status: int = 200) -> Generator[None]:
    """Turn errors of reading an answer into a NoAnswerError.

    Raises:
        NoAnswerError: instead.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        text = f"incompatible Nexus version: unknown answer with status {status}"
        raise NoAnswerError(text) from error


# Showing ------------------------------------------------------------------------------------------


def visible_json(value: Any) -> Any:
    """Escape control characters in every text of a JSON value."""
    from nexus_tui.text.escape import escaped

    if is_object(value):
        return {escaped(str(key)): visible_json(item) for key, item in value.items()}
    if is_list(value):
        return [visible_json(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


def json_text(value: object, *, indent: int | None = 2) -> str:
    """JSON in ASCII without control characters."""
    # DEL is the one control character that JSON lets stand.
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")
