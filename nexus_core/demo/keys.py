"""Client keys of the demo: its traffic comes with them, and their limits are seen to fill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nexus_core.gateway import Gateway
from nexus_core.keys import changes

_DAY_SECONDS = 86_400.0
# Wide enough for the traffic: a demo refuses nobody for them.
_KEYS: Mapping[str, Mapping[str, Any]] = {
    "laptop": {"rpm": 120, "parallel": 16, "budget": 2},
    "ci": {"tpm": "100k", "expires": "30d"},
    "phone": {},
}
_FORMER = "old-phone"


async def make_keys(gateway: Gateway) -> tuple[str, ...]:
    """Create them, and one that is revoked; gives the secrets of the others.

    They are kept where the demo's costs are, and go with them. Where there are keys already, none
    is made.
    """
    store, _ = gateway.keys.parts()
    if store.read():
        return ()
    now = gateway.now()
    made = [
        changes.create(store, name, limits, now - (3 - number) * _DAY_SECONDS, ())
        for number, (name, limits) in enumerate(_KEYS.items())
    ]
    changes.create(store, _FORMER, {"rpm": 20}, now - 9 * _DAY_SECONDS, ())
    changes.revoke(store, _FORMER, now - _DAY_SECONDS)
    await gateway.keys.refresh()
    return tuple(issued.secret for issued in made)
