"""`nexus completion SHELL`: a completion script, generated from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial

from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.process.streams import show

SHELLS = ("bash", "zsh", "fish", "tcsh")  # those of shtab that exist where Nexus runs


def add_command(commands: Subcommands, root: argparse.ArgumentParser) -> None:
    """Declare the subcommand; `root` is the parser to complete."""
    parser = commands.add_parser(
        "completion",
        help="print a shell completion script",
        description="Print a shell completion script. For bash: "
        "nexus completion bash > ~/.local/share/bash-completion/completions/nexus",
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=partial(_run, root, commands))


def _run(
    root: argparse.ArgumentParser,
    commands: Subcommands,
    options: argparse.Namespace,
    _: Mapping[str, str],
) -> int:
    import shtab

    for parser in (root, *commands.choices.values()):
        _complete_files(parser, shtab.FILE)
    show(shtab.complete(root, options.shell).rstrip("\n"))
    return 0


def _complete_files(parser: argparse.ArgumentParser, files: object) -> None:
    """Tell shtab which options take a file's name."""
    for action in parser._actions:
        if action.metavar == "FILE":
            action.complete = files  # type: ignore[attr-defined]
