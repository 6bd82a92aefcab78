"""The catalog's rows are complete and true, and nothing else knows a provider by its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from genai_prices.data import providers as price_lists

import nexus_core
import nexus_tui
from nexus_core.catalog import (
    CLOUD_TYPES,
    LOCAL_TYPES,
    OPENAI_FORMAT,
    AuthScheme,
    BackendType,
    ProviderSpec,
)
from nexus_core.config.base_url import read_base_url
from nexus_core.types import Capability, DialectName, Operation
from tests.catalog.provider_table import BEGIN, END, PAGE, page_with, table

kinds = pytest.mark.parametrize("kind", BackendType)
clouds = pytest.mark.parametrize("kind", CLOUD_TYPES)
SOURCES = [
    path
    for package in (nexus_core, nexus_tui)
    for path in sorted(Path(str(package.__file__)).parent.rglob("*.py"))
]
ROOT = Path(str(nexus_core.__file__)).parents[1]
# What is about a provider's own format or server may name it, and so may the simulated fleet; in
# types.py formats have names.
NAMES_ITS_OWN = re.compile(
    r"nexus_core/(?:catalog/providers\.py|types\.py|dialects/.*|demo/.*"
    r"|providers/(?:anthropic|google|local|details)\.py|observe/origin/programs\.py)"
)


def test_a_member_is_its_word_and_has_a_row() -> None:
    assert [str(kind) for kind in BackendType] == [kind.value for kind in BackendType]
    assert BackendType("groq") is BackendType.GROQ
    assert all(isinstance(kind.spec, ProviderSpec) for kind in BackendType)
    with pytest.raises(ValueError, match="nobody"):
        BackendType("nobody")


def test_no_two_rows_are_for_the_same() -> None:
    titles = [kind.spec.title for kind in BackendType]
    ports = [port for kind in BackendType for port in kind.spec.ports]
    variables = [name for kind in BackendType for name in kind.spec.key_variables]
    lists = [name for kind in BackendType for name in kind.spec.price_lists]

    for column in (titles, ports, variables, lists):
        assert len(set(column)) == len(column)


@kinds
def test_a_row_says_where_the_server_is_and_what_it_can_be_asked(kind: BackendType) -> None:
    spec = kind.spec

    assert re.fullmatch(r"[a-z0-9]+", kind)
    assert spec.title
    assert Operation.CHAT in spec.dialects
    assert spec.models_paths
    assert (kind in CLOUD_TYPES) is spec.is_cloud is kind.is_cloud
    assert (kind in LOCAL_TYPES) is not kind.is_cloud
    assert kind.location == ("cloud" if kind.is_cloud else "local")
    assert kind.lacks == spec.lacks


@clouds
def test_a_clouds_row_has_its_url_its_key_and_its_prices(kind: BackendType) -> None:
    spec = kind.spec

    assert (spec.url is None) is (spec.url_example is not None)
    assert (spec.url or spec.url_example or "").startswith("https://")
    assert spec.key_variables
    assert all(re.fullmatch(r"[A-Z0-9_]+_API_KEY", name) for name in spec.key_variables)
    assert not spec.ports
    assert set(spec.price_lists) <= {provider.id for provider in price_lists}


@pytest.mark.parametrize("kind", LOCAL_TYPES)
def test_a_local_row_costs_nothing_and_asks_for_no_key(kind: BackendType) -> None:
    spec = kind.spec

    assert (spec.url, spec.url_example, spec.key_variables, spec.price_lists) == (
        None,
        None,
        (),
        (),
    )
    assert spec.auth is AuthScheme.BEARER
    assert spec.dialect is DialectName.OPENAI_CHAT


@clouds
def test_the_url_of_a_row_is_a_base_as_vendors_print_them(kind: BackendType) -> None:
    url = kind.spec.url or kind.spec.url_example or ""
    host = re.match(r"https://[^/]+", url)

    base = read_base_url(url, kind)

    assert host is not None
    assert read_base_url(host[0], kind) == base  # the same API below the bare host
    assert base.api.startswith(url.lower())
    if kind.spec.dialect is DialectName.OPENAI_CHAT:
        assert base.of("/v1/chat/completions") == f"{base.api}/chat/completions"


def test_what_a_row_lacks_is_what_it_cannot_be_asked() -> None:
    others = {Capability.PROVIDER_TOOLS, Capability.GOOGLE_FEATURES}  # of one format each
    others |= {Capability.OLLAMA_FIELDS}
    assert BackendType.OPENAI.lacks == others
    others |= {Capability.STORED_RESPONSES}  # at OpenAI
    assert BackendType.GROQ.lacks == {Capability.COMPLETIONS, Capability.EMBEDDINGS} | others
    assert BackendType.CEREBRAS.lacks == {Capability.EMBEDDINGS} | others
    assert BackendType.MISTRAL.lacks == {Capability.COMPLETIONS} | others
    google = BackendType.MISTRAL.lacks - {Capability.GOOGLE_FEATURES}
    assert BackendType.GOOGLE.lacks == google
    assert BackendType.ANTHROPIC.lacks == {
        Capability.GOOGLE_FEATURES,
        Capability.COMPLETIONS,
        Capability.EMBEDDINGS,
        Capability.AUDIO,
        Capability.STORED_RESPONSES,
        Capability.OLLAMA_FIELDS,
    }


# Nobody else ------------------------------------------------------------------------------------


def provider_names(path: Path) -> Iterator[str]:
    """Where a file names a provider: BackendType.GROQ, or "groq" as a whole text."""
    words = {kind.value for kind in BackendType}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id="BackendType"), attr=attr) if attr.isupper():
                yield f"{path}:{node.lineno}: BackendType.{attr}"
            case ast.Constant(value=str(text)) if text in words:
                yield f'{path}:{node.lineno}: "{text}"'
            case _:
                pass


def test_nothing_beside_a_providers_own_files_names_it() -> None:
    named = [
        place
        for path in SOURCES
        if not NAMES_ITS_OWN.fullmatch(path.relative_to(ROOT).as_posix())
        for place in provider_names(path)
    ]

    assert named == []


def test_the_search_for_names_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text('kind = BackendType.GROQ\nname = "groq"\ntext = "of groq"\n')

    assert [place.rpartition(": ")[2] for place in provider_names(path)] == [
        "BackendType.GROQ",
        '"groq"',
    ]


# The documents ----------------------------------------------------------------------------------


def test_the_page_has_the_catalogs_table() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert BEGIN in text
    assert END in text
    assert page_with(text, table()) == text, "run: python -m tests.catalog.provider_table"


def test_the_example_names_every_type_and_no_other() -> None:
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    listed = re.search(r'^type = "ollama" +# ((?:.*\n +# )*?.*\(cloud\))', text, re.MULTILINE)

    assert listed is not None
    words = re.findall(r"[a-z0-9]+", re.sub(r"\((?:local|cloud)\)", "", listed[1]))
    assert words == [str(kind) for kind in (*LOCAL_TYPES, *CLOUD_TYPES)]


def test_openai_is_whose_format_others_speak() -> None:
    assert OPENAI_FORMAT.spec.dialect is DialectName.OPENAI_CHAT
    assert OPENAI_FORMAT.is_cloud
