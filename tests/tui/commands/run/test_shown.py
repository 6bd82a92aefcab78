"""What --print shows is what a shell needs for the same, without the key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nexus_tui.commands.run.programs import PROGRAMS
from nexus_tui.commands.run.setup import KEY_VARIABLE, Target
from nexus_tui.commands.run.shown import shell_lines

KEY = "sk-client-secret"
ODD = 'it\'s $HOME `x` "q"'
TELL = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([dict(os.environ), sys.argv[1:]]))
"""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_shell_does_the_same(name: str, tmp_path: Path) -> None:
    target = Target(
        "http://127.0.0.1:8000", KEY, ODD, headers={"X-Nexus-Min-Tier": "3"}, models=(ODD,)
    )
    environ = {"HOME": str(tmp_path), "ANTHROPIC_API_KEY": "sk-ant-own", "PATH": "/usr/bin:/bin"}
    setup = PROGRAMS[name].prepare(target, environ, [ODD])
    program = tmp_path / "told"
    program.write_text(TELL)
    program.chmod(0o700)

    lines = list(shell_lines(setup, [str(program), ODD], KEY, environ))
    done = subprocess.run(  # noqa: S603 - what was shown
        ["/bin/sh", "-eu", "-c", "\n".join(lines)],
        env={**environ, KEY_VARIABLE: KEY},
        capture_output=True,
        text=True,
        check=True,
    )

    assert KEY not in "\n".join(lines)
    told, arguments = json.loads(done.stdout)
    assert arguments == [*setup.arguments, ODD]
    for variable, value in setup.environment(environ, "HOME").items():
        if variable != setup.home_variable:
            assert told[variable] == value
    assert ("ANTHROPIC_API_KEY" in told) == (name != "claude")
    for path, content in (setup.home or {}).items():
        assert Path(told[setup.home_variable], path).read_text() == content


def test_a_key_that_is_missing_is_told(tmp_path: Path) -> None:
    setup = PROGRAMS["codex"].prepare(Target("http://127.0.0.1:8000", KEY), {}, [])

    done = subprocess.run(  # noqa: S603 - what was shown
        ["/bin/sh", "-c", "\n".join(shell_lines(setup, ["true"], KEY, {}))],
        env={},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "set it to your client key" in done.stderr
