"""`nexus run`: start a coding agent, or any other program, on this Nexus."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.commands.base.errors import BAD, NoAnswerError
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.target import add_target, local_url, run_with_config
from nexus_tui.process.streams import say, show

# `nexus --help` comes by here: what only a run needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config
    from nexus_tui.commands.run.beside import Beside
    from nexus_tui.commands.run.programs import Program
    from nexus_tui.commands.run.setup import Setup, Target, UsedKey

NAMES = ("claude", "codex", "gemini", "opencode")

NOT_FOUND, NOT_EXECUTABLE = 127, 126  # the exit codes, as a shell's


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        "run",
        help="start a coding agent or another program on this Nexus",
        description="Start a program with its endpoint set to this Nexus: by environment and "
        "flags only, no file of yours is written. Without a running Nexus one is started, and "
        "ends with the program.",
        epilog="Examples: nexus run claude --model qwen3-coder:30b; nexus run codex -- exec "
        "'fix the tests'; nexus run -- python app.py. "
        "Exit code: the program's, 128+n after signal n; 127 if it is not installed, 2 if it was "
        "not started.",
        allow_abbrev=False,
    )
    parser.rest = "arguments"
    add = parser.add_argument
    program = add(
        "program", nargs="?", metavar="PROGRAM", type=_program, help=f"{', '.join(NAMES)}"
    )
    program.choices = NAMES  # for completion; what is none of them has a message of its own
    add("--model", metavar="M", help="model or alias that it asks for")
    add("--privacy", choices=("restricted", "open"), help="send X-Nexus-Privacy-Zone")
    add("--tier", choices=tuple("01234"), help="send X-Nexus-Min-Tier")
    add("--key", metavar="NAME", help="name of the key of NEXUS_API_KEYS that it uses")
    add(
        "--key-env",
        metavar="VARIABLE",
        help="variable with the client key that it uses (default: NEXUS_CLIENT_KEY, else the "
        "first of NEXUS_API_KEYS)",
    )
    add("--print", action="store_true", help="show what would be set, for a shell; start nothing")
    add_target(parser, port)
    parser.usage = (
        "nexus run [options] PROGRAM [-- ARGUMENTS]\n"
        "       nexus run [options] -- COMMAND [ARGUMENTS]"
    )
    parser.set_defaults(run=run)


def _program(text: str) -> str:
    if text in NAMES:
        return text
    from nexus_core.config.wording import did_you_mean

    known, meant = ", ".join(NAMES), did_you_mean(text, NAMES)
    other = meant or f"; for other programs: nexus run -- {text}"
    raise argparse.ArgumentTypeError(f"knows {known}{other}")


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the program; gives the exit code."""
    from nexus_tui.commands.run.setup import CannotRunError

    if options.program is None and not options.arguments:
        say(f"run: name a program ({', '.join(NAMES)}), or a command after --")
        return BAD

    def act(config: Config) -> int:
        try:
            return _Run(options, environ, config).run()
        except CannotRunError as error:
            say(f"run: {error}")
            return BAD

    return run_with_config(options, environ, act)


