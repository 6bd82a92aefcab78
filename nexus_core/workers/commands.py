"""Commands of operators for all workers, one after the other; questions about one request."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import httpx

from nexus_core.api.asgi.messages import RawHeaders
from nexus_core.api.siblings.control import KEYS_PATH, SIGNAL_PATH
from nexus_core.api.siblings.trust import ECHO, answered, passed_on_inside
from nexus_core.types import JsonObject, is_object
from nexus_core.workers.roster import Roster
from nexus_core.workers.sibling import COMMAND_SECONDS, FAILURES, Sibling, SilentError

# What has to be done by each worker; of anything else one of them is asked.
_FOR_EACH = re.compile(
    r"/nexus/(?:backends/[^/?]+(?:/probe)?|zones/[^/?]+|capture|reload|save)(?:\?.*)?"
)
_OF_KEYS = re.compile(r"/nexus/keys(?:/[^?]*)?(?:\?.*)?")
_OF_A_REQUEST = re.compile(r"/nexus/requests/([^/?]+)(/[a-z]+)?(?:\?.*)?")
_ENDED = re.compile(r"; (?:1 running request|\d+ running requests) ended")


class Passed(NamedTuple):
    """A worker's answer, or one of all of them."""

    status: int
    headers: RawHeaders
    body: bytes


class Commands:
    """Passes requests on to workers."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._one_at_a_time = asyncio.Lock()  # so that all workers see them in the same order

    async def pass_on(self, method: str, path: str, headers: RawHeaders, body: bytes) -> Passed:
        """The answer to a request that is not about what all have counted.

        Raises:
            SilentError: nobody answers.
        """
        asked = _Asked(method, path, passed_on_inside(headers), body)
        if method == "POST" and _FOR_EACH.fullmatch(path):
            async with self._one_at_a_time:
                return await self._tell_each(asked)
        if method == "POST" and _OF_KEYS.fullmatch(path):
            return await self._change_keys(asked)
        if found := _OF_A_REQUEST.fullmatch(path):
            return await self._ask_who_has(asked, found[1])
        return await self._ask(self._first(), asked)

    async def hang_up(self) -> Passed:
        """Have each worker read the configuration again, as SIGHUP asks for.

        Raises:
            SilentError: nobody answers.
        """
        async with self._one_at_a_time:
            return await self._tell_each(_Asked("POST", SIGNAL_PATH, [], b""))

    def _first(self) -> Sibling:
        siblings = self._roster.siblings
        if not siblings:
            raise SilentError("no worker serves")
        return siblings[0]

    async def _tell_each(self, asked: _Asked) -> Passed:
        """The first worker has it on record; what the others make of it is added up."""
        first, *others = self._roster.siblings or [self._first()]
        answer = await self._ask(first, asked)
        if answer.status != 200:
            return answer  # refused: nothing was changed, and is not to be elsewhere
        echo = asked._replace(headers=[*asked.headers, (ECHO, b"1")])
        also: list[Passed] = []
        for sibling in others:
            try:
                also.append(await self._ask(sibling, echo))
            except SilentError:
                continue  # it is being replaced
        await self._roster.learn()
        return _added_up(answer, also)

    async def _change_keys(self, asked: _Asked) -> Passed:
        """One worker changes what all of them read; the others read it at once."""
        first = self._first()
        answer = await self._ask(first, asked)
        others = [one for one in self._roster.siblings if one is not first]
        async with asyncio.TaskGroup() as tasks:
            for sibling in others:
                tasks.create_task(self._refresh_keys(sibling), name="refresh-keys")
        return answer

    async def _refresh_keys(self, sibling: Sibling) -> None:
        with suppress(SilentError):  # it looks by itself every second
            await sibling.ask_whole("POST", KEYS_PATH, [])

    async def _ask_who_has(self, asked: _Asked, request_id: str) -> Passed:
        """The answer of the worker that knows the request, or else what the first one says."""
        looked = asked if asked.method == "GET" else _look_for_body(request_id)
        refused: Passed | None = None
        for sibling in self._roster.siblings:
            try:
                found = await self._ask(sibling, looked)
            except SilentError:
                continue
            if found.status == 200:
                return found if looked is asked else await self._ask(sibling, asked)
            refused = refused or found
        if refused is None:
            raise SilentError("no worker answers")
        return refused if looked is asked else await self._ask(self._first(), asked)

    async def _ask(self, sibling: Sibling, asked: _Asked) -> Passed:
        request = sibling.request(asked.method, asked.path, asked.headers, asked.body)
        request.extensions["timeout"] = httpx.Timeout(COMMAND_SECONDS).as_dict()
        answer = await sibling.send(request)
        try:
            body = await answer.aread()
        except FAILURES as error:
            raise SilentError(f"worker {sibling.number}: {error}") from error
        finally:
            await answer.aclose()
        headers = answered([(name.lower(), value) for name, value in answer.headers.raw])
        return Passed(answer.status_code, headers, body)


class _Asked(NamedTuple):
    method: str
    path: str  # with its query
    headers: RawHeaders
    body: bytes


def _look_for_body(request_id: str) -> _Asked:
    return _Asked("GET", f"/nexus/requests/{request_id}/bodies", [], b"")


def _added_up(answer: Passed, others: Sequence[Passed]) -> Passed:
    """The first answer, with the running requests that were ended everywhere."""
    told = json.loads(answer.body)
    if not is_object(told):
        return answer
    also = [json.loads(other.body) for other in others if other.status == 200]
    ended = sum(_ended(one) for one in (told, *also))
    if ended == _ended(told):
        return answer
    if is_object(data := told.get("data")) and "ended" in data:
        data["ended"] = ended
    if "ended" in told:
        told["ended"] = ended
    message = str(told["message"])
    what = "; 1 running request ended" if ended == 1 else f"; {ended} running requests ended"
    told["message"] = _ENDED.sub(what, message) if _ENDED.search(message) else message + what
    return answer._replace(body=json.dumps(told).encode())


def _ended(told: JsonObject) -> int:
    data = told.get("data")
    ended = data.get("ended", 0) if is_object(data) else 0
    return ended if isinstance(ended, int) else 0
