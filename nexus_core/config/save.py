"""Save changes to the config file, with its comments and layout kept."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, InlineTable, Item

from nexus_core.config.changes import (
    AddBackend,
    Change,
    ChangeRefusedError,
    SetBackend,
    SetZone,
)
from nexus_core.config.load import load_config
from nexus_core.config.schema import BackendConfig
from nexus_core.config.toml_lines import locate
from nexus_core.errors import ConfigError
from nexus_core.types import JsonObject, is_object

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """Planned change of the config file, as a diff to be confirmed."""

    path: Path
    before: bytes
    after: bytes
    text: str  # a unified diff; empty when nothing changes
    notes: tuple[str, ...]  # for people: what is not written, and why


def plan_changes(path: Path, changes: Iterable[Change]) -> ConfigDiff:
    """Plan the changes of the file; nothing is written.

    Raises:
        ConfigError: the file can't be read.
        ChangeRefusedError: it has no such backend, or has one of that name already.
    """
    before = _read(path)
    # As TOML has it: a line may end in CRLF, and that stays so.
    text = before.decode("utf-8").removeprefix(_BOM)
    bom = _BOM if before.startswith(_BOM.encode()) else ""
    notes: list[str] = []
    after = text
    for change in changes:
        match change:
            case SetBackend():
                after = _with_key_set(after, change)
            case AddBackend():
                after = _with_backend(after, change.backend)
            case SetZone():
                state = "on" if change.enabled else "off"
                notes.append(
                    f"zone {change.zone}: stays {state} until restart; zone switches can't be saved"
                )
            case _:
                assert_never(change)
    diff = _diff(path, text, after)
    return ConfigDiff(path, before, (bom + after).encode(), diff, tuple(notes))


def write(diff: ConfigDiff, environ: Mapping[str, str]) -> None:
    """Replace the config file atomically.

    Args:
        environ: as a start would have it: the new file must load with it.

    Raises:
        ChangeRefusedError: the file is not as it was planned on, or can't be written.
        ConfigError: the new file would be refused.
    """
    path = diff.path.resolve()  # behind a symbolic link, not in its place
    if _read(path) != diff.before:
        raise ChangeRefusedError(f"{diff.path} was changed meanwhile; review the changes again")
    _replace(path, diff.after, environ, mode=path.stat().st_mode & 0o7777)


def write_new(path: Path, text: str, environ: Mapping[str, str], *, replace: bool) -> None:
    """Write a new config file.

    Raises:
        ChangeRefusedError: there is one already and `replace` is false; or it can't be written.
        ConfigError: the new file would be refused.
    """
    try:
        if path.exists() and not replace:
            raise ChangeRefusedError(f"{path} exists already; --force replaces it")
        if path.exists() and not path.is_file():
            raise ChangeRefusedError(f"{path} is not a file")
        target = path.resolve()
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
    except OSError as error:  # its folder may not be looked into
        raise ChangeRefusedError(f"{path} can't be written: {error.strerror}") from error
    _replace(target, text.encode(), environ, mode=mode)


_PLAIN_KEYS = (
    *("name", "url", "type", "zone", "tier", "priority", "max_concurrent"),
    *("first_byte_timeout_seconds", "enabled"),
)


def backend_table(backend: BackendConfig, comments: Mapping[str, str] | None = None) -> str:
    """A [[backends]] table with its non-default keys; never contains an API key.

    Args:
        comments: for the end of a key's line.
    """
    defaults = BackendConfig.model_fields
    lines = ["[[backends]]"]
    for key in _PLAIN_KEYS:
        value = getattr(backend, key)
        if value is not None and (defaults[key].is_required() or value != defaults[key].default):
            lines.append(_line(key, value, comments))
    if backend.models is not None:
        lines.append(_line("models", _models(backend.models), comments))
    if backend.apis is not None:
        lines.append(_line("apis", list(backend.apis), comments))
    if backend.api_key_env is not None:
        lines.append(_line("api_key_env", backend.api_key_env, comments))
    if backend.proxy is not None:
        lines.append(_line("proxy", backend.proxy, comments))
    return "\n".join(lines) + "\n"


def _line(key: str, value: object, comments: Mapping[str, str] | None) -> str:
    comment = (comments or {}).get(key)
    text = f"{key} = {_toml(value)}"
    return f"{text}  # {comment}" if comment else text


def _models(models: dict[str, str]) -> list[str] | dict[str, str]:
    return list(models) if all(a == b for a, b in models.items()) else models


def _toml(value: object) -> str:
    if is_object(value):
        return _inline(value).as_string()
    # A StrEnum is a string to TOML, and to tomlkit nothing it knows.
    item: Item = tomlkit.item(str(value) if isinstance(value, str) else value)
    return item.as_string()


def _inline(values: JsonObject) -> InlineTable:
    table = tomlkit.inline_table()
    for key, value in values.items():
        table[key] = value
    return table


# The text -----------------------------------------------------------------------------------------


def _document(text: str) -> JsonObject:
    """The file with its comments, all of whose types are known when it runs only."""
    return tomlkit.parse(text)


def _with_key_set(text: str, change: SetBackend) -> str:
    document = _document(text)
    backends = document.get("backends", [])
    names = [backend.get("name") for backend in backends]
    if change.backend not in names:
        raise ChangeRefusedError(f'the file has no backend "{change.backend}"')
    index = names.index(change.backend)
    table = backends[index]
    if change.value is None:
        table.pop(change.key, None)
    elif change.key in table or not isinstance(backends, AoT):
        table[change.key] = change.value
    else:
        return _with_line_after_name(text, index, f"{change.key} = {_toml(change.value)}")
    return tomlkit.dumps(document)


def _with_line_after_name(text: str, index: int, line: str) -> str:
    """tomlkit would put a new key behind the comments of what follows the table."""
    number = locate(text)["backends", index, "name"]
    lines = text.split("\n")
    above = lines[number - 1]
    indent = above[: len(above) - len(above.lstrip())]
    lines.insert(number, indent + line + ("\r" if above.endswith("\r") else ""))
    return "\n".join(lines)


def _with_backend(text: str, backend: BackendConfig) -> str:
    document = _document(text)
    backends = document.get("backends", [])
    if any(present.get("name") == backend.name for present in backends):
        raise ChangeRefusedError(f'the file has a backend "{backend.name}" already')
    table = backend_table(backend)
    if isinstance(backends, Array):
        backends.insert(len(backends), _inline(tomlkit.parse(table)["backends"][0]))
        return tomlkit.dumps(document)
    if "\r\n" in text:
        table = table.replace("\n", "\r\n")
    ending = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else ending if text.endswith("\n") else ending * 2
    return text + gap + table


def _diff(path: Path, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""
    )
    return "\n".join(lines)


# The file -----------------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    """
    Raises:
        ConfigError: it can't be read, or is no TOML.
    """
    try:
        content = path.read_bytes()
        tomlkit.parse(content.decode("utf-8").removeprefix(_BOM))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text"]) from None
    except TOMLKitError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    return content


def _replace(path: Path, content: bytes, environ: Mapping[str, str], *, mode: int) -> None:
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ChangeRefusedError(f"{path.parent} can't be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        _check(Path(name), path, environ)
        os.replace(name, path)
    except OSError as error:
        raise ChangeRefusedError(f"{path} can't be written: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def _check(temporary: Path, path: Path, environ: Mapping[str, str]) -> None:
    """
    Raises:
        ConfigError: the file would be refused; told as if it stood in its place already.
    """
    try:
        load_config(temporary, environ)
    except ConfigError as error:
        raise ConfigError(
            replace(found, text=found.text.replace(str(temporary), str(path)))
            for found in error.found
        ) from None


def _umask() -> int:
    """Whatever it is; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
