"""Typed keys in their order: each waits until what the one before it opens is there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Input, TextArea

# A key is waited for no longer than this, whatever its action does.
_LONGEST_SECONDS = 1.0
_ROUNDS = 2  # through all queues: of the key, and of what its action sends

Typed: TypeAlias = events.Key | events.Paste


class TypedKeys:
    """Passes keys on one by one.

    Textual sends each key to what has the focus at that time. In a burst, as of a fast typist or
    of `tmux send-keys`, the keys behind one that opens something would be sent to what is open
    before, and do something else there or nothing.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._waiting = deque[Typed]()
        self._has_some = asyncio.Event()
        self._passed: Typed | None = None  # the one that is on its way
        self.is_idle = True  # all keys were passed on, and what they brought about is through
        # Actions that run, by their task: the dialog that each waits for, or whether it is one
        # that the keys behind it do not wait for.
        self._actions: dict[asyncio.Task[Any] | None, Screen[Any] | bool] = {}
        self._changed = asyncio.Event()  # one of them did something

    def keep(self, event: events.Event) -> bool:
        """Take what was typed; False: it is no key, or one that is passed on now."""
        if not isinstance(event, Typed) or event.is_forwarded:
            return False
        if event is self._passed:
            self._passed = None
            return False
        self._waiting.append(event)
        self._has_some.set()
        self.is_idle = False
        return True

    async def run(self) -> None:
        """Pass keys on until cancelled."""
        try:
            while True:
                await self._has_some.wait()
                await self._pass_on(self._waiting.popleft())
                self.is_idle = not self._waiting
        finally:
            self.is_idle = True  # what still waits comes to nothing: the app ends

    async def _pass_on(self, event: Typed) -> None:
        if not self._waiting:
            self._has_some.clear()
        app = self._app
        writes = isinstance(app.focused, Input | TextArea) and (
            isinstance(event, events.Paste) or event.is_printable
        )
        self._passed = event
        app.post_message(event)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_SECONDS):
                await _through(app)
                if not writes:  # what is written into an entry is in order by itself
                    await self._settled()

    async def _settled(self) -> None:
        """Wait until a key and what it brought about are through."""
        app, rounds = self._app, _ROUNDS
        while rounds or any(map(self._holds, self._actions.values())):
            if not rounds:
                self._changed.clear()
                await self._changed.wait()
                rounds = _ROUNDS
            rounds -= 1
            if not app.screen_stack:
                return  # the app is ending
            screen, focused = app.screen, app.focused
            for node in (focused or screen).ancestors_with_self:
                await _through(node)
            if app.screen_stack and (app.screen, app.focused) != (screen, focused):
                rounds = _ROUNDS

    # --- what actions do -----------------------------------------------------------------

    def _holds(self, state: Screen[Any] | bool) -> bool:
        return state is True or (isinstance(state, Screen) and state not in self._app.screen_stack)

    @contextmanager
    def acting(self) -> Generator[None]:
        """What is typed meanwhile waits, until the action asks something or gives way."""
        task = asyncio.current_task()
        self._set(task, True)
        try:
            yield
        finally:
            del self._actions[task]
            self._changed.set()

    @contextmanager
    def asking(self, dialog: Screen[Any]) -> Generator[None]:
        """What is typed meanwhile is for the dialog, from when it is there until it is gone."""
        with self._meanwhile(dialog):
            yield

    @contextmanager
    def giving_way(self) -> Generator[None]:
        """What is typed meanwhile does not wait: this may take long, and opens nothing."""
        with self._meanwhile(False):
            yield

    @contextmanager
    def _meanwhile(self, state: Screen[Any] | bool) -> Generator[None]:
        task = asyncio.current_task()
        if task not in self._actions:  # not of a key
            yield
            return
        self._set(task, state)
        try:
            yield
        finally:
            self._set(task, True)

    def _set(self, task: asyncio.Task[Any] | None, state: Screen[Any] | bool) -> None:
        self._actions[task] = state
        self._changed.set()


async def _through(node: DOMNode) -> None:
    """Wait until all that was sent to a node so far was dealt with."""
    passed = asyncio.Event()
    if node.is_running and node.call_later(passed.set):
        while node.is_running and not passed.is_set():
            try:
                async with asyncio.timeout(0.05):
                    await passed.wait()
            except TimeoutError:
                continue
