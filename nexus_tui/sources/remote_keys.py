"""Client keys of an attached Nexus: the calls."""

from __future__ import annotations

from urllib.parse import quote

from nexus_tui.sources.client_keys import KeyChange
from nexus_tui.sources.remote_calls import HttpCall

LIST_CALL = HttpCall("GET", "/nexus/keys")


def change_call(change: KeyChange) -> HttpCall:
    """HTTP call of a command on a client key."""
    path = f"/nexus/keys/{quote(change.name.encode('utf-8', 'replace'), safe='')}"
    match change.verb:
        case "create":
            return HttpCall("POST", "/nexus/keys", {"name": change.name, **change.asked})
        case "limit":
            return HttpCall("POST", path, dict(change.asked))
        case "rotate":
            return HttpCall("POST", f"{path}/rotate", {"grace": change.grace})
        case "block" | "unblock":
            return HttpCall("POST", f"{path}/block", {"blocked": change.verb == "block"})
        case "revoke":
            return HttpCall("POST", f"{path}/revoke", {})
