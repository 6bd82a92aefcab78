"""Which model a program asks for, and whether this Nexus serves it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nexus_core.aliases import resolve_aliases
from nexus_core.types import is_list, is_object
from nexus_tui.commands.base.client import (
    answered,
    authorization,
    content_of,
    get_json,
    seconds_to_answer,
)
from nexus_tui.commands.base.errors import NoAnswerError, NotFoundError
from nexus_tui.commands.run.beside import Beside
from nexus_tui.commands.run.programs import Program
from nexus_tui.commands.run.setup import KEY_VARIABLE, TIER, ZONE, Target, UsedKey
from nexus_tui.process.streams import say

if TYPE_CHECKING:
    import httpx

    from nexus_core.config.schema import Config

_LOOK_EVERY_SECONDS = 0.2
_TOLD = 5  # models, where one has to be chosen
_NEEDS_KEY = 401
_EMBEDS = "embed"  # in the names of models that don't chat


class ModelError(NoAnswerError):
    """This model is not served; the message has what is."""


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a Nexus, as a client with this key sees them."""

    nexus: Beside
    key: UsedKey
    config: Config

    def check_key(self) -> None:
        """Return if the Nexus lets the client in.

        Raises:
            NoAnswerError: it does not.
        """
        self._ask("/v1/models")

    def names(self) -> list[str]:
        """All that can be named: models and aliases."""
        content = self._get("/v1/models")
        entries = content.get("data") if is_object(content) else None
        listed = [entry for entry in entries if is_object(entry)] if is_list(entries) else []
        return [str(entry["id"]) for entry in listed if "id" in entry]

    def require(self, name: str) -> None:
        """Return if the model is served.

        Raises:
            ModelError: it is not; just after a start only once every backend had its time.
        """
        until = time.monotonic() + (seconds_to_answer(self.config) if self.nexus.is_new else 0)
        while True:
            try:
                self._get(f"/v1/models/{quote(name, safe='')}")
            except NotFoundError as error:
                if time.monotonic() >= until:
                    raise ModelError(f"--model: {error}") from error
                time.sleep(_LOOK_EVERY_SECONDS)
            else:
                return

    def choose(self, program: Program) -> str | None:
        """The model for a program that was given none; None where its own names are served.

        Raises:
            ModelError: they are not, and there is not just one model.
        """
        until = time.monotonic() + (seconds_to_answer(self.config) if self.nexus.is_new else 0)
        while not (names := self.names()) and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_SECONDS)
        if program.family and any(self._is_served(name) for name in program.asks):
            return None  # also by an alias with wildcards, which no list has
        if program.family and (own := [x for x in names if x.startswith(program.family)]):
            say(f"run: {_doubt(program, own)}")
            return None
        chatting = [name for name in names if _EMBEDS not in name]
        if len(chatting) == 1:
            return chatting[0]
        raise ModelError(_choice(program, chatting))

    def _is_served(self, name: str) -> bool:
        try:
            self._get(f"/v1/models/{quote(name, safe='')}")
        except NotFoundError:
            return False
        return True

    def _get(self, path: str) -> Any:
        return content_of(self._ask(path), self.config)

    def _ask(self, path: str) -> httpx.Response:
        import httpx

        url, seconds = self.nexus.url, seconds_to_answer(self.config)
        key = self.key.value
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        with (
            answered(url, seconds),
            httpx.Client(base_url=url, timeout=seconds, trust_env=False) as client,
        ):
            answer = client.get(path, headers=headers)
        if answer.status_code == _NEEDS_KEY:
            raise NoAnswerError(self._key_needed(url))
        return answer

    def _key_needed(self, url: str) -> str:
        how = (
            f"export {KEY_VARIABLE} with one, or name its variable with --key-env; "
            "`nexus keys create NAME` makes one"
        )
        if self.key.value is None:
            return f"the Nexus at {url} needs a client key: {how}"
        return f"the Nexus at {url} does not take the client key of {self.key.variable}: {how}"


def _doubt(program: Program, names: list[str]) -> str:
    return (
        f"{program.title} chooses its model by itself, and {' and '.join(program.asks)} are not "
        f"served here; if it is refused, name one with --model: {_some(names)}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_TOLD]) + (", …" if len(names) > _TOLD else "")


def _choice(program: Program, names: list[str]) -> str:
    if not names:
        return "no backend serves a model yet; `nexus check` tells why"
    some = _some(names)
    if not program.family:
        return f"choose a model with --model: {some}"
    return (
        f'no model here is called "{program.family}…", as {program.title} asks for by itself; '
        f"choose one with --model: {some}"
    )


# What the control API tells, where its key is at hand -------------------------------------------


def state_of(nexus: Beside, config: Config) -> Mapping[str, Any] | None:
    """GET /nexus/state; None without its key."""
    try:
        state = get_json(nexus.url, "/nexus/state", config, {})
    except NoAnswerError:
        return None
    return state if is_object(state) else None


def refusal(nexus: Beside, config: Config, target: Target) -> str | None:
    """Why a request like those of the program would be refused now; None where it would not be.

    Also None where nobody can say: then the first answer tells.
    """
    import httpx

    from nexus_core.control.question import question_as_json
    from nexus_core.dialects.request import Demand
    from nexus_core.routing.explain import Question
    from nexus_core.routing.requirements import RoutingHints
    from nexus_core.types import Capability, PrivacyZone

    tier = target.headers.get(TIER)
    hints = RoutingHints(
        zone=PrivacyZone(target.headers.get(ZONE, PrivacyZone.OPEN)),
        min_tier=None if tier is None else int(tier),
    )
    demand = Demand(capabilities=frozenset({Capability.CHAT, Capability.TOOLS}))
    question = Question(model=target.model or "", hints=hints, demand=demand)
    key, seconds = authorization(config), seconds_to_answer(config)
    headers = {} if key is None else {"Authorization": key}
    try:
        with (
            answered(nexus.url, seconds),
            httpx.Client(base_url=nexus.url, timeout=seconds, trust_env=False) as client,
        ):
            asked = client.post("/nexus/explain", json=question_as_json(question), headers=headers)
        told = content_of(asked, config)
    except NoAnswerError:
        return None
    refused = told.get("refused") if is_object(told) else None
    return str(refused.get("message")) if is_object(refused) else None


def is_all_restricted(state: Mapping[str, Any] | None) -> bool:
    """Whether no backend is in the open zone, switched off or not."""
    zones = {backend.get("zone") for backend in _backends(state)}
    return zones == {"restricted"}


def window_of(state: Mapping[str, Any] | None, model: str) -> int | None:
    """The smallest known context window of a model by that name or alias, in tokens."""
    model = resolve_aliases(model, _aliases(state))[-1]
    windows = [
        window
        for backend in _backends(state)
        if is_object(details := backend.get("details"))
        and is_object(one := details.get(model))
        and type(window := one.get("context_tokens")) is int
    ]
    return min(windows, default=None)


def _aliases(state: Mapping[str, Any] | None) -> dict[str, str]:
    config = None if state is None else state.get("config")
    routing = config.get("routing") if is_object(config) else None
    told = routing.get("aliases") if is_object(routing) else None
    return {name: str(target) for name, target in told.items()} if is_object(told) else {}


def _backends(state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    backends = state.get("backends") if state is not None else None
    return [one for one in backends if is_object(one)] if is_list(backends) else []
