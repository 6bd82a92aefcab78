"""The gateway as the dashboard sees it, without a server and without backends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from random import Random

from nexus_core.config.schema import Config
from nexus_core.control.actions import Actions, deed_of
from nexus_core.control.commands import Command, Outcome, ProbeBackend, SwitchBackend, SwitchZone
from nexus_core.control.key_use import KeyUse
from nexus_core.control.keys import KeyControl
from nexus_core.control.unsaved import Unsaved
from nexus_core.fleet.registry import Registry
from nexus_core.keys.live import LiveKeys
from nexus_core.money.budget import Budget
from nexus_core.money.cost_lines import CostLines
from nexus_core.money.ledger_queries import By, CostLine
from nexus_core.money.months import Month, Period
from nexus_core.money.report import CostReport
from nexus_core.observe.bus import EventBus
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.events import ZoneToggled
from nexus_core.observe.requests import RecentRequests
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.marks import Marks
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.explain import Explanation, Question, explain
from nexus_core.routing.requirements import read_requirements
from nexus_core.routing.router import route
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.what_if import with_usable
from nexus_core.types import Actor, PrivacyZone, QueueState

NOW = 1_767_967_351.0  # 2026-01-09 14:02:31 UTC
STARTED = NOW - (2 * 60 + 14) * 60


class KeptBodies(dict[str, CapturedExchange]):
    is_on = False


class FakeGateway:
    """The gateway's surface, with a real registry, bus and stats behind it."""

    def __init__(self, config: Config, now: Callable[[], float] = lambda: NOW) -> None:
        self.config = config
        self.started_at = STARTED
        self.stats = Stats()
        self.windows = Marks(self.stats)
        self.recent = RecentRequests()
        self.bus = EventBus(self.stats, self.recent)
        self.now = now
        self.actions = Actions(self.bus, now, lambda _: None)
        self.captures = self.kept = KeptBodies()
        self.operator = self.cost_tracker = self.explainer = self
        self.budget = Budget(config.budget, Month.of(NOW))
        self.costs: CostReport | None = None
        self.lines: dict[tuple[By, str], Sequence[CostLine]] = {}  # by grouping and period
        self.asked_costs: list[tuple[By, str]] = []
        self.queue_state: QueueState | None = None
        self.registry = Registry(config.backends, self.bus, now)
        self.switched: list[tuple[str, bool]] = []
        self.probed: list[str] = []
        self.commands: list[Command] = []
        self.unsaved: tuple[Unsaved, ...] = ()
        self.held = ExitStack()  # the slots of what runs
        self.shared: None = None
        self.keys = LiveKeys(None, now, lambda: 0, lambda _: None)
        self.key_control = KeyControl(
            self.keys,
            self.actions,
            KeyUse(lambda: self.recent, dict[str | None, int], self.last_use, now),
            lambda: self.budget,
            now,
            lambda: tuple(key.name for key in self.config.auth.api_keys),
        )
        self.confirms = True  # else a switch is asked for and nothing happens yet

    async def explain(self, question: Question) -> Explanation:
        strategy = Strategy(self.config.routing, Random(0))
        context = RoutingContext(self.registry.snapshots(), strategy)
        need = read_requirements(question.model, question.hints, self.config.routing)
        return explain(route(need.asking(question.demand), with_usable(context, question.usable)))

    async def last_use(self) -> dict[str, float]:
        return {}

    async def cost_report(self) -> CostReport | None:
        return self.costs

    async def cost_lines(self, by: By, period: Period) -> CostLines | None:
        """A line for each costs of the period that a test has set, if there is a ledger."""
        self.asked_costs.append((by, str(period)))
        if self.costs is None:
            return None
        return CostLines(by, period, tuple(self.lines.get((by, str(period)), ())))

    def cut_open_zone(self) -> None:
        """As the gateway does it, with two requests ended."""
        self.registry.set_zone_enabled(PrivacyZone.OPEN, False)
        self.bus.publish(ZoneToggled(at=NOW - 20, zone=PrivacyZone.OPEN, enabled=False, ended=2))

    async def execute(self, command: Command, by: Actor) -> Outcome:
        self.commands.append(command)
        self.actions.note(by, deed_of(command))
        match command:
            case SwitchBackend():
                self.switched.append((command.backend, command.enabled))
                if self.confirms:
                    self.registry.set_enabled(command.backend, command.enabled)
            case ProbeBackend():
                self.probed.append(command.backend)
            case SwitchZone():
                self.registry.set_zone_enabled(command.zone, command.enabled)
                event = ZoneToggled(at=NOW, zone=command.zone, enabled=command.enabled, ended=0)
                self.bus.publish(event)
        return Outcome(message="done")
