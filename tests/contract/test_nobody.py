"""A container of an arbitrary uid: no home, no passwd entry, nothing that may be written.

With root's rights the real thing is tried, by a uid that may read and may not write; the tests
that work for everybody else patch the passwd away and point at folders that can't be made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from tests.contract.bodies import chat
from tests.contract.nexus_process import NexusProcess, backend_table
from tests.contract.scripted_upstream import ScriptedUpstream
from tests.forked import COMMAND, start
from tests.scenarios.nexus import CHAT, say

# Read by Python at its start: this uid has no passwd entry, so a "~" leads nowhere.
NOBODY_KNOWN = """
import pwd
def getpwuid(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = getpwuid
"""
NO_FOLDER = "/proc/nexus-may-not"  # nobody makes a folder there
HINT = "set [storage] path to a writable file"


def config(directory: Path, url: str) -> None:
    """Without [storage]: the ledger is where it is by default."""
    checks = "[health_check]\nenabled = false\n"
    (directory / "nexus.toml").write_text(checks + backend_table("near", url, ["m"], type="vllm"))


class HomelessNexus(NexusProcess):
    """Started without a home, and as somebody else where `before` says so."""

    def __init__(self, directory: Path, before: Sequence[str] = (), **environment: str) -> None:
        super().__init__(directory)
        self._before = before
        self._own = environment

    async def start_homeless(self) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        paths = os.pathsep.join([str(self._directory), os.getcwd()])
        with self._stderr.open("wb") as stderr:
            self._process = start(
                ["--no-ui", "--port", "0"],
                cwd=self._directory,
                env=kept | {"PYTHONPATH": paths} | self._own,
                stdout=stderr.fileno(),
                stderr=stderr.fileno(),
                fresh=(*self._before, *COMMAND),
            )
        await self.answered()


async def serves(nexus: HomelessNexus) -> str:
    """What a Nexus says that answers a request, twice."""
    await nexus.start_homeless()
    try:
        async with httpx.AsyncClient(base_url=nexus.url, timeout=20) as client:
            for _ in range(2):
                answer = await client.post(CHAT, json=chat("m"))
                assert answer.status_code == 200
            stats = await client.get("/v1/stats")
            assert stats.status_code == 200
    finally:
        nexus.terminate()
        assert await nexus.wait() == 0
    return nexus.stderr


async def test_without_a_home_it_serves_and_says_once_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOBODY_KNOWN)
    async with ScriptedUpstream() as upstream:
        upstream.script = say
        config(tmp_path, upstream.url)

        told = await serves(HomelessNexus(tmp_path))

    assert told.count("requests are served but not recorded") == told.count(HINT) == 1
    assert "no home directory for the ledger" in told
    assert "Traceback" not in told
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": NO_FOLDER},
        {"XDG_DATA_HOME": NO_FOLDER, "XDG_CONFIG_HOME": NO_FOLDER, "XDG_STATE_HOME": NO_FOLDER},
        {"HOME": NO_FOLDER, "TMPDIR": NO_FOLDER},
    ],
)
async def test_where_nothing_may_be_written_it_serves_and_says_once_what_to_do(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.script = say
        config(tmp_path, upstream.url)

        told = await serves(HomelessNexus(tmp_path, **environment))

    assert told.count("requests are served but not recorded") == told.count(HINT) == 1
    assert NO_FOLDER in told
    assert "Traceback" not in told


# May read everything, as the files of an image may be, and write nothing.
AS_SOMEBODY = (
    *("setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"),
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),
)


def _can_be_somebody() -> bool:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run([*AS_SOMEBODY, "true"], capture_output=True).returncode == 0  # noqa: S603


@pytest.mark.skipif(not _can_be_somebody(), reason="needs root's rights and setpriv")
@pytest.mark.parametrize("home", [None, "/root", "/"])
async def test_an_arbitrary_uid_is_served(tmp_path: Path, home: str | None) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.script = say
        config(tmp_path, upstream.url)
        more = {} if home is None else {"HOME": home}

        told = await serves(HomelessNexus(tmp_path, AS_SOMEBODY, **more))

    assert told.count("requests are served but not recorded") == told.count(HINT) == 1
    assert "Traceback" not in told


# What Kubernetes sets in every container of a namespace that has a service called "nexus".
KUBERNETES = {
    "NEXUS_PORT": "tcp://10.0.0.1:8000",
    "NEXUS_SERVICE_HOST": "10.0.0.1",
    "NEXUS_SERVICE_PORT": "8000",
    "NEXUS_SERVICE_PORT_HTTP": "8000",
    "NEXUS_PORT_8000_TCP": "tcp://10.0.0.1:8000",
    "NEXUS_PORT_8000_TCP_ADDR": "10.0.0.1",
    "NEXUS_PORT_8000_TCP_PORT": "8000",
    "NEXUS_PORT_8000_TCP_PROTO": "tcp",
}


async def test_what_kubernetes_sets_for_a_service_of_this_name_is_passed_over(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.script = say
        config(tmp_path, upstream.url)

        told = await serves(HomelessNexus(tmp_path, HOME=str(tmp_path), **KUBERNETES))

    assert told.count('NEXUS_PORT is ignored: "tcp://10.0.0.1:8000" is set by Kubernetes') == 1
    assert told.count("is ignored") == 1
