"""Parts of a setup: proxies, headers, the environment."""

from __future__ import annotations

import pytest

from nexus_tui.commands.run.setup import Setup, Target, direct, header_lines

HERE = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("before", "value"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "corp.example, localhost"}, "corp.example,localhost,127.0.0.1,::1"),
        ({"no_proxy": "corp.example"}, "corp.example,127.0.0.1,localhost,::1"),
    ],
)
def test_a_proxy_of_the_environment_stays_out_of_the_way(
    before: dict[str, str], value: str
) -> None:
    assert direct(HERE, before) == {"NO_PROXY": value, "no_proxy": value}


def test_another_machine_may_need_the_proxy() -> None:
    assert direct("https://nexus.example", {}) == {}


def test_headers_replace_those_of_the_same_name() -> None:
    before = "X-Own: 1\nx-nexus-privacy-zone: open\n"

    lines = header_lines({"X-Nexus-Privacy-Zone": "restricted"}, before, "\n")

    assert lines == "X-Own: 1\nX-Nexus-Privacy-Zone: restricted"


def test_the_environment_is_the_users_but_for_what_is_set() -> None:
    setup = Setup({"A": "new"}, ("B",), home={"f": ""}, home_variable="HOME_OF_IT")

    made = setup.environment({"A": "old", "B": "secret", "C": "kept"}, "a folder")

    assert made == {"A": "new", "C": "kept", "HOME_OF_IT": "a folder"}


def test_no_key_is_in_a_representation() -> None:
    assert "sk-secret" not in repr(Target(HERE, "sk-secret"))
    assert "sk-secret" not in repr(Setup({"KEY": "sk-secret"}))
