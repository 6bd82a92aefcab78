"""Load nexus.toml: find it, read it, and report all of its problems."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli
from pydantic import ValidationError

from nexus_core.aliases import faults_of_aliases
from nexus_core.config import user_dirs
from nexus_core.config.by_type import faults_by_type, implied_by_type
from nexus_core.config.database import with_database
from nexus_core.config.loopback import is_loopback
from nexus_core.config.outbound_proxy import OutboundProxy, proxy_of_environment, read_proxy_url
from nexus_core.config.problems import Problems, syntax_problem
from nexus_core.config.schema import (
    COMPUTED,
    AuthConfig,
    BackendConfig,
    ClientKey,
    Config,
    KeyPath,
    ServerConfig,
    UnusableBackend,
)
from nexus_core.config.sections.fleet import with_url
from nexus_core.config.wording import A_DATE, faults_of, shown, unknown_key
from nexus_core.errors import ConfigError
from nexus_core.types import is_list, is_object

FILE_NAME = "nexus.toml"

# For a service called "nexus", Kubernetes sets NEXUS_PORT=tcp://10.0.0.1:8000 in every container
# of its namespace, as Docker's links did.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_FOREIGN = re.compile(r"(?:tcp|udp|sctp)://", re.IGNORECASE)
_VARIABLES = ("NEXUS_HOST", "NEXUS_PORT", "NEXUS_CONFIG")


class Overrides(msgspec.Struct, frozen=True):
    """Command-line options; they take precedence over variables and the file."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None


def search_path(cwd: Path) -> tuple[Path, ...]:
    """Default places of the config file, in order."""
    folders = [cwd, user_dirs.config_dir()]
    return tuple(folder / FILE_NAME for folder in folders if folder is not None)


