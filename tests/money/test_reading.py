"""Readings of the ledger: of the fleet, and of this node while PostgreSQL can't be read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus_core.api.health import read_health
from nexus_core.config.schema import AuthConfig, ClientKey, Config, StorageConfig
from nexus_core.gateway import Gateway
from nexus_core.money.cost_lines import Scope
from nexus_core.money.ledger_queries import By
from nexus_core.money.ledger_schema import action_row
from nexus_core.money.months import Month
from nexus_core.observe.events import OperatorActed
from nexus_core.types import NANO, Actor, Via
from nexus_core.workers.numbers import _outbox
from tests.api.in_process import client as in_process
from tests.database.server import SECRET, Place
from tests.money.ledger_rows import AT, row
from tests.money.shared.test_shared_ledger import ship, write
from tests.tui.process.test_cli import run
from tests.waiting import until

MONTH = Month.of(AT)
DEAD = f"postgresql://nexus:{SECRET}@127.0.0.1:1/nexus"


@asynccontextmanager
async def running(storage: StorageConfig) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    # A key of the environment: nobody can tell whether others are needed without PostgreSQL.
    auth = AuthConfig(api_keys=(ClientKey(name="ops", value=b"sesame"),))
    gateway = Gateway(Config(storage=storage, auth=auth), now=lambda: AT)
    async with gateway.running(), in_process(gateway) as client:
        client.headers["Authorization"] = "Bearer sesame"
        await until(lambda: gateway.cost_tracker.is_month_known)
        yield gateway, client


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200
    return answer.json()


async def test_costs_are_the_fleet_s(tmp_path: Path, database: Place) -> None:
    other = write(tmp_path / "other.db", row(request_id="o", cost_nano_usd=2 * NANO))
    ship(other, database, "box-2")
    write(tmp_path / "n.db", row(request_id="1", cost_nano_usd=NANO))

    async with running(database.storage(tmp_path / "n.db")) as (gateway, client):
        assert gateway.cost_tracker.budget.spent_nano_usd == 3 * NANO
        shared = gateway.cost_tracker.shared
        assert shared is not None
        await until(lambda: len(database.ask("SELECT 1 FROM nexus.requests")) == 2)
        lines = await get(client, "/nexus/costs?by=key")
        report = (await get(client, "/nexus/costs"))["costs"]
        await until(lambda: shared.shipper.waiting.rows == 0)
        stats, health = await get(client, "/v1/stats"), await get(client, "/health")
        metrics = (await client.get("/metrics")).text

    assert (lines["scope"], lines["total"]["cost_usd"]) == ("fleet", "3.000000000")
    assert report["month"] == "3"
    assert report["outbox"] == {"rows": 0, "oldest": None, "is_fleet": True, "problem": None}
    outbox = {"waiting": 0, "waiting_seconds": 0.0, "refused": 0, "problem": None}
    assert stats["ledger"]["outbox"] == health["ledger"] == outbox
    assert "nexus_ledger_rows_waiting 0.0" in metrics
    assert "nexus_ledger_waiting_seconds 0.0" in metrics
    assert "nexus_ledger_rows_refused_total 0.0" in metrics


async def test_without_an_answer_all_is_said_of_this_node(
    tmp_path: Path, database: Place, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "n.db", row(at=AT - 90, cost_nano_usd=NANO))

    async with running(database.storage(path, url=DEAD)) as (gateway, client):
        assert gateway.cost_tracker.budget.spent_nano_usd == NANO
        shared = gateway.cost_tracker.shared
        assert shared is not None
        await until(lambda: shared.shipper.problem is not None)
        lines = await gateway.cost_tracker.cost_lines(By.MODEL, MONTH)
        report = await gateway.cost_tracker.cost_report()
        health = await get(client, "/health")
        stats = await get(client, "/v1/stats")
        metrics = (await client.get("/metrics")).text

    assert lines is not None
    assert report is not None
    assert report.outbox is not None
    assert (lines.scope, lines.total.cost_nano_usd) == (Scope.NODE, NANO)
    assert "refused" in (lines.problem or "")
    assert report.month == 1
    assert (report.outbox.rows, report.outbox.oldest) == (1, AT - 90)
    assert not report.outbox.is_fleet
    assert health["ledger"]["waiting"] == stats["ledger"]["outbox"]["waiting"] == 1
    assert health["ledger"]["waiting_seconds"] == 90
    assert "nexus_ledger_rows_waiting 1.0" in metrics
    assert "nexus_ledger_waiting_seconds 90.0" in metrics
    assert "the month's spending is that of this node only" in caplog.text
    for told in (caplog.text, json.dumps([health, stats]), metrics, repr(report)):
        assert SECRET not in told


async def test_strangers_do_not_hear_where_postgresql_is(tmp_path: Path, database: Place) -> None:
    async with running(database.storage(tmp_path / "n.db", url=DEAD)) as (gateway, _):
        shared = gateway.cost_tracker.shared
        assert shared is not None
        await until(lambda: shared.shipper.problem is not None)
        _, told = read_health(gateway, {"client": ("10.0.0.9", 1), "headers": []})

    assert told["ledger"]["problem"] == "PostgreSQL takes no rows"


def test_workers_tell_of_their_one_outbox_once() -> None:
    nothing = {"waiting": 0, "waiting_seconds": 0.0, "refused": 0, "problem": None}
    late = {"waiting": 3, "waiting_seconds": 9.0, "refused": 1, "problem": "refused"}

    assert _outbox([]) == {}
    assert _outbox([nothing, late]) == {"outbox": late}
    assert _outbox([{**late, "problem": None}, nothing])["outbox"]["waiting"] == 3


async def test_what_operators_did_is_kept_there_too(tmp_path: Path, database: Place) -> None:
    by = Actor(via=Via.SCREEN)
    acted = OperatorActed(
        at=AT, by=by, action="zone_cut", target="open", text="cut it", effect=None, error=None
    )
    async with running(database.storage(tmp_path / "n.db")) as (gateway, _):
        gateway.cost_tracker.keep_action(acted)

    assert database.ask("SELECT at, action, text FROM nexus.operator_actions") == [
        (AT, "zone_cut", "cut it")
    ]
    assert action_row(acted)[0] == AT


def test_the_command_tells_the_fleet_s_costs_and_whose_they_are(
    tmp_path: Path, database: Place
) -> None:
    for name in ("box-1", "box-2"):
        path = write(tmp_path / f"{name}.db", row(request_id=name, cost_nano_usd=NANO))
        ship(path, database, name)
        (tmp_path / name).mkdir()
        text = f'[storage]\npath = "{path}"\nurl_env = "THE_DATABASE"\n'
        (tmp_path / name / "nexus.toml").write_text(text, encoding="utf-8")

    def costs(name: str, url: str, *more: str) -> subprocess.CompletedProcess[str]:
        return run(
            tmp_path / name, "--port", "9", "costs", "--month", str(MONTH), *more, THE_DATABASE=url
        )

    told = json.loads(costs("box-1", database.url, "--json").stdout)
    table, alone = costs("box-2", database.url), costs("box-1", DEAD)

    assert (told["scope"], told["total"]["requests"]) == ("fleet", 2)
    assert told["total"]["cost_usd"] == "2.000000000"
    assert "total 2026-10, fleet         2 " in table.stdout
    assert "total 2026-10, this Nexus         1 " in alone.stdout
    assert "of this Nexus only: PostgreSQL (THE_DATABASE): " in alone.stderr
    assert SECRET not in f"{alone} {told} {table}"