@dataclass(frozen=True, slots=True)
class _Run:
    options: argparse.Namespace
    environ: Mapping[str, str]
    config: Config

    def run(self) -> int:
        from nexus_tui.commands.run.programs import PROGRAMS, command

        options = self.options
        words: list[str] = options.arguments
        if options.program is None:
            program, rest = command(words), words[1:]
        else:
            program, rest = PROGRAMS[options.program], words
        if options.print:
            return self._print(program, rest)
        path = shutil.which(program.command, path=self.environ.get("PATH"))
        if path is None:
            return _not_found(program)
        from nexus_tui.commands.run.beside import Start, nexus_beside

        start = Start(self.config.server, self._own_arguments(), self.environ)
        with nexus_beside(options.url, start) as nexus:
            target = self._target(program, rest, nexus)
            setup = program.prepare(target, self.environ, rest)
            return self._start([path, *setup.arguments, *rest], setup)

    def _print(self, program: Program, rest: list[str]) -> int:
        """Nothing is asked, so that what only a running Nexus knows is left out."""
        from nexus_tui.commands.run.setup import KEY_VARIABLE, NO_KEY
        from nexus_tui.commands.run.shown import shell_lines

        server = self.config.server
        if not self.options.url and not server.port:
            raise NoAnswerError("the port is 0 (any free port); set --port or --url")
        url = self.options.url or local_url(server.host, server.port)
        self._refuse_headers_unsent(program)
        target = self._first_target(url)
        if target.model is not None:
            target = replace(target, models=(target.model,))
        if target.key is None:
            say(
                f'run: no client key is set, and "{NO_KEY}" stands for one; where Nexus has keys, '
                f"set {KEY_VARIABLE} to yours"
            )
        setup = program.prepare(target, self.environ, rest)
        for line in shell_lines(setup, [program.command, *rest], target.key, self.environ):
            show(line)
        return 0

    def _start(self, words: list[str], setup: Setup) -> int:
        from nexus_tui.commands.run.setup import KEY_VARIABLE
        from nexus_tui.commands.run.terminal import run_program

        auth = self.config.auth
        own = {auth.api_keys_env, auth.admin_key_env}  # an agent may read all of its environment
        if self.environ.get(KEY_VARIABLE) != self._key().value:
            own.add(KEY_VARIABLE)
        environ = {name: value for name, value in self.environ.items() if name not in own}
        with _home(setup) as home:
            try:
                return run_program(words, setup.environment(environ, home))
            except OSError as error:
                say(f"run: {words[0]} can't be started: {error.strerror}")
                return NOT_EXECUTABLE

    # What is asked of the Nexus -----------------------------------------------------------------

    def _target(self, program: Program, rest: list[str], nexus: Beside) -> Target:
        """
        Raises:
            NoAnswerError: it does not serve the model, not so restricted, or not this client.
            CannotRunError: the program can't send what was asked for.
        """
        from nexus_tui.commands.run import models as served
        from nexus_tui.commands.run.programs import chosen_by_user

        target = self._first_target(nexus.url)
        models = served.Models(nexus, self._key(), self.config)
        state = served.state_of(nexus, self.config)
        if not (self.options.tier is None and served.is_all_restricted(state)):
            self._refuse_headers_unsent(program)
        wants_list = program.command == "opencode"
        if target.model is not None:
            models.require(target.model)
        elif (program.family or wants_list) and not chosen_by_user(program, self.environ, rest):
            target = replace(target, model=models.choose(program))
            if target.model is not None:
                say(f"run: {program.title} asks for {target.model}, the only model here")
        else:
            models.check_key()
        if target.model is not None:
            if target.headers and (why := served.refusal(nexus, self.config, target)) is not None:
                raise NoAnswerError(why)
            target = replace(target, window=served.window_of(state, target.model))
        return replace(target, models=tuple(models.names())) if wants_list else target

    def _first_target(self, url: str) -> Target:
        """What is known without asking."""
        from nexus_tui.commands.run.setup import TIER, ZONE, Target

        options = self.options
        told = {ZONE: options.privacy, TIER: options.tier}
        headers = {name: value for name, value in told.items() if value is not None}
        return Target(url, self._key().value, options.model, headers=headers)

    def _key(self) -> UsedKey:
        """The client key that the program uses, and where it stands."""
        from nexus_tui.commands.run.setup import KEY_VARIABLE, UsedKey

        keys, name = self.config.auth.api_keys, self.options.key
        variable, own = self.config.auth.api_keys_env, self.options.key_env
        if own is not None or (name is None and self.environ.get(KEY_VARIABLE, "").strip()):
            own = own or KEY_VARIABLE
            value = self.environ.get(own, "").strip()
            if not value.isascii() or not value.isprintable() or not value:
                state = "is no client key" if value else "is not set"
                raise NoAnswerError(f"--key-env: {own} {state}; export it with a client key")
            return UsedKey(value, own)
        if name is None:
            return UsedKey(keys[0].value.decode("ascii") if keys else None, variable)
        for key in keys:
            if key.name == name:
                return UsedKey(key.value.decode("ascii"), variable)
        known = ", ".join(key.name for key in keys) or "no key"
        raise NoAnswerError(f'--key: {variable} has {known}, and no key called "{name}"')

    def _refuse_headers_unsent(self, program: Program) -> None:
        from nexus_tui.commands.run.setup import CannotRunError

        options = self.options
        asked = [f"--{name}" for name in ("privacy", "tier") if getattr(options, name) is not None]
        if not asked or program.sends_headers:
            return
        raise CannotRunError(
            f"{' and '.join(asked)}: nothing can make {program.title} send X-Nexus-* headers; send "
            "them from the program itself, or demand it for its models in [[routing.policies]]"
        )

    def _own_arguments(self) -> list[str]:
        """Of a Nexus with this command's configuration."""
        options = self.options
        words = ["--config", str(self.config.path)] if self.config.path is not None else []
        words += ["--host", options.host] if options.host else []
        words += ["--cloud"] if options.cloud else []
        return words + (["--log-level", options.log_level] if options.log_level else [])


def _not_found(program: Program) -> int:
    """Say why it can't be executed; gives the exit code."""
    command = program.command
    if os.path.exists(command) and os.sep in command:
        say(f"run: {command} is not executable")
        return NOT_EXECUTABLE
    aside = "" if command == program.title else f" ({command})"
    say(f"run: {program.title} is not installed{aside}; {program.install}")
    return NOT_FOUND


@contextlib.contextmanager
def _home(setup: Setup) -> Generator[str]:
    """The temporary folder of a program that needs one; "" for others."""
    if setup.home is None:
        yield ""
        return
    with tempfile.TemporaryDirectory(prefix="nexus-run-") as folder:
        for path, target in setup.linked.items():
            Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(target, Path(folder, path))
        for path, content in setup.home.items():
            Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, path).write_text(content, "utf-8")
        yield folder
