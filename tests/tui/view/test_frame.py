"""What a painting draws from: one moment, and no new value for what has not changed."""

from __future__ import annotations

from nexus_core.observe.windows.marks import Marks
from nexus_core.observe.windows.window import Window
from nexus_core.types import BackendState, PrivacyZone
from nexus_tui.view.frame import BackendView, Frames
from nexus_tui.view.model import ViewModel
from tests.tui.fake_gateway import FakeGateway
from tests.tui.fleet import Story, fixed_now, make_source, publish


def make() -> tuple[Frames, FakeGateway, ViewModel]:
    source, gateway = make_source(plays=False)
    view = ViewModel(source.requests)
    return Frames(source, view, fixed_now), gateway, view


def by_name(frames: Frames) -> dict[str, BackendView]:
    return {backend.snapshot.name: backend for backend in frames.current.backends}


def test_a_frame_says_how_each_backend_is() -> None:
    frames, gateway, _ = make()

    backends = by_name(frames)

    assert list(backends) == [backend.name for backend in gateway.config.backends]
    assert backends["exo-lab"].state is BackendState.DOWN
    assert not backends["exo-lab"].is_usable
    assert [one.name for one in frames.current.usable] == [
        "local-llama",
        "vllm-a",
        "lmstudio",
        "openai",
    ]
    assert frames.current.total == len(backends) + 1  # one that can't be used
    assert frames.current.now == fixed_now()


def test_only_what_changed_is_another_value_in_the_next_frame() -> None:
    frames, gateway, view = make()
    before = by_name(frames)

    gateway.registry.set_rank("vllm-a", tier=1, priority=7)
    publish(gateway, "one", Story(0, "gpt-4o", "openai"))
    view.pending["local-llama"] = False
    frames.renew()

    changed = [name for name, one in by_name(frames).items() if one is not before[name]]
    assert changed == ["local-llama", "vllm-a", "openai"]


def test_what_goes_on_by_time_alone_is_made_anew_each_time() -> None:
    frames, gateway, _ = make()
    gateway.registry.set_enabled("vllm-a", False)  # two of its requests go on
    gateway.registry.cooldowns.rest("lmstudio", "qwen2.5:7b", 30, "answered 429")
    frames.renew()
    before = by_name(frames)

    frames.renew()

    assert [name for name, one in by_name(frames).items() if one is not before[name]] == [
        "vllm-a",
        "lmstudio",
    ]
    assert "answered 429" in by_name(frames)["lmstudio"].cooling["qwen2.5:7b"]


def test_a_frame_adds_nothing_to_the_statistics() -> None:
    frames, gateway, _ = make()

    frames.renew()

    assert not gateway.stats.backends


def test_a_cut_zone_is_not_among_those_that_are_on() -> None:
    frames, gateway, _ = make()
    gateway.cut_open_zone()

    frame = frames.renew()

    assert frame.zones_on == {PrivacyZone.RESTRICTED}
    assert {one.state for one in frame.of_zone(PrivacyZone.OPEN)} == {
        BackendState.OFF,
        BackendState.DRAINING,
    }
    assert not any(one.is_usable for one in frame.of_zone(PrivacyZone.OPEN))


def test_with_another_gateway_the_numbers_are_its_own() -> None:
    frames, gateway, _ = make()
    publish(gateway, "one", Story(0, "gpt-4o", "openai"))
    assert by_name(frames)["openai"].stats.answers == 0  # of the frame before it
    frames.renew()
    assert by_name(frames)["openai"].stats.answers == 1

    gateway.stats.backends.clear()
    frames.renew()

    assert by_name(frames)["openai"].stats.answers == 0


def test_its_numbers_are_of_the_window_and_follow_it() -> None:
    frames, gateway, view = make()
    at = 0.0
    gateway.windows = marks = Marks(gateway.stats, lambda: at)
    publish(gateway, "one", Story(0, "gpt-4o", "openai", status=502, failed=(), error="bad"))
    marks.make()
    at = 299.0
    assert frames.renew().recent.requests == 1
    at = 301.0
    publish(gateway, "two", Story(0, "gpt-4o", "openai"))

    frame = frames.renew()

    assert (frame.window, frame.stats.requests, frame.recent.requests) == ("5m", 2, 1)
    openai = by_name(frames)["openai"]
    assert (openai.stats.answers, openai.recent.answers) == (2, 1)
    view.window = Window.HOUR
    assert frames.renew().recent.requests == 2
    assert by_name(frames)["openai"].recent.answers == 2


def test_a_row_is_the_same_value_while_its_window_is() -> None:
    frames, gateway, _ = make()
    at = 0.0
    gateway.windows = marks = Marks(gateway.stats, lambda: at)
    publish(gateway, "one", Story(0, "gpt-4o", "openai"))
    marks.make()
    at = 305.0
    marks.make()
    frames.renew()
    before = by_name(frames)["openai"]

    at = 610.0
    frames.renew()

    assert by_name(frames)["openai"] is before
    assert before.recent.answers == 0
