"""Check a valid configuration against the environment: findings with a hint each.

Pure but for the look at the disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from nexus_core.aliases import is_glob, may_overlap, resolve_aliases
from nexus_core.catalog import BackendType
from nexus_core.config import user_dirs
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    PolicyConfig,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.config.wording import did_you_mean, shown, shown_path
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.fleet.snapshot import first_byte_seconds
from nexus_core.money.price_list import load_price_list
from nexus_core.some_names import some_names
from nexus_core.types import HealthCause, PrivacyZone, ProbeResult

_MAX_NAMED = 5  # models in one line


class Level(StrEnum):
    """Severity of a finding."""

    OK = "ok"
    WARNING = "warning"  # it starts, and something in the configuration does nothing
    ERROR = "error"  # what the configuration asks for can't be had


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding of a configuration check."""

    level: Level
    about: str  # `backend "a"`, `routing.aliases."gpt-4"`, `storage`
    text: str  # for people
    hint: str | None = None  # what to do, where something is wrong


def check_config(
    config: Config, probes: Mapping[str, ProbeResult], fleet: Sequence[BackendSnapshot]
) -> Iterator[Finding]:
    """Check everything except the listen address.

    Args:
        probes: what each backend of the fleet that is on answered; by name.
        fleet: the backends after that.
    """
    yield _origin(config)
    for note in config.notes:
        yield Finding(Level.OK, "environment", note)
    for value in config.outdated:
        text, _, hint = value.partition("; ")
        yield Finding(Level.WARNING, "configuration", text, hint)
    for unusable in config.unusable:
        about = f'backend "{unusable.name}"'
        text, _, hint = unusable.why.removeprefix(f"{about}: ").partition("; ")
        yield Finding(Level.ERROR, about, text, hint or None)
    if not (fleet or config.unusable):
        hint = "start a local server, or add a backend to a config file; `nexus init` writes one"
        yield Finding(Level.ERROR, "backends", "no backend is configured or found", hint)
    configured = {backend.name: backend for backend in config.backends}
    for backend in fleet:
        yield from _backend(backend, probes.get(backend.name), configured.get(backend.name))
        yield from _first_byte(backend, config.server)
    yield from _models(config.routing, _ServedNames(fleet, probes))
    yield from _pricing(config)
    yield check_storage(config.storage.path)


def _origin(config: Config) -> Finding:
    if config.path is None:
        return Finding(
            Level.OK, "config", "no file; local servers are discovered on their usual ports"
        )
    return Finding(Level.OK, "config", str(config.path))


# Backends -----------------------------------------------------------------------------------------


def _backend(
    backend: BackendSnapshot, probe: ProbeResult | None, config: BackendConfig | None
) -> Iterator[Finding]:
    about = f'backend "{backend.name}"'
    if probe is None:
        yield Finding(Level.OK, about, "switched off; not probed")
        return
    if not probe.ok:
        text = probe.detail or "does not answer"
        yield Finding(Level.ERROR, about, f"{backend.url}: {text}", _hint(backend, probe, config))
        return
    table = config.models if config is not None else None
    if (listed := probe.models) is None:
        yield _unlisted(_place(backend, config), probe, about, is_configured=table is not None)
        return
    models = "1 model" if len(listed) == 1 else f"{len(listed)} models"
    text = f"{_place(backend, config)} lists {models}, {probe.elapsed_ms:.0f} ms"
    yield Finding(Level.OK, about, text)
    for model in sorted(set((table or {}).values()) - set(listed)):
        near = did_you_mean(model, listed)
        hint = f"load it there, or correct `models`{near}"
        yield Finding(Level.WARNING, about, f"does not list its model {shown(model)}", hint)


