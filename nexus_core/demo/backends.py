"""The demo's fleet: four simulated backends, made so that every kind of routing can be seen."""

from __future__ import annotations

from contextlib import AsyncExitStack
from random import Random
from types import TracebackType

from nexus_core.config import BackendConfig, Config, PolicyConfig, StorageConfig
from nexus_core.demo.simulated import Behaviour, Fault, SimulatedServer
from nexus_core.types import BackendType, PrivacyZone

LARGE_LOCAL = "llama3:70b"
SMALL_LOCAL = "llama3:8b"
CODER = "qwen2:72b"
CLOUD = "gpt-4o"
SMALL_CLOUD = "gpt-4o-mini"

ALIASES = {"gpt-4": LARGE_LOCAL, "gpt-3.5-turbo": SMALL_LOCAL, "secret-notes": LARGE_LOCAL}
FALLBACKS = {CODER: (LARGE_LOCAL,)}
POLICIES = (PolicyConfig(model_pattern="secret-*", privacy=PrivacyZone.RESTRICTED),)

# Often enough to be seen, and never two in a row: the backend stays in service.
_NOW_AND_THEN = (
    *(Fault.NONE, Fault.NONE, Fault.UNAVAILABLE, Fault.NONE, Fault.NONE),
    *(Fault.NONE, Fault.DROP, Fault.NONE, Fault.SLOW, Fault.NONE, Fault.UNAVAILABLE),
)


class DemoFleet:
    """Run the simulated backends while the context lasts; `config` points Nexus at them."""

    def __init__(self, random: Random | None = None, *, speed: float = 1.0) -> None:
        self._random = random or Random()  # noqa: S311 - made-up text, not a secret
        self._speed = speed
        self._cloud_key = f"sk-demo-{self._random.getrandbits(96):024x}"
        self._stack = AsyncExitStack()
        self.servers: dict[str, SimulatedServer] = {}  # by the backend's name, once it runs

    async def __aenter__(self) -> DemoFleet:
        async with AsyncExitStack() as stack:
            for name, behaviour in self._behaviours().items():
                server = SimulatedServer(behaviour, random=self._random, speed=self._speed)
                self.servers[name] = await stack.enter_async_context(server)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def config(self, base: Config) -> Config:
        """`base` with the simulated backends, their aliases and a restricted policy.

        Backends, aliases, fallbacks and policies of `base` are left out, and nothing is
        written to its ledger: made-up requests must not count as spending.
        """
        routing = base.routing.model_copy(
            update={"aliases": ALIASES, "fallbacks": FALLBACKS, "policies": POLICIES}
        )
        return base.model_copy(
            update={
                "backends": self._backends(),
                "routing": routing,
                "storage": StorageConfig(path=":memory:"),
                "unusable": (),
            }
        )

    def _behaviours(self) -> dict[str, Behaviour]:
        return {
            "gpu-box": Behaviour(
                models=(LARGE_LOCAL, CODER), tokens_per_second=55, first_token_seconds=0.2
            ),
            "workstation": Behaviour(
                models=(LARGE_LOCAL, SMALL_LOCAL), tokens_per_second=30, first_token_seconds=0.5
            ),
            "old-laptop": Behaviour(
                models=(SMALL_LOCAL,),
                tokens_per_second=35,
                first_token_seconds=0.4,
                faults=_NOW_AND_THEN,
            ),
            "openai": Behaviour(
                models=(CLOUD, SMALL_CLOUD),
                tokens_per_second=60,
                first_token_seconds=0.35,
                api_key=self._cloud_key,
            ),
        }

    def _backends(self) -> tuple[BackendConfig, ...]:
        """Priorities lie far apart, so that load and latency seldom change the first choice."""
        return (
            BackendConfig(
                name="gpu-box",
                url=self.servers["gpu-box"].url,
                type=BackendType.VLLM,
                zone=PrivacyZone.RESTRICTED,
                tier=3,
                priority=90,
                max_concurrent=3,
                models=_as_they_are(LARGE_LOCAL, CODER),
            ),
            BackendConfig(
                name="workstation",
                url=self.servers["workstation"].url,
                type=BackendType.OLLAMA,
                zone=PrivacyZone.RESTRICTED,
                tier=2,
                priority=20,
                max_concurrent=4,
                # Stands in for the small cloud model when a prompt must stay here.
                models=_as_they_are(LARGE_LOCAL, SMALL_LOCAL) | {SMALL_CLOUD: SMALL_LOCAL},
            ),
            BackendConfig(
                name="old-laptop",
                url=self.servers["old-laptop"].url,
                type=BackendType.LLAMACPP,
                zone=PrivacyZone.RESTRICTED,
                tier=1,
                priority=80,
                max_concurrent=2,
                models=_as_they_are(SMALL_LOCAL),
            ),
            BackendConfig(
                name="openai",
                url=self.servers["openai"].url,
                type=BackendType.OPENAI,
                zone=PrivacyZone.OPEN,
                tier=4,
                priority=80,
                # Takes what the large local model can't when the local backends are full.
                models=_as_they_are(CLOUD, SMALL_CLOUD) | {LARGE_LOCAL: CLOUD},
                api_key=self._cloud_key,
            ),
        )


def _as_they_are(*models: str) -> dict[str, str]:
    return {model: model for model in models}
