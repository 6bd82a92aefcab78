from __future__ import annotations

import asyncio
import gc
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

from nexus_core.background import LONG_BYTES, in_background, load_in_background, read_long


async def test_work_is_done_in_a_thread_that_takes_short_turns() -> None:
    usual = sys.getswitchinterval()

    thread, meanwhile = await in_background(
        lambda: (threading.current_thread(), sys.getswitchinterval())
    )

    assert thread is not threading.main_thread()
    assert meanwhile < usual / 5
    assert sys.getswitchinterval() == usual


async def test_what_fails_leaves_the_interpreter_as_it_was() -> None:
    usual = sys.getswitchinterval()

    with pytest.raises(ZeroDivisionError):
        await in_background(lambda: 1 / 0)

    assert sys.getswitchinterval() == usual


async def test_turns_are_short_until_the_last_of_several_is_done() -> None:
    usual = sys.getswitchinterval()
    begun, release = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return release.wait(20)

    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(in_background(work))
        await in_background(lambda: begun.wait(20))
        while_one_works = sys.getswitchinterval()
        release.set()

    assert slow.result()
    assert while_one_works < usual / 5
    assert sys.getswitchinterval() == usual


async def test_a_caller_that_gives_up_leaves_no_short_turns_behind() -> None:
    usual = sys.getswitchinterval()
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(20)

    async def ask() -> None:
        await in_background(work)

    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask())
        await asyncio.to_thread(begun.wait, 20)
        asking.cancel()
    while_it_works = sys.getswitchinterval()
    release.set()
    await asyncio.get_running_loop().shutdown_default_executor()

    assert while_it_works < usual / 5
    assert sys.getswitchinterval() == usual


@pytest.mark.parametrize(("size", "is_here"), [(100, True), (LONG_BYTES, False)])
async def test_what_is_long_to_read_is_read_in_a_thread(size: int, is_here: bool) -> None:
    thread = await read_long(lambda _: threading.current_thread(), b"x" * size)

    assert (thread is threading.main_thread()) is is_here


async def test_what_an_import_brings_is_out_of_the_collectors_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brought_late.py").write_text("values = [[n] for n in range(1000)]")
    monkeypatch.syspath_prepend(tmp_path)
    before = gc.get_freeze_count()

    await load_in_background(lambda: import_module("math"))
    without_news = gc.get_freeze_count()
    await load_in_background(lambda: import_module("brought_late"))
    with_news = gc.get_freeze_count()

    assert without_news == before
    assert with_news >= before + 1000


async def test_the_collector_rests_until_the_last_of_several_imports_is_done() -> None:
    begun, release = threading.Event(), threading.Event()

    def load() -> bool:
        begun.set()
        return release.wait(20)

    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(load_in_background(load))
        await load_in_background(lambda: begun.wait(20))
        while_one_loads = gc.isenabled()
        release.set()

    assert slow.result()
    assert not while_one_loads
    assert gc.isenabled()


async def test_an_import_that_fails_leaves_the_collector_as_it_was() -> None:
    with pytest.raises(ImportError):
        await load_in_background(lambda: import_module("of_that_name_there_is_none"))
    while_it_works = gc.isenabled()
    gc.disable()
    try:
        await load_in_background(lambda: None)
        while_it_rests = gc.isenabled()
    finally:
        gc.enable()

    assert while_it_works
    assert not while_it_rests
