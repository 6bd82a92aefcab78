"""Backends of the demo, chosen so that every kind of routing is shown."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import TracebackType

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, PolicyConfig, StorageConfig
from nexus_core.demo.simulated import (
    AnthropicFormat,
    Behaviour,
    Fault,
    GoogleFormat,
    OpenAIFormat,
    SimulatedServer,
)
from nexus_core.demo.simulated.wire import WireFormat
from nexus_core.types import PrivacyZone

LARGE_LOCAL = "llama3:70b"
SMALL_LOCAL = "llama3:8b"
CODER = "qwen2:72b"
CLOUD = "gpt-4o"
SMALL_CLOUD = "gpt-4o-mini"
CLAUDE = "claude-sonnet-4-6"
SMALL_CLAUDE = "claude-haiku-4-5"
HAIKU = "claude-haiku-4-5-20251001"  # what subagents ask for; here a local model serves it
CODEX = "gpt-5-codex"  # what the other agent asks for; the same one serves it
GEMINI = "gemini-2.5-flash"
NEW_GEMINI = "gemini-3-flash-preview"

# Of the demo's own tools. No other is called: no shell of a real client gets made-up commands.
TOOL_PREFIX = "demo_"

ALIASES = {
    "gpt-4": LARGE_LOCAL,
    "gpt-3.5-turbo": SMALL_LOCAL,
    "secret-notes": LARGE_LOCAL,
    HAIKU: CODER,
    CODEX: CODER,
}
FALLBACKS = {CODER: (LARGE_LOCAL,)}
POLICIES = (PolicyConfig(model_pattern="secret-*", privacy=PrivacyZone.RESTRICTED),)

# Often enough to be seen, and never two in a row: the backend stays in service.
_NOW_AND_THEN = (
    *(Fault.NONE, Fault.NONE, Fault.UNAVAILABLE, Fault.NONE, Fault.NONE),
    *(Fault.NONE, Fault.DROP, Fault.NONE, Fault.SLOW, Fault.NONE, Fault.UNAVAILABLE),
)


@dataclass(frozen=True, slots=True)
class _Simulation:
    """What a backend of the fleet does, and in whose format."""

    behaviour: Behaviour
    wire: WireFormat


class DemoFleet:
    """Run the simulated backends while the context lasts; `config` points Nexus at them."""

    def __init__(self, random: Random | None = None, *, speed: float = 1.0) -> None:
        self._random = random or Random()  # noqa: S311 - made-up text, not a secret
        self._speed = speed
        self._keys = {
            name: f"{prefix}demo-{self._random.getrandbits(96):024x}"
            for name, prefix in (("openai", "sk-"), ("anthropic", "sk-ant-"), ("google", "AIza"))
        }
        self._stack = AsyncExitStack()
        self._folder = ""  # once it runs
        self.servers: dict[str, SimulatedServer] = {}  # by the backend's name, once it runs

    async def __aenter__(self) -> DemoFleet:
        async with AsyncExitStack() as stack:
            with suppress(OSError):  # a read-only file system: the ledger is kept in memory
                self._folder = stack.enter_context(TemporaryDirectory(prefix="nexus-demo-"))
            for name, simulation in self._simulations().items():
                server = SimulatedServer(
                    replace(simulation.behaviour, tool_prefix=TOOL_PREFIX),
                    wire=simulation.wire,
                    random=self._random,
                    speed=self._speed,
                )
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
        written to its ledger: made-up requests must not count as spending. They have one of their
        own, which goes with the demo.
        """
        routing = base.routing.model_copy(
            update={"aliases": ALIASES, "fallbacks": FALLBACKS, "policies": POLICIES}
        )
        return base.model_copy(
            update={
                "backends": self._backends(),
                "routing": routing,
                "storage": StorageConfig(
                    path=str(Path(self._folder, "demo.db")) if self._folder else ":memory:"
                ),
                "unusable": (),
            }
        )

    def _simulations(self) -> dict[str, _Simulation]:
        openai, ollama = OpenAIFormat(), OpenAIFormat(embeds_floats_only=True)
        return {
            "gpu-box": _Simulation(
                Behaviour(
                    models=(LARGE_LOCAL, CODER), tokens_per_second=55, first_token_seconds=0.2
                ),
                openai,
            ),
            "workstation": _Simulation(
                Behaviour(
                    models=(LARGE_LOCAL, SMALL_LOCAL), tokens_per_second=30, first_token_seconds=0.5
                ),
                ollama,
            ),
            "old-laptop": _Simulation(
                Behaviour(
                    models=(SMALL_LOCAL,),
                    tokens_per_second=35,
                    first_token_seconds=0.4,
                    faults=_NOW_AND_THEN,
                ),
                openai,
            ),
            "openai": _Simulation(
                Behaviour(
                    models=(CLOUD, SMALL_CLOUD),
                    tokens_per_second=60,
                    first_token_seconds=0.35,
                    api_key=self._keys["openai"],
                ),
                openai,
            ),
            "anthropic": _Simulation(
                Behaviour(
                    models=(CLAUDE, SMALL_CLAUDE),
                    tokens_per_second=50,
                    first_token_seconds=0.6,
                    api_key=self._keys["anthropic"],
                ),
                AnthropicFormat(),
            ),
            "google": _Simulation(
                Behaviour(
                    models=(GEMINI, NEW_GEMINI),
                    tokens_per_second=80,
                    first_token_seconds=0.3,
                    api_key=self._keys["google"],
                ),
                GoogleFormat(),
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
            # Takes what the large local model can't when the local backends are full.
            self._cloud(
                BackendType.OPENAI,
                _as_they_are(CLOUD, SMALL_CLOUD) | {LARGE_LOCAL: CLOUD},
                priority=80,
            ),
            self._cloud(BackendType.ANTHROPIC, _as_they_are(CLAUDE, SMALL_CLAUDE), priority=55),
            self._cloud(BackendType.GOOGLE, _as_they_are(GEMINI, NEW_GEMINI), priority=50),
        )

    def _cloud(self, kind: BackendType, models: dict[str, str], *, priority: int) -> BackendConfig:
        """A provider's account; the backend bears the provider's name."""
        return BackendConfig(
            name=kind.value,
            url=self.servers[kind.value].url,
            type=kind,
            zone=PrivacyZone.OPEN,
            tier=4,
            priority=priority,
            models=models,
            api_key=self._keys[kind.value],
        )


def _as_they_are(*models: str) -> dict[str, str]:
    return {model: model for model in models}