def find_config(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Path of the config file to use; None without one.

    Raises:
        ConfigError: the option or NEXUS_CONFIG names a file that does not exist.
    """
    variable = _own(environ, "NEXUS_CONFIG")
    named = explicit or (Path(variable) if variable else None)
    if named is None:
        return next((path for path in search_path(cwd) if _is_file(path)), None)
    try:
        is_there = named.exists()
    except OSError:
        return named  # told when it is read
    if not is_there:
        origin = "--config" if explicit else "NEXUS_CONFIG"
        raise ConfigError([f"{named}: no such file; set by {origin}"])
    return named


def _is_file(path: Path) -> bool:
    """Also where the folder is somebody else's, such as root's home."""
    try:
        return path.is_file()
    except OSError:
        return False


def load_config(
    path: Path | None, environ: Mapping[str, str], overrides: Overrides | None = None
) -> Config:
    """Load the configuration: file, environment variables and command-line options.

    Raises:
        ConfigError: with every problem of the file, the environment and both together.
    """
    overrides = overrides or Overrides()
    document = _read(path)
    problems = Problems(path, document.text)
    config = _checked(document.values, problems)
    _check_together(document.values, problems)
    server = _server(config.server, environ, overrides, problems)
    auth = _with_keys(config.auth, environ, problems)
    if not problems.concern("auth"):
        _refuse_open_door(server, auth, overrides, environ, problems)
    storage = with_database(config.storage, environ, problems.add_outside)
    fleet = config.fleet and with_url(config.fleet, environ, problems.add_outside)
    problems.raise_if_any()
    backends = [with_environment(backend, environ) for backend in config.backends]
    return config.model_copy(
        update={
            "server": server,
            "auth": auth,
            "storage": storage,
            "fleet": fleet,
            "backends": tuple(b for b in backends if isinstance(b, BackendConfig)),
            "unusable": tuple(b for b in backends if isinstance(b, UnusableBackend)),
            "path": path.absolute() if path else None,
            "notes": tuple(_notes(environ)),
            "outdated": tuple(_outdated(document.values)),
        }
    )


# The values ---------------------------------------------------------------------------------------


def _checked(values: dict[str, Any], problems: Problems) -> Config:
    """The file's sections; those with problems are left at their defaults."""
    prepared = _without_computed(values, (), problems)
    for name in ("auth", "fleet", "storage"):
        if is_object(section := values.get(name)):
            prepared[name] = _without_computed(section, (name,), problems)
    if is_object(server := values.get("server")) and _is_old_engine(server):
        prepared["server"] = {**server, "upstream": "http1"}
    if is_list(backends := values.get("backends")):
        prepared["backends"] = [
            _prepared_backend(backend, ("backends", index), problems)
            for index, backend in enumerate(backends)
        ]
    try:
        return Config.model_validate_json(json.dumps(prepared))
    except ValidationError as error:
        found = faults_of(error)
        for fault in found:
            problems.add(fault.path, fault.text, is_key=fault.is_key)
        wrong = {fault.path[0] for fault in found}
        good = {section: value for section, value in prepared.items() if section not in wrong}
        return Config.model_validate_json(json.dumps(good))


def _without_computed(table: dict[str, Any], path: KeyPath, problems: Problems) -> dict[str, Any]:
    parents = tuple(part for part in path if isinstance(part, str))
    computed = [key for key in table if (*parents, key) in COMPUTED]
    for key in computed:
        problems.add((*path, key), unknown_key((*path, key)), is_key=True)
    return {key: value for key, value in table.items() if key not in computed}


def _is_old_engine(server: Mapping[str, object]) -> bool:
    """Whether the file names the library that HTTP/1.1 was left to before."""
    return server.get("upstream") == "aiohttp"


def _outdated(values: Mapping[str, Any]) -> Iterator[str]:
    """One for each value that has another name now."""
    if is_object(server := values.get("server")) and _is_old_engine(server):
        yield 'server.upstream: "aiohttp" is now "http1", and is read as that; correct the file'


def _prepared_backend(backend: object, path: KeyPath, problems: Problems) -> object:
    """A backend as written, with the zone and the URL that its type implies."""
    if not is_object(backend):
        return backend
    return implied_by_type(backend) | _without_computed(backend, path, problems)


def _check_together(values: dict[str, Any], problems: Problems) -> None:
    """What no single key shows. The values may still be of any type."""
    backends = values.get("backends")
    if is_list(backends):
        _check_backends([b if is_object(b) else {} for b in backends], problems)
    routing = values.get("routing")
    aliases = routing.get("aliases") if is_object(routing) else None
    if is_object(aliases):
        _check_aliases({k: v for k, v in aliases.items() if isinstance(v, str)}, problems)


def _check_backends(backends: list[dict[str, Any]], problems: Problems) -> None:
    first_of: dict[str, int] = {}
    for index, backend in enumerate(backends):
        name = backend.get("name")
        if isinstance(name, str) and first_of.setdefault(name, index) != index:
            text = f"duplicate name {shown(name)}, already used by backends[{first_of[name]}]"
            problems.add(("backends", index, "name"), text)
        for key, text in faults_by_type(backend):
            problems.add(("backends", index, key), text)


def _check_aliases(aliases: dict[str, str], problems: Problems) -> None:
    for name, text in faults_of_aliases(aliases, shown):
        problems.add(("routing", "aliases", name), text)


# The environment --------------------------------------------------------------------------------


def _server(
    server: ServerConfig, environ: Mapping[str, str], overrides: Overrides, problems: Problems
) -> ServerConfig:
    host, port = overrides.host, overrides.port
    workers = server.workers if overrides.workers is None else overrides.workers
    if host is None:
        host = _own(environ, "NEXUS_HOST") or server.host
    if port is None:
        text = _own(environ, "NEXUS_PORT")
        port = server.port if text is None else _port(text, problems)
    if not re.fullmatch(r"\S+", host):
        origin = "--host" if overrides.host is not None else "NEXUS_HOST"
        problems.add_outside(f"{origin}: is not an address or a host name")
    return server.model_copy(update={"host": host, "port": port, "workers": workers})


def _own(environ: Mapping[str, str], name: str) -> str | None:
    """A variable of Nexus's; None where it is not set, empty, or set by somebody else."""
    text = environ.get(name, "").strip()
    return None if not text or _FOREIGN.match(text) else text


def _notes(environ: Mapping[str, str]) -> Iterator[str]:
    """One for each variable that bears a name of Nexus's and is not meant for it."""
    for name in _VARIABLES:
        text = environ.get(name, "").strip()
        if _FOREIGN.match(text):
            yield (
                f"{name} is ignored: {shown(text)} is set by Kubernetes or Docker links "
                'for a service called "nexus"'
            )


def _port(text: str, problems: Problems) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text) and int(text) <= 65535:
        return int(text)
    problems.add_outside(f"NEXUS_PORT: {shown(text)} is not a port between 0 and 65535")
    return 0


def _with_keys(auth: AuthConfig, environ: Mapping[str, str], problems: Problems) -> AuthConfig:
    keys: tuple[ClientKey, ...] = ()
    admin_key = None
    if (text := environ.get(auth.api_keys_env)) is not None:
        try:
            keys = _client_keys(text)
        except ValueError as error:
            problems.add_outside(f"{auth.api_keys_env}: {error}")
    if (text := environ.get(auth.admin_key_env)) is not None:
        try:
            admin_key = _key_value(text)
        except ValueError as error:
            problems.add_outside(f"{auth.admin_key_env}: {error}")
    return auth.model_copy(update={"api_keys": keys, "admin_key": admin_key})


