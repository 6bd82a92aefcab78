"""[fleet]: what the section takes, and what its variable must hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.config.load import load_config
from nexus_core.config.sections import fleet
from nexus_core.config.sections.fleet import FleetConfig, host_name, place_of, split_address
from nexus_core.errors import ConfigError

URL = {"NEXUS_REDIS_URL": "redis://:hush-hush@10.0.0.5:6379/2"}


def loaded(directory: Path, text: str, environ: dict[str, str]) -> FleetConfig:
    path = directory / "nexus.toml"
    path.write_text(text, encoding="utf-8")
    fleet = load_config(path, environ).fleet
    assert fleet is not None
    return fleet


def problem(directory: Path, text: str, environ: dict[str, str] = URL) -> str:
    with pytest.raises(ConfigError) as refused:
        loaded(directory, text, environ)
    return "\n".join(refused.value.problems)


def test_without_the_table_nothing_is_shared() -> None:
    assert load_config(None, URL).fleet is None


def test_the_url_comes_from_the_variable_and_is_never_shown(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, "[fleet]\n", URL)

    assert fleet.url == URL["NEXUS_REDIS_URL"]
    assert "hush" not in repr(fleet)
    assert fleet.place == "redis://10.0.0.5:6379"


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    told = problem(tmp_path, '[fleet]\nurl_env = "OUR_STORE"\n')

    assert "OUR_STORE: is not set" in told


@pytest.mark.parametrize(
    "url",
    [
        *("hush:6379", "http://hush", "redis://:hush@", "unix://hush", "redis://hush:99999999"),
        *("redis://u:se@hush/x@h:1", "redis://u:se@hush@h:1"),  # signs that stand for others
    ],
)
def test_what_is_no_url_is_told_without_repeating_it(tmp_path: Path, url: str) -> None:
    told = problem(tmp_path, "[fleet]\n", {"NEXUS_REDIS_URL": url})

    assert "NEXUS_REDIS_URL: is not the URL" in told
    assert "hush" not in told


@pytest.mark.parametrize(
    "url", ["rediss://:p@h:6380/1", "unix:///run/valkey.sock", "redis://h", "redis://[::1]:6379"]
)
def test_urls_of_each_kind_are_taken(tmp_path: Path, url: str) -> None:
    assert loaded(tmp_path, "[fleet]\n", {"NEXUS_REDIS_URL": url}).url == url


def test_sentinels_need_no_url(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, '[fleet]\nsentinels = ["10.0.0.5:26379"]\nmaster = "m"\n', {})

    assert fleet.place == "m of the sentinels 10.0.0.5:26379"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('replica = "box 1"', 'fleet.replica: "box 1" is not 1 to 64 letters'),
        ("beat_milliseconds = 50", "fleet.beat_milliseconds: 50 is not between 100 and 1000"),
        ("open_zone_lease_seconds = 0.3", "open_zone_lease_seconds: 0.3 is less than two beats"),
        ("dead_after_seconds = 1", "dead_after_seconds: 1 is less than twice"),
        ('when_alone = "hope"', "not one of cut, keep"),
        ('sentinels = ["10.0.0.5:x"]', "fleet.sentinels[0]: must be a host and a port"),
        ('advertise = "10.0.0.7:8000"', "fleet.advertise: must be http:// or https://"),
        ('sentinels = ["a:1"]\ncluster = true', "a cluster has no sentinels"),
        ('url = "redis://h"', "fleet.url: unknown key"),
    ],
)
def test_wrong_values_are_told(tmp_path: Path, line: str, told: str) -> None:
    assert told in problem(tmp_path, f"[fleet]\n{line}\n")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.5:26380", ("10.0.0.5", 26380)),
        ("sentinel", ("sentinel", 26379)),
        ("[::1]:5", ("::1", 5)),
        ("::1", ("::1", 26379)),
        ("h:x", ("h", 0)),
    ],
)
def test_addresses_of_sentinels(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


def test_without_its_client_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "find_spec", lambda _name: None)

    told = problem(tmp_path, "[fleet]\n")

    assert told == "[fleet] needs the extra: pip install 'nexus-gateway[fleet]'"


def test_places_hold_no_password() -> None:
    assert place_of("rediss://user:p%40ss@h:6380/1?ssl_cert_reqs=none") == "rediss://h:6380"
    assert place_of("unix://user:pass@/run/v.sock?db=1") == "unix:///run/v.sock"


def test_the_store_is_named_as_people_know_it() -> None:
    ours = FleetConfig(url="unix:///tmp/nx/store.sock", name="workers")

    assert ours.store == "the workers' store"
    assert FleetConfig(url=URL["NEXUS_REDIS_URL"]).store == (
        "the fleet's store at redis://10.0.0.5:6379"
    )


def test_a_replica_is_called_as_its_machine(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[fleet]\n", URL).replica_name == host_name()
    assert loaded(tmp_path, '[fleet]\nreplica = "box-1"\n', URL).replica_name == "box-1"
