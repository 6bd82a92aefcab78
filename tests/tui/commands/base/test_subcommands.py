"""Faults of a subcommand's words, and what the help says of subcommands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.process.test_cli import run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("status", "--foo"), "unrecognized arguments: --foo"),
        (("requests", "--limt", "3"), 'did you mean "--limit"?'),
        (("completion", "bash", "zsh"), "unrecognized arguments: zsh"),
        (("costs", "--by\x1b[2J"), r"unrecognized arguments: --by\x1b[2J"),
    ],
)
def test_a_wrong_option_is_told_with_the_usage_of_its_subcommand(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = run(tmp_path, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: nexus {arguments[0]} ")
    assert told in done.stderr


def test_help_names_the_commands_that_do_without_the_dashboard(tmp_path: Path) -> None:
    shown = " ".join(run(tmp_path, "--help").stdout.split())

    assert "TERM=dumb, screen readers, scripts" in shown
    assert "status, backends, requests, request, costs, logs and explain" in shown


@pytest.mark.parametrize(
    ("command", "tab"),
    [
        ("status", "the dashboard's first tab"),
        ("backends", "the Backends tab"),
        ("requests", "the Requests tab"),
        ("request", "a request's detail"),
        ("costs", "the Costs tab"),
        ("logs", "the Logs tab"),
    ],
)
def test_a_twin_says_whose_twin_it_is(tmp_path: Path, command: str, tab: str) -> None:
    shown = " ".join(run(tmp_path, command, "--help").stdout.split())

    assert f"the plain twin of {tab}" in shown


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("claude", 'no command "claude"; did you mean "nexus run claude"?'),
        ("statsu", 'no command "statsu"; did you mean "status"?'),
        ("x\x1b[2J", r'no command "x\x1b[2J"; there are: attach, run, explain,'),
    ],
)
def test_a_word_that_is_no_command_is_told_with_the_one_that_was_meant(
    tmp_path: Path, word: str, told: str
) -> None:
    done = run(tmp_path, word)

    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
