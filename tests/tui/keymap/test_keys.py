from __future__ import annotations

from pathlib import Path

import pytest
from textual.binding import BindingsMap

from nexus_core.config.schema import Config
from nexus_core.config.tui import TuiConfig
from nexus_core.errors import ConfigError
from nexus_tui.app import NexusApp
from nexus_tui.cli import main
from nexus_tui.keymap.bindings import as_bindings
from nexus_tui.keymap.check import COLUMNS, require_known_keys
from nexus_tui.keymap.keys import CHANGES, KEYS, Keymap, Place, check_keys, remapped
from nexus_tui.screens.help import help_bands, help_lines
from nexus_tui.widgets.chrome import HintBar
from tests.tui.fleet import fixed_now, make_source
from tests.tui.screen import press
from tests.tui.staged import make_stage
from tests.waiting import until

_DIALOG_KEYS = {"simulate", "explain.send", "explain.copy", "explain.json", "diff.swap"}


def test_every_key_does_something_and_nothing_is_done_without_one() -> None:
    source, _ = make_source()
    app = NexusApp(source, now=fixed_now)

    assert set(app._handlers) == {key.id for key in KEYS} - _DIALOG_KEYS


def test_the_table_has_no_key_of_two_meanings() -> None:
    as_written = {key.id: " ".join(key.keys) for key in KEYS if key.id != "interrupt"}

    assert check_keys(as_written) == []
    assert len({key.id for key in KEYS}) == len(KEYS)


def test_bindings_carry_the_ids_by_which_keys_are_remapped() -> None:
    assert [binding.id for binding in as_bindings(KEYS)] == [key.id for key in KEYS]


@pytest.mark.parametrize(
    "place", ["requests", "detail", "backends", "zones", "costs", "logs", "empty"]
)
def test_every_place_hints_at_help_commands_and_quit(place: str) -> None:
    ids = [key.id for key in Keymap().hints(place)]  # type: ignore[arg-type]

    assert ids[-3:] == ["help", "palette", "quit"]


@pytest.mark.parametrize("keys", ["1", "2", "3", "4", "5", "6", "2 j j enter", "2 j j x"])
@pytest.mark.parametrize("why", ["read-only", "link lost"])
async def test_no_hint_is_at_a_key_that_would_be_refused(keys: str, why: str) -> None:
    stage = make_stage()
    if why == "read-only":
        stage.source.is_read_only = True
    else:
        stage.source.status = "stale"
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(250, 36)) as pilot:
        text = await press(pilot, *keys.split())
        bar = app.screen.query(HintBar).last()
        hinted = {key.id for key in bar._hints()}

    assert hinted & {"help", "back"}
    assert not hinted & CHANGES
    assert "CUT NOW" not in text
    assert "! CUT" not in text.splitlines()[-1]


async def test_every_key_that_a_read_only_screen_does_not_hint_at_is_refused_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = make_stage()
    stage.source.is_read_only = True
    app = NexusApp(stage.source, now=fixed_now)
    told = list[str]()
    monkeypatch.setattr(app, "notice", told.append)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "j", "3")
        for key in sorted(CHANGES - {"explain.send", "use_key", "add"}):
            told.clear()
            app.action_do(key)
            await until(lambda: "read-only dashboard: changes are disabled" in told)


def test_the_help_names_every_key() -> None:
    keymap = Keymap()
    lines = help_lines(help_bands(keymap, ("lists",), None), 200, is_wide=False)
    text = "\n".join("".join(part for part, _ in line) for line in lines)

    assert all(key.help in text and key.all_shown in text for key in KEYS)
    assert sum(len(keys) for _, _, keys in keymap.by_place()) == len(KEYS)


def test_in_an_open_request_the_slash_is_said_to_search() -> None:
    def hint(place: Place) -> str:
        return next(key.hint for key in Keymap().hints(place) if key.id == "filter")

    assert (hint("requests"), hint("detail")) == ("filter", "search")


@pytest.mark.parametrize("never", ["ctrl+s", "ctrl+z", "f10", "f11", "f12", "alt+x"])
def test_keys_that_terminals_eat_are_not_used(never: str) -> None:
    assert never not in {name for key in KEYS for name in key.keys}
    assert "never arrives" in check_keys({"help": never})[0][1]


def test_own_keys_take_the_place_of_the_table_s() -> None:
    keymap = remapped({"panic": "ctrl+x F", "help": "h"})
    bound = BindingsMap(as_bindings(keymap.keys)).key_to_bindings

    assert keymap["panic"].all_shown == "ctrl+x F"
    assert [binding.id for binding in bound["F"]] == ["panic"]
    assert [binding.id for binding in bound["shift+f"]] == ["panic"]
    assert "exclamation_mark" not in bound
    assert keymap["quit"] == Keymap()["quit"]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"pannic": "x"}, 'is not an action; did you mean "panic"?'),
        ({"panic": "ctrl+meta+x"}, "is not a key"),
        ({"panic": "  "}, "is empty"),
        ({"panic": "q"}, "is also the key of quit"),
        ({"probe": "K"}, "is also the key of cut"),
        ({"theme": "P"}, "is also the key of probe"),
        ({"diff.swap": "escape"}, "is also the key of back"),
    ],
)
def test_own_keys_that_make_no_sense_are_told(own: dict[str, str], said: str) -> None:
    ((path, text),) = check_keys(own)

    assert path == ("tui", "keys", next(iter(own)))
    assert said in text


def test_one_key_may_mean_different_things_on_different_tabs() -> None:
    assert check_keys({"probe": "v", "level": "v"}) == []


def test_a_file_with_unknown_keys_is_refused_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nexus.toml"
    file.write_text('[tui]\ntheme = "nexus-light"\n[tui.keys]\npannic = "x"\nhelp = "q"\n')

    code = main(["--no-ui", "--port", "0", "--config", str(file)])

    assert code == 2
    assert capsys.readouterr().err.splitlines() == [
        f'{file}:4: tui.keys.pannic: is not an action; did you mean "panic"?',
        '  pannic = "…"',
        "  ^",
    ]


def test_columns_that_there_are_not_are_refused_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nexus.toml"
    file.write_text('[tui]\ncolumns = ["time", "stauts",\n  "time"]\n')

    code = main(["check", "--config", str(file)])

    told = capsys.readouterr().err
    assert code == 2
    assert f'{file}:2: tui.columns[1]: "stauts" is not one of time, id, replica, key,' in told
    assert 'did you mean "status"?' in told
    assert f'{file}:3: tui.columns[2]: "time" is there already' in told


def test_no_column_at_all_is_refused_and_every_column_may_be_chosen() -> None:
    require_known_keys(Config(tui=TuiConfig(columns=COLUMNS)))
    with pytest.raises(ConfigError, match=r"tui\.columns: is empty"):
        require_known_keys(Config(tui=TuiConfig(columns=())))


def test_a_configuration_without_a_file_may_be_checked() -> None:
    wrong = Config(tui=TuiConfig(keys={"x": "y"}))

    require_known_keys(Config())
    with pytest.raises(ConfigError, match=r"tui\.keys\.x: is not an action"):
        require_known_keys(wrong)
