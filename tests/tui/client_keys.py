"""Client keys for screens: three created ones in several states, and one of the environment."""

from __future__ import annotations

from nexus_core.config.schema import AuthConfig, ClientKey
from nexus_core.keys import changes
from nexus_core.keys.key import StoredKey
from tests.tui.fake_gateway import NOW, FakeGateway
from tests.tui.staged import Stage

DAY = 86_400.0
_LAPTOP = {
    "budget": 20,
    "rpm": 60,
    "tpm": "100k",
    "parallel": 4,
    "models": "llama*,qwen*",
    "zone": "restricted",
    "tier": 2,
    "expires": "30d",
}


def keys_of(gateway: FakeGateway) -> dict[str, StoredKey]:
    """The created ones by name."""
    store, _ = gateway.keys.parts()
    return {key.name: key for key in store.read()}


def make_keys(stage: Stage) -> None:
    """Make them, and use the first one."""
    gateway = stage.gateway
    auth = AuthConfig(api_keys=(ClientKey(name="ci-runner", value=b"key-of-ci"),))
    gateway.config = gateway.config.model_copy(update={"auth": auth})
    store, table = gateway.keys.parts()
    changes.create(store, "laptop", _LAPTOP, NOW - 0.5 * DAY, ())
    changes.create(store, "phone", {}, NOW - 0.4 * DAY, ())
    changes.create(store, "old-phone", {"rpm": 10}, NOW - 0.3 * DAY, ())
    changes.revoke(store, "old-phone", NOW - 0.1 * DAY)
    table.replace(store.read())
    meter = next(held.meter for held in table.keys if held.name == "laptop")
    for number in range(45):  # of which two are under way
        assert meter.wait(800, 0) == 0
        if number < 43:
            meter.leave(800, 800, 0, 0)
    spent = gateway.budget.reserve("laptop", 1_250_000_000, NOW)
    gateway.budget.settle(spent, 1_250_000_000, NOW)
