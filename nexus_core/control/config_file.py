"""Reload the config file, or save to it, on an operator's command."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from nexus_core.background import in_background
from nexus_core.config.changes import Change, ChangeRefusedError
from nexus_core.config.save import ConfigDiff, plan_changes, write, write_new
from nexus_core.config.schema import Config
from nexus_core.control.commands import Outcome
from nexus_core.control.reload import ReloadPlan
from nexus_core.control.unsaved import as_json, chosen, unsaved
from nexus_core.errors import ConfigError, InvalidRequestError


class Configurable(Protocol):
    """The target of a reload: the gateway."""

    @property
    def config(self) -> Config: ...

    def plan_reload(self, config: Config) -> ReloadPlan: ...
    def reload(self, config: Config) -> ReloadPlan: ...
    def unsaved_changes(self) -> tuple[Change, ...]: ...
    def saved(self, changes: Sequence[Change]) -> None: ...
    def clear_cooldowns(self) -> int: ...


class ConfigControl:
    """Reload and save of the config file; an invalid file changes nothing."""

    def __init__(
        self,
        target: Configurable,
        read: Callable[[Path | None], Config],
        environ: Mapping[str, str],
        *,
        write_first: Callable[[], tuple[Path, str]] | None = None,
    ) -> None:
        """
        Args:
            read: reads the file that is in force; given none, looks for one as the start did.
            environ: as the start had it: what is written must load with it.
            write_first: where a file goes where there is none, and its whole text.
        """
        self._target = target
        self._read = read
        self._environ = environ
        self._write_first = write_first

    async def reload(self, *, only_plan: bool) -> Outcome:
        """Put the file in force as it is now, or say what that would change.

        A reload also ends every cooldown, whatever the file says.

        Raises:
            InvalidRequestError: the file is refused; each of its problems is a line.
        """
        with _in_lines():
            config = await in_background(partial(self._read, self._target.config.path))
        plan = self._target.plan_reload(config)
        if plan.is_empty:
            ended = 0 if only_plan else self._target.clear_cooldowns()
            also = f"; cooldowns ended: {ended}" if ended else ""
            message = f"no changes: the config file matches the active configuration{also}"
            return Outcome(message=message, effect=f"no changes{also}")
        if only_plan:
            return Outcome(message="changes of a reload", lines=plan.lines)
        lines = self._target.reload(config).lines
        return Outcome(message="reloaded", lines=lines, effect="; ".join(lines))

    async def save(self, *, only_plan: bool, only: Sequence[str] | None = None) -> Outcome:
        """Write what lasts until restart into the file, or show the difference.

        Args:
            only: names of changes, as `unsaved` gives them; None: all.

        Raises:
            InvalidRequestError: the file can't be read or written, or would be refused; or there
                is no such change.
        """
        path = self._target.config.path
        if path is None:
            return await self._save_first(only_plan=only_plan)
        with _in_lines():
            every = self._target.unsaved_changes()
            changes = chosen(every, only)
            diff = await in_background(partial(plan_changes, path, changes))
            lines = (*diff.text.splitlines(), *diff.notes)
            if not diff.text:
                return Outcome(
                    message="nothing to save", lines=diff.notes, effect="nothing to save"
                )
            if only_plan:
                data = {"changes": as_json(unsaved(every, self._target.config))}
                return Outcome(message=f"changes to be saved to {path}", lines=lines, data=data)
            await in_background(partial(self._write, diff))
            self._target.saved(changes)
        return Outcome(message=f"saved to {path}", lines=lines, effect=f"to {path}")

    def _write(self, diff: ConfigDiff) -> None:
        write(diff, self._environ)

    async def _save_first(self, *, only_plan: bool) -> Outcome:
        if self._write_first is None:
            raise InvalidRequestError("no config file; `nexus init` writes one")
        path, text = self._write_first()
        lines = tuple(text.splitlines())
        if only_plan:
            return Outcome(message=f"changes to be saved to {path}", lines=lines)
        with _in_lines():
            await in_background(partial(write_new, path, text, self._environ, replace=False))
        return Outcome(message=f"saved to {path}", lines=lines, effect=f"to {path}")


@contextmanager
def _in_lines() -> Generator[None]:
    try:
        yield
    except ConfigError as error:
        raise InvalidRequestError("\n".join(error.lines)) from error
    except ChangeRefusedError as error:
        raise InvalidRequestError(str(error)) from error
