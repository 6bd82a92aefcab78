"""Operator commands as HTTP calls of the control API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never
from urllib.parse import quote, urlencode

from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
    Command,
    ProbeBackend,
    ReloadConfig,
    ReplayRequest,
    SaveConfig,
    SendRequest,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
)


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def call_for(command: Command) -> HttpCall:
    """HTTP call of a command."""
    match command:
        case SwitchBackend():
            body: dict[str, Any] = {"enabled": command.enabled}
            if command.end_running and not command.enabled:
                body["end_running"] = True
            return _backend(command.backend, body)
        case SetTier():
            return _backend(command.backend, {"tier": command.tier})
        case SetPriority():
            return _backend(command.backend, {"priority": command.priority})
        case ClearCooldown():
            return _backend(command.backend, {"cooldown": False})
        case ProbeBackend():
            return HttpCall("POST", f"/nexus/backends/{_segment(command.backend)}/probe", {})
        case SwitchZone():
            switch = {"enabled": command.enabled, "end_running": command.end_running}
            return HttpCall("POST", f"/nexus/zones/{command.zone}", switch)
        case CaptureBodies():
            return HttpCall("POST", "/nexus/capture", {"enabled": command.enabled})
        case ReplayRequest():
            path = one_request(command.request_id) + "/replay"
            wanted: dict[str, Any] = {"backend": command.backend}
            if command.edited is not None:
                wanted["body"] = json.loads(command.edited.body)
                wanted["headers"] = dict(command.edited.headers)
            return HttpCall("POST", path, wanted)
        case SendRequest():
            path = f"/nexus/send?{urlencode({'endpoint': command.endpoint})}"
            return HttpCall("POST", path, json.loads(command.body), dict(command.headers))
        case ReloadConfig():
            return HttpCall("POST", "/nexus/reload", {"only_plan": command.only_plan})
        case SaveConfig():
            save: dict[str, Any] = {"only_plan": command.only_plan}
            if command.only is not None:
                save["only"] = list(command.only)
            return HttpCall("POST", "/nexus/save", save)
        case _:
            assert_never(command)


def one_request(request_id: str) -> str:
    """Path of one request in the control API."""
    return f"/nexus/requests/{_segment(request_id)}"


def _backend(name: str, body: dict[str, Any]) -> HttpCall:
    return HttpCall("POST", f"/nexus/backends/{_segment(name)}", body)


def _segment(name: str) -> str:
    # A lone surrogate, which only a stranger can have put there, has no bytes of its own.
    return quote(name.encode("utf-8", "replace"), safe="")
