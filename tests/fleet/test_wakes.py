"""Who is woken by what becomes of backends."""

from __future__ import annotations

from tests.fleet.test_registry import registry


def test_a_freed_slot_wakes_who_waits_then_and_nobody_else() -> None:
    woken: list[str | None] = []
    versions: list[int] = []
    reg = registry()
    reg.wakes.on_version(lambda: versions.append(reg.version))
    reg.wakes.on(woken.append)

    reg.acquire("a")
    reg.release("a")
    reg.wakes.off(woken.append)
    reg.acquire("a")
    reg.release("a")
    assert (woken, versions) == (["a"], [])

    reg.set_enabled("a", False)
    assert (woken, versions) == (["a"], [reg.version])


def test_a_listener_that_leaves_while_it_is_told_keeps_no_other_from_hearing() -> None:
    reg = registry()
    woken: list[str] = []

    def once(_: str | None) -> None:
        woken.append("once")
        reg.wakes.off(once)

    reg.wakes.on(once)
    reg.wakes.on(lambda _: woken.append("always"))

    for _ in range(2):
        reg.acquire("a")
        reg.release("a")

    assert woken == ["once", "always", "always"]