def _first_byte(backend: BackendSnapshot, server: ServerConfig) -> Iterator[Finding]:
    if not (backend.first_byte_timeout_seconds or server.first_byte_timeout_seconds):
        return  # as its type has it
    seconds, about = first_byte_seconds(backend, server), f'backend "{backend.name}"'
    if seconds > server.request_timeout_seconds:
        whole = f"server.request_timeout_seconds ({server.request_timeout_seconds:g})"
        text = f"first_byte_timeout_seconds ({seconds:g}) is over {whole}, which ends a request"
        yield Finding(
            Level.WARNING, about, text, "raise server.request_timeout_seconds, or lower the other"
        )
    elif backend.first_byte_timeout_seconds is not None:
        yield Finding(Level.OK, about, f"waits {seconds:g} s for the first byte of a stream")


def _place(backend: BackendSnapshot, config: BackendConfig | None) -> str:
    """What it is, where, and the way there."""
    via = config.via if config is not None else None
    way = f" through the proxy {via}" if via is not None else ""
    return f"{backend.type} at {backend.url}{way}"


def _unlisted(place: str, probe: ProbeResult, about: str, *, is_configured: bool) -> Finding:
    """It answers and takes the key, and tells no models."""
    note, _, rest = (probe.detail or "no model list").partition("; ")
    text = f"{place} answers, {probe.elapsed_ms:.0f} ms; {note}"
    if is_configured:
        return Finding(Level.OK, about, f"{text}; {rest}" if rest else text)
    return Finding(Level.WARNING, about, text, rest or None)


def _hint(backend: BackendSnapshot, probe: ProbeResult, config: BackendConfig | None) -> str:
    if probe.cause is HealthCause.AUTH:
        variable = config.api_key_env if config is not None else None
        return (
            f"set {variable} to a valid key"
            if variable
            else "set api_key_env: the backend requires a key"
        )
    if config is not None and config.via is not None:
        return (
            f"check the proxy {config.via} (from `proxy`, or HTTPS_PROXY or ALL_PROXY in the "
            f"environment), correct the url ({backend.url}), or set enabled = false"
        )
    first = "check the network" if backend.type.is_cloud else "start the server"
    return f"{first}, correct its url ({backend.url}), or set enabled = false"


# Models -------------------------------------------------------------------------------------------


class _ServedNames:
    """Which models the backends that are on serve, as far as they said."""

    def __init__(self, fleet: Iterable[BackendSnapshot], probes: Mapping[str, ProbeResult]) -> None:
        self.backends = [backend for backend in fleet if backend.name in probes]
        self.names = {name for backend in self.backends for name in backend.models}
        unknown = [backend.name for backend in self.backends if not backend.models_known]
        self.caveat = f" (the models of {', '.join(unknown)} are not known)" if unknown else ""


def _models(routing: RoutingConfig, served: _ServedNames) -> Iterator[Finding]:
    known = served.names | set(routing.aliases)
    for alias in routing.aliases:
        model = resolve_aliases(alias, routing.aliases)[-1]
        if model not in served.names and not _has_fallback(alias, routing, served):
            path = shown_path(("routing", "aliases", alias))
            yield _unserved(path, model, served)
    for name, others in routing.fallbacks.items():
        path = shown_path(("routing", "fallbacks", name))
        for other in others:
            model = resolve_aliases(other, routing.aliases)[-1]
            if model not in served.names:
                yield _unserved(path, model, served)
    for index, policy in enumerate(routing.policies):
        path = shown_path(("routing", "policies", index))
        if finding := _policy(path, policy, known, routing, served):
            yield finding


def _may_match_a_glob(policy: PolicyConfig, routing: RoutingConfig) -> bool:
    globs = filter(is_glob, routing.aliases)
    return any(may_overlap(glob, policy.model_pattern) for glob in globs)


def _has_fallback(alias: str, routing: RoutingConfig, served: _ServedNames) -> bool:
    others = [
        other
        for name in resolve_aliases(alias, routing.aliases)
        for other in routing.fallbacks.get(name, ())
    ]
    return any(resolve_aliases(o, routing.aliases)[-1] in served.names for o in others)