def _client_keys(text: str) -> tuple[ClientKey, ...]:
    """The keys of `key,name:key,…`. No message repeats any of it."""
    if not text.strip():
        raise ValueError("is set but empty; set it to the client keys, or unset it")
    keys: list[ClientKey] = []
    for number, entry in enumerate(text.split(","), start=1):
        name, colon, value = entry.strip().partition(":")
        if not colon:
            name, value = f"key-{number}", name
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name.strip()):
            raise ValueError(
                f"entry {number} has no usable name before the colon (A-Z a-z 0-9 . _ -)"
            )
        try:
            keys.append(ClientKey(name=name.strip(), value=_key_value(value)))
        except ValueError as error:
            raise ValueError(f"entry {number} {error}") from None
    if len({key.name for key in keys}) < len(keys):
        raise ValueError("contains a duplicate name")
    if len({key.value for key in keys}) < len(keys):
        raise ValueError("contains a duplicate key")
    return tuple(keys)


def _key_value(text: str) -> bytes:
    value = text.strip()
    if not value:
        raise ValueError("is empty; set it to a key, or unset it")
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError("contains a character not allowed in HTTP headers")
    return value.encode("ascii")


def with_environment(
    backend: BackendConfig, environ: Mapping[str, str]
) -> BackendConfig | UnusableBackend:
    """Add key and proxy of the environment to a backend, or the reason why it is unusable."""
    why, via = None, None
    key = environ.get(backend.api_key_env, "").strip() if backend.api_key_env else None
    if key == "":
        state = "is empty" if backend.api_key_env in environ else "is not set"
        why = f"{backend.api_key_env} {state}; export it or remove the backend"
    elif key is not None and not re.fullmatch(r"[!-~]+", key):
        why = f"{backend.api_key_env} contains a character not allowed in HTTP headers"
    else:
        try:
            via = _proxy(backend, environ)
        except ValueError as error:
            why = f"{error}; correct it, or set proxy"
    if why is None:
        return backend.model_copy(update={"api_key": key, "via": via})
    why = f'backend "{backend.name}": {why}'
    return UnusableBackend(name=backend.name, type=backend.type, zone=backend.zone, why=why)


def _proxy(backend: BackendConfig, environ: Mapping[str, str]) -> OutboundProxy | None:
    """
    Raises:
        ValueError: a variable should name a proxy and does not.
    """
    if backend.proxy is not None:
        return read_proxy_url(backend.proxy)
    return proxy_of_environment(backend.url, environ) if backend.type.is_cloud else None


def _refuse_open_door(
    server: ServerConfig,
    auth: AuthConfig,
    overrides: Overrides,
    environ: Mapping[str, str],
    problems: Problems,
) -> None:
    """Other machines may reach Nexus only with a key."""
    if auth.api_keys or is_loopback(server.host) or not server.host.strip():
        return
    text = (
        f"{shown(server.host)} is reachable from other machines without client keys; "
        f"set {auth.api_keys_env} to one or more keys, separated by commas, or listen on 127.0.0.1"
    )
    if overrides.host is not None:
        problems.add_outside(f"--host: {text}")
    elif _own(environ, "NEXUS_HOST"):
        problems.add_outside(f"NEXUS_HOST: {text}")
    else:
        problems.add(("server", "host"), text)


# The file ---------------------------------------------------------------------------------------


class _Document(msgspec.Struct, frozen=True):
    values: dict[str, Any]
    text: str


def _read(path: Path | None) -> _Document:
    if path is None:
        return _Document({}, "")
    text = ""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _Document(_jsonable(tomli.loads(text)), text)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: is not UTF-8 text"]) from None
    except tomli.TOMLDecodeError as error:
        problem = syntax_problem(path, text, error.pos, error.msg)
        raise ConfigError([problem]) from None
    except RecursionError:
        raise ConfigError([f"{path}: lists or tables are nested too deeply"]) from None
    except ValueError:  # an integer of thousands of digits
        raise ConfigError([f"{path}: a number has too many digits"]) from None


def _jsonable(value: Any) -> Any:
    """The document without what JSON cannot say: strict validation of JSON takes "open" for a
    zone and a list for a tuple, but no "3" for a 3."""
    if is_object(value):
        return {key: _jsonable(item) for key, item in value.items()}
    if is_list(value):
        return [_jsonable(item) for item in value]
    if isinstance(value, datetime.date | datetime.time):
        return A_DATE
    if isinstance(value, int):
        str(value)  # hexadecimal gets past the limit on digits
    return value
