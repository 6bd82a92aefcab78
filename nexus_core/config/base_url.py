"""Base URLs of backends: paths for chat, model lists and server-specific endpoints. Pure.

OpenAI's SDK sends to `base_url + /chat/completions`, so vendors print a base that already ends in
their version: `https://open.bigmodel.cn/api/paas/v4`. Others print the root and mean /v1 below it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import assert_never
from urllib.parse import urlsplit

import msgspec

from nexus_core.catalog import BackendType
from nexus_core.types import DialectName

_VERSION = re.compile(r"v\d{1,2}(?:[.p]\d{1,2})?(?:(?:alpha|beta|preview)\d{0,2})?", re.IGNORECASE)

# What ends a base beside a version: below it is /chat/completions, and no /v1.
_SUFFIXES = (
    # Google, DeepInfra, Novita, Cloudflare's gateway: a version stands somewhere before it.
    # https://ai.google.dev/gemini-api/docs/openai  https://deepinfra.com/docs/openai_api
    re.compile(r".*/(?:v\d{1,2}(?:alpha|beta)?\d{0,2}(?:/[^/]+)*|api)/openai"),
    # https://developers.cloudflare.com/ai-gateway/usage/chat-completion/
    re.compile(r".*/v\d{1,2}(?:/[^/]+)*/compat"),
    # https://docs.cloud.google.com/vertex-ai/generative-ai/docs/start/openai
    re.compile(r".*/endpoints/openapi"),
    # https://docs.databricks.com/aws/en/machine-learning/model-serving/query-chat-models
    re.compile(r".*/serving-endpoints"),
    # https://docs.github.com/en/rest/models/inference
    re.compile(r".*/inference"),
)
# Hosts whose bases look like those and have a version below them all the same.
_VERSIONED_BELOW = ("fireworks.ai", "runpod.ai")

# Hosts that are printed bare and do not mean /v1: where their base really is.
_BARE = {
    "api.perplexity.ai": "",
    "models.inference.ai.azure.com": "",
    "models.github.ai": "/inference",
}
_BARE_DOMAINS = {".openai.azure.com": "/openai/v1", ".services.ai.azure.com": "/openai/v1"}

# Whole endpoints that people paste; the longer ones first.
_OPENAI_ENDPOINT = re.compile(
    r"/(?:chat/completions|completions|embeddings|responses)|(?<=/v\d)/models"
)
_ANTHROPIC_ENDPOINT = re.compile(
    r"/messages(?:/count_tokens|/batches)?|(?<=/v1)/(?:models|complete)"
)
_GOOGLE_ENDPOINT = re.compile(r"/models(?:/[^/:]+(?::\w+)?)?")
_OWN_ENDPOINTS = {kind: re.compile(kind.spec.own_endpoints or "(?!)") for kind in BackendType}
# Azure's from before its /openai/v1.
_DEPLOYMENT = re.compile(r"/openai(?:/(?:deployments|models)(?:/[^/]+)*)?")
_GOOGLE_PUBLISHER = re.compile(r".*/v\d{1,2}(?:alpha|beta)?\d?(?:/[^/]+)*/publishers/google")


class BaseUrl(msgspec.Struct, frozen=True):
    """Base URL of a backend: maps the provider's standard paths to its own."""

    root: str  # beside it are a local server's own paths: /api/ps, /props
    api: str  # where `version` is: chat is at {api}/chat/completions
    version: str  # /v1, or Google's /v1beta
    query: str = ""  # of every URL: api-version=2024-10-21
    is_by_deployment: bool = False  # chat is at {api}/deployments/{model}/chat/completions

    def of(self, path: str) -> str:
        """The whole URL of `/v1/chat/completions`, `/api/ps`, …; a query stays as it is."""
        if path.startswith(self.version) and path[len(self.version) : len(self.version) + 1] == "/":
            url = self.api + path[len(self.version) :]
        else:
            url = self.root + path
        if not self.query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{self.query}"