def _unserved(path: str, model: str, served: _ServedNames) -> Finding:
    text = f"no backend serves {shown(model)}{served.caveat}"
    hint = f"use a served model{did_you_mean(model, served.names)}"
    return Finding(Level.WARNING, path, text, hint)


def _policy(
    path: str, policy: PolicyConfig, known: set[str], routing: RoutingConfig, served: _ServedNames
) -> Finding | None:
    pattern = shown(policy.model_pattern)
    matched = sorted(name for name in known if fnmatchcase(name, policy.model_pattern))
    if not matched and not _may_match_a_glob(policy, routing):
        text = f"{pattern} matches no model and no alias{served.caveat}"
        return Finding(Level.WARNING, path, text, "correct the pattern, or remove the policy")
    targets = {name: resolve_aliases(name, routing.aliases)[-1] for name in matched}
    unmet = [
        name
        for name, model in targets.items()
        if model in served.names
        and not any(
            _meets(policy, backend) for backend in served.backends if model in backend.models
        )
    ]
    if not unmet:
        return None
    names = some_names([shown(name) for name in unmet], _MAX_NAMED)
    demand = " and ".join(_demands(policy))
    text = f"{pattern} requires {demand}: no backend may serve {names}{served.caveat}"
    return Finding(Level.WARNING, path, text, "add a matching backend, or loosen the policy")


def _meets(policy: PolicyConfig, backend: BackendSnapshot) -> bool:
    is_restricted = backend.zone is PrivacyZone.RESTRICTED
    if policy.privacy is PrivacyZone.RESTRICTED and not is_restricted:
        return False
    return policy.min_tier is None or (backend.tier is not None and backend.tier >= policy.min_tier)


def _demands(policy: PolicyConfig) -> Iterator[str]:
    if policy.privacy is PrivacyZone.RESTRICTED:
        yield "zone restricted"
    if policy.min_tier is not None:
        yield f"tier {policy.min_tier}"


# Prices -------------------------------------------------------------------------------------------


def _pricing(config: Config) -> Iterator[Finding]:
    """Tables of prices by which nothing is ever priced."""
    types = [each.value for each in BackendType]
    names = [name for name in config.pricing if name not in types]
    listed = load_price_list().providers if names else ()
    for name in names:
        if name in listed:
            continue
        own = [each.type for each in config.backends if each.name == name]
        mend = f"write [pricing.{own[0]}]" if own else "correct it"
        near = "" if own else did_you_mean(name, [*types, *listed])
        text = f"{shown(name)} is no type of backends, so it prices nothing"
        hint = f"prices go by a backend's type, not its name; {mend}{near}"
        yield Finding(Level.WARNING, shown_path(("pricing", name)), text, hint)


# The disk -----------------------------------------------------------------------------------------


def check_storage(configured: str | None) -> Finding:
    """Check whether the ledger is writable; nothing is created."""
    if configured == ":memory:":
        return Finding(Level.OK, "storage", "in memory; no ledger is kept")
    # Who names no path asks for no ledger, and is served without.
    level = Level.ERROR if configured else Level.WARNING
    if configured:
        path = user_dirs.expanded(configured)
    else:
        data = user_dirs.data_dir()
        path = None if data is None else data / "nexus.db"
    if path is None:
        text = "no home directory for the ledger: requests are not recorded"
        return Finding(level, "storage", text, "set storage.path to a writable file")
    problem = _why_not_writable(path)
    if problem is None:
        return Finding(Level.OK, "storage", f"{path} is writable")
    hint = "correct its permissions, or set storage.path to another file"
    return Finding(level, "storage", f"{path}: {problem}", hint)


def _why_not_writable(path: Path) -> str | None:
    try:
        if path.is_dir():
            return "is a directory"
        if path.exists():
            return None if os.access(path, os.R_OK | os.W_OK) else "is not writable"
        parent = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as error:
        return error.strerror or "can't be read"
    if not parent.is_dir():
        return f"{parent} is not a directory"
    return None if os.access(parent, os.W_OK | os.X_OK) else f"{parent} is not writable"
