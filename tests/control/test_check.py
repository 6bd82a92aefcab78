from __future__ import annotations

import os
from pathlib import Path

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.outbound_proxy import read_proxy_url
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    PolicyConfig,
    ServerConfig,
    StorageConfig,
    UnusableBackend,
)
from nexus_core.control.check import Finding, Level, check_config, check_storage
from nexus_core.fleet.snapshot import first_snapshot
from nexus_core.types import HealthCause, PrivacyZone, ProbeResult

UP = ProbeResult(elapsed_ms=3, models=("m", "n"))
DOWN = ProbeResult(elapsed_ms=1, cause=HealthCause.UNREACHABLE, detail="connection refused")
MEMORY = StorageConfig(path=":memory:")


def backend(name: str = "a", **changes: object) -> BackendConfig:
    values: dict[str, object] = {
        "name": name,
        "url": "http://127.0.0.1:1",
        "type": BackendType.VLLM,
        "zone": PrivacyZone.RESTRICTED,
        "models": {"m": "m"},
    }
    return BackendConfig.model_validate(values | changes)


def findings(config: Config, **probes: ProbeResult) -> list[Finding]:
    fleet = [first_snapshot(backend) for backend in config.backends]
    return list(check_config(config, probes, fleet))


def bad(config: Config, **probes: ProbeResult) -> list[Finding]:
    return [finding for finding in findings(config, **probes) if finding.level is not Level.OK]


def configured(*backends: BackendConfig, **routing: object) -> Config:
    values = {"backends": backends, "storage": MEMORY, "routing": routing}
    return Config.model_validate(values)


def test_all_well() -> None:
    found = findings(configured(backend()), a=UP)

    assert [finding.level for finding in found] == [Level.OK] * 3
    assert found[1].text == "vllm at http://127.0.0.1:1 lists 2 models, 3 ms"


def test_a_value_with_another_name_now_is_a_warning() -> None:
    config = configured(backend()).model_copy(update={"outdated": ('"a" is now "b"; correct it',)})

    assert bad(config, a=UP) == [
        Finding(Level.WARNING, "configuration", '"a" is now "b"', "correct it")
    ]


def test_the_way_through_a_proxy_is_told_without_its_password() -> None:
    via = read_proxy_url("http://me:hush-hush@proxy:3128")

    found = findings(configured(backend(via=via)), a=UP)

    assert found[1].text == (
        "vllm at http://127.0.0.1:1 through the proxy http://proxy:3128 lists 2 models, 3 ms"
    )


def test_a_backend_that_is_down_is_an_error_with_a_mend() -> None:
    (finding,) = bad(configured(backend()), a=DOWN)

    assert finding.level is Level.ERROR
    assert finding.text == "http://127.0.0.1:1: connection refused"
    assert finding.hint is not None
    assert "start the server" in finding.hint


def test_of_a_cloud_that_is_not_reached_it_is_the_network_that_is_checked() -> None:
    groq = backend(type=BackendType.GROQ, url="https://api.groq.com/openai/v1", api_key_env="K")

    (finding,) = bad(configured(groq), a=DOWN)

    assert finding.hint is not None
    assert finding.hint.startswith("check the network, correct its url (https://api.groq.com/")
    assert "start the server" not in finding.hint


def test_where_a_proxy_stands_between_the_mend_names_it() -> None:
    via = read_proxy_url("http://me:hush-hush@proxy:3128")

    (finding,) = bad(configured(backend(via=via)), a=DOWN)

    assert finding.hint is not None
    assert "the proxy http://proxy:3128" in finding.hint
    assert "start the server" not in finding.hint
    assert "hush" not in str(finding)


def test_without_a_list_configured_models_are_well() -> None:
    detail = "/v1/models answers 404; using the configured models"

    found = findings(configured(backend()), a=ProbeResult(elapsed_ms=3, detail=detail))

    assert (found[1].level, found[1].hint) == (Level.OK, None)
    assert found[1].text == f"vllm at http://127.0.0.1:1 answers, 3 ms; {detail}"


def test_without_a_list_and_without_models_it_warns_and_says_what_to_do() -> None:
    detail = '/v1/models answers 404; no known models: set models = ["…"]'
    unlisted = ProbeResult(elapsed_ms=3, detail=detail, never_lists=True)

    (finding,) = bad(configured(backend(models=None)), a=unlisted)

    assert finding.level is Level.WARNING
    assert finding.text == "vllm at http://127.0.0.1:1 answers, 3 ms; /v1/models answers 404"
    assert finding.hint == 'no known models: set models = ["…"]'


def test_a_refused_key_names_its_variable() -> None:
    refused = ProbeResult(elapsed_ms=1, cause=HealthCause.AUTH, detail="401: check K")

    (finding,) = bad(configured(backend(api_key_env="K", api_key="sk-1")), a=refused)

    assert finding.hint == "set K to a valid key"


def test_a_missing_key_is_an_error_with_its_mend() -> None:
    why = 'backend "c": C_KEY is not set; export it or remove the backend'
    unusable = UnusableBackend(name="c", type=BackendType.OPENAI, zone=PrivacyZone.OPEN, why=why)
    config = Config(unusable=(unusable,), storage=MEMORY)

    assert bad(config) == [
        Finding(Level.ERROR, 'backend "c"', "C_KEY is not set", "export it or remove the backend")
    ]


def test_a_backend_that_is_off_is_not_asked_and_no_problem() -> None:
    assert bad(configured(backend(enabled=False))) == []


