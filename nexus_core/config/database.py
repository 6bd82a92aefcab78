"""The URL of PostgreSQL, as an environment variable holds it; no message repeats any of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from urllib.parse import urlsplit

from nexus_core.config.schema import StorageConfig

INSTALL = "pip install 'nexus-gateway[fleet]'"
_FORM = "postgresql://USER:PASSWORD@HOST/DATABASE"


def with_database(
    storage: StorageConfig, environ: Mapping[str, str], problem: Callable[[str], None]
) -> StorageConfig:
    """Add the URL that `[storage] url_env` names, or tell why there is none."""
    if storage.url_env is None:
        return storage
    text = environ.get(storage.url_env, "").strip()
    why = _why_not(storage, text, is_set=storage.url_env in environ)
    if why is not None:
        problem(f"{storage.url_env}: {why}")
        return storage
    return storage.model_copy(update={"url": text})


def _why_not(storage: StorageConfig, text: str, *, is_set: bool) -> str | None:
    if not text:
        state = "is empty" if is_set else "is not set"
        return f"{state}; export it as {_FORM}, or remove [storage] url_env"
    if not _is_url(text):
        return f"is no URL of PostgreSQL; export it as {_FORM}"
    if urlsplit(text).netloc.count("@") > 1:  # libpq ends the password at the first one
        return "has an @ in its password; write that as %40"
    if storage.path == ":memory:":
        return (
            'needs a ledger file, in which rows wait for PostgreSQL: [storage] path is ":memory:"'
        )
    if find_spec("psycopg") is None:
        return f"PostgreSQL needs a client that is not installed; {INSTALL}"
    return None


def _is_url(text: str) -> bool:
    """Several hosts, and the folder of a socket as a query, are fine."""
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        return False
    return (
        text.isprintable()
        and not any(char.isspace() for char in text)
        and scheme in ("postgresql", "postgres")
        and text.startswith(f"{scheme}://")
    )
