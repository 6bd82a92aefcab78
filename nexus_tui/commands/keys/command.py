"""`nexus keys create | list | limit | rotate | block | revoke …`: client keys made at run time."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from nexus_tui.commands.base.client import json_text, understood, visible_json
from nexus_tui.commands.base.subcommands import Subcommands, add_actions, add_ascii
from nexus_tui.commands.base.target import add_target, run_with_config
from nexus_tui.process.streams import say, show

# `nexus --help` comes by here: what only an answer needs is imported where it is used.
if TYPE_CHECKING:
    from nexus_core.config.schema import Config

DONE = 0  # the exit code

_LIMITS = ("budget", "rpm", "tpm", "parallel", "models", "zone", "tier", "expires")


class Place(Protocol):
    """Where keys are changed: a running Nexus, or the store of one that does not run."""

    where: str  # for people
    replica: str | None  # that answered last; None where no fleet is asked

    def listed(self) -> dict[str, Any]: ...
    def shown(self, name: str) -> dict[str, Any]: ...
    def create(self, name: str, asked: Mapping[str, str]) -> dict[str, Any]: ...
    def limit(self, name: str, asked: Mapping[str, str]) -> dict[str, Any]: ...
    def rotate(self, name: str, grace: str | None) -> dict[str, Any]: ...
    def block(self, name: str, *, blocked: bool) -> dict[str, Any]: ...
    def revoke(self, name: str) -> dict[str, Any]: ...
    def close(self) -> None: ...


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    parser = commands.add_parser(
        "keys",
        help="client keys made at run time, with limits",
        description="Client keys made at run time, with limits: budget, requests and tokens a "
        "minute, requests at a time, models, zone, tier, expiry. A running Nexus, found by --url "
        "or the configured host and port, goes by a change at once; where none runs, its file of "
        "keys is changed, or PostgreSQL, if it is set. Keys of the environment are changed there.",
        epilog="Once there is a created key, requests need a key. "
        "Exit code: 0 on success, 1 if there is no such key, 2 on any other failure.",
        allow_abbrev=False,
    )
    actions = add_actions(parser)
    create = _add(actions, port, "create", "make a key; its secret is shown once", _create)
    _add(actions, port, "list", "all keys, those of the environment too", _list, is_named=False)
    _add(actions, port, "show", "one key, and what is used of its limits", _show)
    limit = _add(actions, port, "limit", "change limits; the others stay", _limit)
    rotate = _add(actions, port, "rotate", "another secret for a key, shown once", _rotate)
    _add(actions, port, "block", "let a key open nothing until `unblock`", _block)
    _add(actions, port, "unblock", "let a blocked key in again", _unblock)
    _add(actions, port, "revoke", "let a key open nothing any more, for good", _revoke)
    for with_limits in (create, limit):
        _add_limits(with_limits)
    rotate.add_argument("--grace", metavar="TIME", help="take the old secret for so long (24h)")


def _add(
    actions: Subcommands,
    port: Callable[[str], int],
    name: str,
    text: str,
    act: Callable[[Place, argparse.Namespace], int],
    *,
    is_named: bool = True,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    if is_named:
        parser.add_argument("name", metavar="NAME", help="the key's name")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_ascii(parser)
    add_target(parser, port)
    parser.set_defaults(run=_run, act=act)
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits", "`none` lifts one.")
    add = group.add_argument
    add("--budget", metavar="USD", help="dollars a month (UTC)")
    add("--rpm", metavar="N", help="requests a minute")
    add("--tpm", metavar="N", help="tokens a minute, of prompts and answers (100k)")
    add("--parallel", metavar="N", help="requests under way at a time")
    add("--models", metavar="GLOBS", help="only these models (llama*,qwen2:72b)")
    add("--zone", metavar="ZONE", help="restricted: only backends of that zone")
    add("--tier", metavar="N", help="only backends of this tier, 0 to 4, or above")
    add("--expires", metavar="WHEN", help="30d, 12h or an RFC 3339 time")


def _asked(options: argparse.Namespace) -> dict[str, str]:
    return {name: value for name in _LIMITS if (value := getattr(options, name)) is not None}


def _run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    def act(config: Config) -> int:
        from nexus_core.errors import NexusError
        from nexus_tui.commands.base.errors import NoAnswerError, NotFoundError
        from nexus_tui.commands.keys.places import place_of

        place = place_of(options.url, config)
        try:
            code: int = options.act(place, options)
        except NexusError as error:
            kind = NotFoundError if error.status == 404 else NoAnswerError
            raise kind(error.message) from error
        finally:
            place.close()
        return code

    return run_with_config(options, environ, act)


def _create(place: Place, options: argparse.Namespace) -> int:
    code = _tell_secret(place.create(options.name, _asked(options)), place, options)
    listed = place.listed()
    if len(listed["keys"]) == 1 and not listed.get("environment"):
        say("keys: it is the first key: from now on requests need one, also those of this machine")
    return code


def _rotate(place: Place, options: argparse.Namespace) -> int:
    return _tell_secret(place.rotate(options.name, options.grace), place, options)


def _tell_secret(told: dict[str, Any], place: Place, options: argparse.Namespace) -> int:
    """The secret alone goes to stdout, so that a script can take it."""
    with understood():
        secret = str(told["secret"])
        name = str(told["name"])
    if options.json:
        return _tell(told, options)
    show(secret)
    until = told.get("old_secret_until")
    also = f"; the old one is taken until {until}" if until else ""
    say(f"keys: this is the secret of {name} ({place.where}); it is not shown again{also}")
    return DONE


def _list(place: Place, options: argparse.Namespace) -> int:
    from nexus_tui.commands.keys.shown import list_lines

    told = place.listed()
    with understood():
        environment: list[Mapping[str, Any]] = told.get("environment") or []
        lines = list_lines(told["keys"], environment)
    _tell(told, options, *lines)
    _say_whose_counts(place)
    if problem := told.get("problem"):
        say(f"keys: {problem}")
    return DONE


def _show(place: Place, options: argparse.Namespace) -> int:
    return _tell_key(place, place.shown(options.name), options)


def _limit(place: Place, options: argparse.Namespace) -> int:
    return _tell_key(place, place.limit(options.name, _asked(options)), options)


def _tell_key(place: Place, told: dict[str, Any], options: argparse.Namespace) -> int:
    from nexus_tui.commands.keys.shown import key_lines

    with understood():
        lines = [] if options.json else key_lines(told)
    _tell(told, options, *lines)
    _say_whose_counts(place)
    return DONE


def _say_whose_counts(place: Place) -> None:
    from nexus_tui.text.escape import escaped

    if place.replica is not None:
        say(
            f"keys: requests, tokens and parallel are those of replica {escaped(place.replica)} "
            "alone; --url asks another"
        )


def _block(place: Place, options: argparse.Namespace) -> int:
    return _switch(place, options, blocked=True)


def _unblock(place: Place, options: argparse.Namespace) -> int:
    return _switch(place, options, blocked=False)


def _switch(place: Place, options: argparse.Namespace, *, blocked: bool) -> int:
    told = place.block(options.name, blocked=blocked)
    done = "blocked" if blocked else "let in again"
    return _tell(told, options, f"{options.name} is {done} ({place.where})")


def _revoke(place: Place, options: argparse.Namespace) -> int:
    told = place.revoke(options.name)
    return _tell(told, options, f"{options.name} is revoked ({place.where})")


def _tell(told: dict[str, Any], options: argparse.Namespace, *lines: str) -> int:
    for line in [json_text(visible_json(told))] if options.json else lines:
        show(line)
    return DONE
