"""A commented nexus.toml from discovery results; keys only by their variable names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nexus_core.catalog import LOCAL_TYPES
from nexus_core.config.save import backend_table
from nexus_core.config.schema import BackendConfig
from nexus_core.config.wording import shown
from nexus_core.discovery.cloud import CLOUD_PRIORITY, CloudKey
from nexus_core.discovery.local import DiscoveryResult, Sight, found_backend
from nexus_core.types import PrivacyZone

_SHOWN_MODELS = 8  # names in a comment

_HEAD = """\
# Nexus: one endpoint at http://127.0.0.1:8000, for OpenAI's clients http://127.0.0.1:8000/v1.
# Nexus reads --config FILE, $NEXUS_CONFIG, ./nexus.toml or nexus.toml in your config folder.
# `nexus check` tests this configuration. Omitted keys have their defaults.

[server]
host = "127.0.0.1"  # any other address requires client keys in NEXUS_API_KEYS
port = 8000

# Model aliases: clients request the left name and get the right one.
[routing.aliases]
#"gpt-4" = "llama3:70b"
#"claude-*" = "llama3:70b"  # every name that begins so

# Policies: models served by restricted backends only.
#[[routing.policies]]
#model_pattern = "secret-*"
#privacy = "restricted"
"""
_LOCAL = " | ".join(LOCAL_TYPES)
_EXAMPLE = f"""\
# No local server answered on the usual ports. Example:
#[[backends]]
#name = "ollama"
#url = "http://127.0.0.1:11434"
#type = "ollama"  # {_LOCAL}
"""


def config_text(
    results: Iterable[DiscoveryResult], keys: Iterable[CloudKey], *, use_cloud: bool
) -> str:
    """The text of a new config file.

    Args:
        use_cloud: name the providers whose keys are set as backends; else as comments.
    """
    backends = list(_local(results)) or [_EXAMPLE]
    cloud = [_cloud(key, use_cloud) for key in keys if key.is_set]
    return "\n".join([_HEAD, *backends, *cloud])


def _local(results: Iterable[DiscoveryResult]) -> Iterator[str]:
    names: set[str] = set()
    for result in results:
        if result.sight is not Sight.FOUND:
            continue
        backend = found_backend(result, names)
        names.add(backend.name)
        comments = {
            "zone": "receives restricted prompts; open: does not",
            "type": _LOCAL,
        }
        title = result.kind.spec.title
        # A server names its models as it likes: as a message would show them, on one line.
        models = ", ".join(shown(model) for model in result.models[:_SHOWN_MODELS])
        more = ", …" if len(result.models) > _SHOWN_MODELS else ""
        listed = f"# {title}, with {result.text}{': ' if models else ''}{models}{more}\n"
        yield listed + backend_table(backend, comments) + "#tier = 3  # 0..4, how capable it is\n"


def _cloud(key: CloudKey, is_used: bool) -> str:
    backend = BackendConfig(
        name=key.type.value,
        url=key.url,
        type=key.type,
        zone=PrivacyZone.OPEN,
        priority=CLOUD_PRIORITY,
        api_key_env=key.variable,
        models={"gpt-4o": "DEPLOYMENT"} if key.type.spec.has_deployments else None,
    )
    comments = {
        "zone": "never receives restricted prompts",
        "priority": "below local backends (50)",
        "api_key_env": "the key itself stays in the environment",
    }
    table = backend_table(backend, comments)
    title = key.type.spec.title
    if is_used and not key.needs_url:
        return f"# {title}\n{table}"
    commented = "".join(f"#{line}\n" for line in table.splitlines())
    fill_in = " and fill in what is yours" if key.needs_url else ""
    head = f'# {key.variable} is set. Take the "#" away{fill_in} to use {title}:\n'
    return head + commented
