"""`nexus explain`: what it asks, what it prints, its exit codes, and that the rest is as before."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from nexus_core.routing.explain import explain
from nexus_core.routing.requirements import Requirements
from nexus_core.types import PrivacyZone
from nexus_tui.commands.explain import as_text
from tests.made_up_backends import MODEL, decide, snapshot
from tests.tui.commands.watching import Watching
from tests.tui.process.test_cli import BACKEND, OFFLINE, Running, run

CLOUD = (
    '[[backends]]\nname = "c"\nurl = "http://127.0.0.1:9"\ntype = "openai"\n'
    'api_key_env = "C_KEY"\nmodels = ["gpt"]\n'
)
ALIAS = '[routing.aliases]\n"claude-*" = "m"\n'
DATA = Path(__file__).parents[2] / "data"
NO_PORT = ("--port", "0")  # nobody can be found there


@contextmanager
def running(directory: Path, text: str, **environ: str) -> Iterator[str]:
    """A headless Nexus; gives its URL."""
    (directory / "nexus.toml").write_text(text, encoding="utf-8")
    nexus = Running(directory, "--no-ui", **environ)
    try:
        yield nexus.url()
    finally:
        nexus.end()


class Stranger(http.server.BaseHTTPRequestHandler):
    """Keeps every key it is sent."""

    health = b'{"service": "other"}'
    content = b"{}"
    keys: list[str | None]

    def do_GET(self) -> None:
        self._answer(self.health)

    def do_POST(self) -> None:
        self._answer(self.content)

    def _answer(self, content: bytes) -> None:
        self.keys.append(self.headers["Authorization"])
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def stranger(**answers: bytes) -> Iterator[tuple[str, list[str | None]]]:
    keys: list[str | None] = []
    handler = type("Handler", (Stranger,), {"keys": keys, **answers})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", keys
        server.shutdown()


def test_help_shows_it_and_it_has_its_own(tmp_path: Path) -> None:
    assert "explain" in run(tmp_path, "--help").stdout
    assert "--min-tier" in run(tmp_path, "explain", "--help").stdout


def test_a_running_nexus_is_asked(tmp_path: Path) -> None:
    with running(tmp_path, OFFLINE + BACKEND) as url:
        port = url.rpartition(":")[2]
        by_url = run(tmp_path, "explain", "--model", "m", "--url", f"{url}/v1")
        before = run(tmp_path, "--port", port, "explain", "--model", "m")
        after = run(tmp_path, "explain", "--model", "m", "--port", port)

    assert by_url.stdout == before.stdout == after.stdout
    assert by_url.stderr == before.stderr == after.stderr == ""
    assert "← chosen, capability-match" in by_url.stdout
    assert by_url.returncode == 0


def test_a_recorded_request_is_explained_as_one_of_its_own_api(tmp_path: Path) -> None:
    recording = str(DATA / "claude_code" / "03-turn-2-tool-results.json")
    with running(tmp_path, OFFLINE + BACKEND + ALIAS) as url:
        told = run(tmp_path, "explain", "--request", recording, "--url", url)
        pinned = run(tmp_path, "explain", "--request", recording, "--backend", "a", "--url", url)
        wrong = run(
            tmp_path, "explain", "--request", recording, "--endpoint", "/v1/nothing", "--url", url
        )

    assert (told.returncode, told.stderr) == (0, "")
    assert "tools" in told.stdout
    assert "claude-opus-4-8 → m" in told.stdout
    assert "pinned to a" in pinned.stdout
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "/v1/messages" in wrong.stderr


def test_the_admin_key_of_the_configuration_is_used(tmp_path: Path) -> None:
    auth = '[auth]\nadmin_key_env = "BOSS"\n'
    keys = {"NEXUS_API_KEYS": "k1,k2", "BOSS": "sk-boss"}
    with running(tmp_path, OFFLINE + auth + BACKEND, **keys) as url:
        with_key = run(tmp_path, "explain", "--model", "m", "--url", url, **keys)
        without = run(tmp_path, "explain", "--model", "m", "--url", url)

    assert with_key.returncode == 0
    assert (without.returncode, without.stdout) == (2, "")
    assert "401: missing client key" in without.stderr


def test_without_an_admin_key_the_first_client_key_is_used(tmp_path: Path) -> None:
    keys = {"NEXUS_API_KEYS": "alice:k1,k2"}
    with running(tmp_path, OFFLINE + BACKEND, **keys) as url:
        assert run(tmp_path, "explain", "--model", "m", "--url", url, **keys).returncode == 0


def test_where_nobody_answers_the_configuration_is_explained(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text(BACKEND + CLOUD)

    done = run(tmp_path, *NO_PORT, "explain", "--model", "m", NEXUS_API_KEYS="k1")

    assert done.returncode == 0
    assert "goes to" in done.stdout
    assert "explaining from the configuration and one probe of each backend" in done.stderr
    assert 'backend "a" did not answer' in done.stderr
    assert "C_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_models_are_learnt_by_the_look(tmp_path: Path) -> None:
    with stranger(health=b'{"object":"list","data":[{"id":"found"}]}') as (url, _):
        text = f'[[backends]]\nname = "a"\nurl = "{url}"\ntype = "vllm"\n'
        (tmp_path / "other.toml").write_text(text)
        arguments = ("explain", "--model", "found", "--config", "other.toml", *NO_PORT)
        done = run(tmp_path, *arguments)

    assert done.returncode == 0


def test_a_refusal_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text(OFFLINE + CLOUD)
    arguments = (*NO_PORT, "explain", "--model", "gpt", "--privacy", "restricted")

    done = run(tmp_path, *arguments, C_KEY="k")

    assert done.returncode == 1
    assert "refused     503 privacy_constraint_violation: " in done.stdout
    assert "what if…    the request: not restricted → c, capability-match" in done.stdout


def test_json_is_the_whole_answer(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text(OFFLINE + BACKEND)
    arguments = ("explain", "--model", "x\x1b\x7f\x9b‮", "--min-tier", "3", "--flexible", "--json")

    done = run(tmp_path, *NO_PORT, *arguments)

    assert done.returncode == 1
    assert done.stdout.isascii()
    assert not set("\x1b\x7f") & set(done.stdout)
    explanation = json.loads(done.stdout)
    assert explanation["model"] == "x\x1b\x7f\x9b‮"
    assert (explanation["min_tier"], explanation["is_flexible"]) == (3, True)


def test_what_comes_from_outside_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text(OFFLINE + BACKEND)

    done = run(tmp_path, *NO_PORT, "explain", "--model", "x\x1b[2J\ny\r\u202e")

    assert done.returncode == 1
    assert r"asked       x\x1b[2J\x0ay\x0d\u202e" in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--model", "m", "--min-tier", "5"],
        ["--model", "m", "--privacy", "secret"],
        ["--model", "m", "--backend", "a b"],
        ["--model", "m", "--backend", "nobody"],
        ["--model", ""],
        ["--model", "x" * 300],
        ["--model", "m", "--config", "gone.toml"],
        ["--model", "m", "--port", "x"],
        ["--model", "m", "--url", "ftp://h"],
        ["--model", "m", "--url", "http://u:secret@127.0.0.1:9"],
        ["--model", "m", "--url", "http://127.0.0.1:9"],
        ["--mod", "m"],
    ],
)
def test_what_cannot_be_asked_is_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "nexus.toml").write_text(OFFLINE + BACKEND)

    done = run(tmp_path, *NO_PORT, "explain", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert "secret@" not in done.stderr


def test_a_wrong_config_is_told_whole(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text("[server]\nprot = 1\nhost = 2\n")

    done = run(tmp_path, "explain", "--model", "m")

    told = [line for line in done.stderr.splitlines() if line.startswith("nexus.toml:")]
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in told] == ["server.prot", "server.host"]


def test_a_stranger_gets_no_key(tmp_path: Path) -> None:
    with stranger() as (url, keys):
        port = url.rpartition(":")[2]
        named = run(tmp_path, "explain", "--model", "m", "--url", url, NEXUS_ADMIN_KEY="sk")
        found = run(tmp_path, "--port", port, "explain", "--model", "m", NEXUS_ADMIN_KEY="sk")

    assert keys == [None, None]
    assert named.returncode == 2
    assert f"the server at {url} is not a Nexus" in named.stderr
    assert found.returncode == 1
    assert "explaining from the configuration" in found.stderr


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"[" * 50_000, b'{"chosen": null}', b'{"models": [{}]}', b"<html>"]
)
def test_rubbish_for_an_answer_is_told(tmp_path: Path, content: bytes) -> None:
    with stranger(health=b'{"service": "nexus"}', content=content) as (url, _):
        done = run(tmp_path, "explain", "--model", "m", "--url", url)

    assert (done.returncode, done.stdout) == (2, "")
    assert "incompatible Nexus version" in done.stderr


def test_demo_is_not_for_it(tmp_path: Path) -> None:
    assert run(tmp_path, "--demo", "explain", "--model", "m").returncode == 2


def test_the_table_is_aligned() -> None:
    need = Requirements(
        MODEL, ("gpt-4", MODEL), zone=PrivacyZone.RESTRICTED, min_tier=3, policies=("gpt-*",)
    )
    fleet = (
        snapshot("local-llama", max_concurrent=4, in_flight=4, priority=80, latency_ms=100.0),
        snapshot("vllm", max_concurrent=8, in_flight=1, latency_ms=500.0),
        snapshot("lmstudio", tier=2),
        snapshot("cloud", zone=PrivacyZone.OPEN, priority=0),
        snapshot("google", models={}),
        snapshot("openai", models={}),
        snapshot("vllm-slow", priority=5),
    )

    lines = as_text(explain(decide(need, *fleet, strategy="smart")))

    assert lines == [
        " asked       gpt-4 → llama3:70b",
        " policies    gpt-*",
        " demands     zone restricted, tier ≥ 3",
        " strategy    smart",
        "",
        " stage       in → out   dropped",
        " model       7 → 5      google, openai: does not serve llama3:70b",
        " enabled     5 → 5",
        " zone        5 → 4      cloud: zone open, the request is restricted",
        " tier ≥ 3    4 → 3      lmstudio: tier 2, minimum is 3",
        " capable     3 → 3",
        " healthy     3 → 3",
        " cooldown    3 → 3",
        " capacity    3 → 2      local-llama: full: 4/4",
        " score       1 vllm       priority 50×0.50=25  load 30×0.88=26  latency 20×0.50=10"  # noqa: RUF001
        "  local 20×1.00=20  warm 5×0.50=2  affinity 5×0.00=0  = 84  ← chosen, capacity-overflow",  # noqa: RUF001
        "             2 vllm-slow  priority 50×0.05=2   load 30×1.00=30  latency 20×0.50=10"  # noqa: RUF001
        "  local 20×1.00=20  warm 5×0.50=2  affinity 5×0.00=0  = 65",  # noqa: RUF001
        "",
        " goes to     vllm (local, zone restricted) as llama3:70b: capacity-overflow",
        " what if…    local-llama: one slot free → local-llama, capability-match",
        "             the request: no minimum tier → lmstudio, capability-match",
    ]


def test_watching_asks_again_and_tells_once_what_it_answers_from(tmp_path: Path) -> None:
    (tmp_path / "nexus.toml").write_text(BACKEND + OFFLINE, encoding="utf-8")
    watching = Watching(tmp_path, "explain", "--model", "m", "--json", *NO_PORT)
    answers = [json.loads(watching.line()) for _ in range(2)]
    code, stderr = watching.end()

    assert [answer["model"] for answer in answers] == ["m", "m"]
    assert code == 130
    assert stderr.count("explaining from the configuration") == 1


def test_watching_a_route_shows_what_changes(tmp_path: Path) -> None:
    with running(tmp_path, BACKEND + OFFLINE) as url:
        watching = Watching(tmp_path, "explain", "--model", "m", "--url", url)
        while not watching.line().startswith(" goes to"):
            pass
        httpx.post(f"{url}/nexus/zones/restricted", json={"enabled": False})
        while not (line := watching.line()).startswith(" refused"):
            pass
        code, stderr = watching.end()

    assert "503" in line
    assert (code, stderr) == (130, "")