@lru_cache(maxsize=1024)
def read_base_url(url: str, kind: BackendType) -> BaseUrl:
    """Read a backend's `url` for its type.

    A trailing slash, /v1 and /v1beta make no difference. A path that ends in another version, or
    in a suffix that a vendor is known for, is the base as it stands; so is what is left of a whole
    endpoint (`…/chat/completions`). Below a bare host is what the type's own URL has there.

    Args:
        url: valid, without fragment and credentials; a query is Azure's api-version.
    """
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc.lower()}"
    path = re.sub("/{2,}", "/", parts.path).rstrip("/")
    match kind.spec.dialect:
        case DialectName.ANTHROPIC:
            root, api, version = *_anthropic(path), "/v1"
        case DialectName.GEMINI:
            root, api, version = *_google(path), "/v1beta"
        case DialectName.OPENAI_CHAT | DialectName.RESPONSES | DialectName.OLLAMA:
            if kind.spec.has_deployments:
                path = _without(_DEPLOYMENT, _without(_OPENAI_ENDPOINT, path))
                if parts.query and not path.endswith("/v1"):  # which takes a version of its own
                    api = f"{origin}{path}/openai"
                    return BaseUrl(origin + path, api, "/v1", parts.query, is_by_deployment=True)
            root, api, version = *_openai(parts.hostname or "", path, kind), "/v1"
        case _:
            assert_never(kind.spec.dialect)
    return BaseUrl(origin + root, origin + api, version, parts.query)


def _openai(host: str, path: str, kind: BackendType) -> tuple[str, str]:
    # The native API of some servers stands beside the one that Nexus speaks.
    path = _without(_OWN_ENDPOINTS[kind], path)
    base = _without(_OPENAI_ENDPOINT, path)
    if base == path:
        base = base.removesuffix("/v1beta")
    last = base.rpartition("/")[2]
    if _VERSION.fullmatch(last):
        return base.removesuffix(f"/{last}"), base
    if base not in (path, path.removesuffix("/v1beta")):
        return base, base  # of a whole endpoint
    if not base:
        below = urlsplit(kind.spec.url or kind.spec.url_example or "").path or _bare(host)
        last = below.rpartition("/")[2]
        return below.removesuffix(f"/{last}") if _VERSION.fullmatch(last) else below, below
    if any(suffix.fullmatch(base) for suffix in _SUFFIXES) and not _is_of(host, _VERSIONED_BELOW):
        return base, base
    return base, f"{base}/v1"


def _bare(host: str) -> str:
    if (known := _BARE.get(host)) is not None:
        return known
    return next((b for domain, b in _BARE_DOMAINS.items() if host.endswith(domain)), "/v1")


def _is_of(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _anthropic(path: str) -> tuple[str, str]:
    """Anthropic's SDK sends to `base_url + /v1/messages`, whatever the base ends in."""
    base = _without(_ANTHROPIC_ENDPOINT, path)
    root = base.removesuffix("/v1").removesuffix("/v1beta")
    return (root, base) if base != path and root == base else (root, f"{root}/v1")


def _google(path: str) -> tuple[str, str]:
    # Google's own endpoint for OpenAI's format, which type "google" does not speak.
    path = re.sub(r"(/v\d(?:alpha|beta)?)/openai(?:/chat/completions)?$", r"\1", path)
    base = _without(_GOOGLE_ENDPOINT, path)
    last = base.rpartition("/")[2]
    if last in ("v1", "v1beta"):
        root = base.removesuffix(f"/{last}")
        return root, f"{root}/v1beta"
    if _VERSION.fullmatch(last):
        return base.removesuffix(f"/{last}"), base
    # Vertex AI: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode
    if _GOOGLE_PUBLISHER.fullmatch(base):
        return base, base
    return base, f"{base}/v1beta"


def _without(endpoint: re.Pattern[str], path: str) -> str:
    """The path without an endpoint at its end."""
    for found in endpoint.finditer(path):
        if found.end() == len(path):
            return path[: found.start()].rstrip("/")
    return path


def is_same_base(url: str, other: str, kind: BackendType) -> bool:
    """Whether two URLs mean the same API: `http://h` and `http://h/v1/` do."""
    return url == other or read_base_url(url, kind) == read_base_url(other, kind)
