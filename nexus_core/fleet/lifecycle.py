"""Add, remove and change backends at run time, with their agents and probes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from nexus_core.config.changes import AddBackend, Change, SetBackend, SetZone
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.fleet.health import HealthChecks
from nexus_core.fleet.registry import BackendSnapshot, Registry
from nexus_core.providers import AgentSettings, InferenceAgent, create_agent
from nexus_core.types import PrivacyZone, ProbeResult
from nexus_core.upstream.base import UpstreamEngine

log = logging.getLogger(__name__)


class Fleet:
    """The backends of the gateway: registry, agents and health checks in step."""

    def __init__(self, config: Config, engine: UpstreamEngine, registry: Registry) -> None:
        self._engine = engine
        self._registry = registry
        self._settings = _settings(config)
        self.agents: dict[str, InferenceAgent] = {  # also of those that only finish what runs
            backend.name: self._agent(backend) for backend in config.backends
        }
        self.health = HealthChecks(self.agents, registry, config.health_check)
        self._added: dict[str, BackendConfig] = {}  # since the start, and not by a configuration

    def add(self, backend: BackendConfig, found: ProbeResult | None = None) -> None:
        """Take in a backend; it is asked what it can do right away.

        Args:
            found: what a look at it has just shown; its models can be asked for at once.

        Raises:
            ValueError: there is one of that name.
        """
        agent = self._agent(backend)
        self._registry.add(backend)
        self.agents[backend.name] = agent
        self._added[backend.name] = backend
        self.health.probe_place(backend.name)
        if found is not None:
            self.health.take_in(backend.name, found)
        self._forget_agents()

    def remove(self, name: str) -> None:
        """Leave a backend out; what is under way there finishes.

        Raises:
            KeyError: there is no backend of that name.
        """
        self._registry.remove(name)
        self._added.pop(name, None)
        self.health.forget(name)
        self._forget_agents()

    def unsaved(self, config: Config) -> Iterator[Change]:
        """What lasts until restart only: how the backends differ from their configuration."""
        configured = {backend.name: backend for backend in config.backends}
        for now in self._registry.snapshots():
            added = self._added.get(now.name)
            if (backend := configured.get(now.name)) is not None:
                if now.enabled != backend.enabled:
                    yield SetBackend(now.name, "enabled", now.enabled)
                if now.tier != backend.tier:
                    yield SetBackend(now.name, "tier", now.tier)
                if now.priority != backend.priority:
                    yield SetBackend(now.name, "priority", now.priority)
            elif added is not None:
                update = {"enabled": now.enabled, "tier": now.tier, "priority": now.priority}
                yield AddBackend(added.model_copy(update=update))
        for zone in PrivacyZone:
            if not self._registry.is_zone_enabled(zone):
                yield SetZone(zone, enabled=False)

    def apply(self, new: Config, old: Config, planned: Sequence[BackendSnapshot]) -> None:
        """Bring backends and health checks from one configuration to another.

        Args:
            planned: the backends as they are afterwards, those that were found included.
        """
        before, after = self._settings, {snapshot.name: snapshot for snapshot in planned}
        self._settings = _settings(new)
        agents = {
            backend.name: self._agent(backend)
            for backend in new.backends
            if self._settings != before or backend not in old.backends
        }
        self.agents |= agents
        self.health.configure(new.health_check)
        removed = [name for name in self._registry.names if name not in after]
        for name in removed:
            self._registry.remove(name)
            self.health.forget(name)
        for name in [*removed, *(backend.name for backend in new.backends)]:
            self._added.pop(name, None)
        known = set(self._registry.names)
        for backend in new.backends:
            if backend.name in known:
                is_table = backend.models is not None
                self._registry.change(after[backend.name], models_are_configured=is_table)
            else:
                self._registry.add(backend)
            if backend.name in agents:
                self.health.probe_place(backend.name)
        self._registry.arrange(after)
        self._forget_agents()

    def _agent(self, backend: BackendConfig) -> InferenceAgent:
        if backend.via is not None:
            library = " with httpx" if backend.via.is_socks else ""
            log.info("backend=%s goes through the proxy %s%s", backend.name, backend.via, library)
        return create_agent(backend, self._engine, self._settings)

    def _forget_agents(self) -> None:
        """Drop those of backends that are gone and serve nobody any more."""
        for name in [name for name in self.agents if not self._registry.knows(name)]:
            del self.agents[name]


def _settings(config: Config) -> AgentSettings:
    return AgentSettings(
        connect_timeout_seconds=config.server.connect_timeout_seconds,
        max_response_bytes=config.server.max_response_bytes,
        rejects_hints=config.routing.unsupported_params == "reject",
    )