def test_no_backend_at_all_is_an_error() -> None:
    (finding,) = bad(Config(storage=MEMORY))

    assert (finding.level, finding.about) == (Level.ERROR, "backends")


def test_a_model_that_the_backend_does_not_list_is_a_warning_with_the_near_name() -> None:
    listed = ProbeResult(elapsed_ms=1, models=("llama3:70b",))

    (finding,) = bad(configured(backend(models={"x": "llama3:70"})), a=listed)

    assert finding.level is Level.WARNING
    assert finding.text == 'does not list its model "llama3:70"'
    assert finding.hint is not None
    assert finding.hint.endswith('; did you mean "llama3:70b"?')


@pytest.mark.parametrize(
    ("routing", "about"),
    [
        ({"aliases": {"x": "gone"}}, "routing.aliases.x"),
        ({"aliases": {"x-*": "gone"}}, 'routing.aliases."x-*"'),
        ({"fallbacks": {"m": ("gone",)}}, "routing.fallbacks.m"),
        ({"policies": (PolicyConfig(model_pattern="gone-*"),)}, "routing.policies[0]"),
    ],
)
def test_a_name_that_nobody_serves_is_a_warning(routing: dict[str, object], about: str) -> None:
    (finding,) = bad(configured(backend(), **routing), a=UP)

    assert (finding.level, finding.about) == (Level.WARNING, about)
    assert finding.hint is not None


@pytest.mark.parametrize(
    "routing",
    [
        {"aliases": {"x": "y", "y": "m"}},
        {"aliases": {"x-*": "y-1", "y-*": "m"}},
        {"aliases": {"x-*": "m"}, "policies": (PolicyConfig(model_pattern="x-small-*"),)},
        {"aliases": {"x": "gone"}, "fallbacks": {"gone": ("m",)}},
        {"fallbacks": {"gone": ("m",)}},
        {"policies": (PolicyConfig(model_pattern="?"),)},
        {"policies": (PolicyConfig(model_pattern="m", privacy=PrivacyZone.RESTRICTED),)},
    ],
)
def test_a_name_that_is_served_in_the_end_is_none(routing: dict[str, object]) -> None:
    assert bad(configured(backend(), **routing), a=UP) == []


def test_a_limit_for_the_first_byte_is_told_and_one_over_the_whole_is_a_warning() -> None:
    told = findings(configured(backend(first_byte_timeout_seconds=90)), a=UP)
    (finding,) = bad(configured(backend(first_byte_timeout_seconds=400)), a=UP)

    short = configured(backend()).model_copy(
        update={"server": ServerConfig(request_timeout_seconds=30)}
    )
    assert bad(short, a=UP) == []  # what its type has is no word of the operator's
    assert "waits 90 s for the first byte of a stream" in [one.text for one in told]
    assert finding.level is Level.WARNING
    assert finding.text == (
        "first_byte_timeout_seconds (400) is over server.request_timeout_seconds (300), "
        "which ends a request"
    )


@pytest.mark.parametrize(
    ("policy", "demand"),
    [
        (PolicyConfig(model_pattern="m*", privacy=PrivacyZone.RESTRICTED), "zone restricted"),
        (PolicyConfig(model_pattern="m*", min_tier=3), "tier 3"),
    ],
)
def test_a_policy_that_nobody_can_meet_is_a_warning(policy: PolicyConfig, demand: str) -> None:
    cloud = backend(zone=PrivacyZone.OPEN, tier=2)

    (finding,) = bad(configured(cloud, policies=(policy,)), a=UP)

    assert finding.text == f'"m*" requires {demand}: no backend may serve "m"'


def test_what_is_not_known_is_told_with_a_warning() -> None:
    config = configured(backend(models=None), aliases={"x": "m"})

    warning = bad(config, a=DOWN)[1]

    assert warning.text == 'no backend serves "m" (the models of a are not known)'


# The disk


def test_the_ledger_can_be_written_and_nothing_is_created(tmp_path: Path) -> None:
    new = check_storage(str(tmp_path / "deep" / "nexus.db"))

    assert new.level is Level.OK
    assert os.listdir(tmp_path) == []
    assert check_storage(":memory:").level is Level.OK


@pytest.mark.parametrize("name", [".", "file/nexus.db"])
def test_a_ledger_that_cannot_be_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")

    finding = check_storage(str(tmp_path / name))

    assert finding.level is Level.ERROR
    assert finding.hint is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be written by root")
def test_a_folder_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    assert check_storage(str(tmp_path / "nexus.db")).level is Level.ERROR
    tmp_path.chmod(0o700)


def test_prices_under_a_name_that_is_no_type_are_a_warning() -> None:
    price = {"m": {"input_per_1k": 1.0, "output_per_1k": 1.0}}
    names = ("vllm", "groq", "x-ai", "gpu-box", "opena")  # types, a vendor of the list, others
    values = {"backends": (backend("gpu-box"),), "storage": MEMORY}
    config = Config.model_validate({**values, "pricing": dict.fromkeys(names, price)})
    how = "prices go by a backend's type, not its name"

    found = bad(config, **{"gpu-box": UP})

    assert [(one.level, one.about, one.hint) for one in found] == [
        (Level.WARNING, "pricing.gpu-box", f"{how}; write [pricing.vllm]"),
        (Level.WARNING, "pricing.opena", f'{how}; correct it; did you mean "openai"?'),
    ]
    assert found[0].text == '"gpu-box" is no type of backends, so it prices nothing'
