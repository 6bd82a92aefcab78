"""An operator, for tests that need some one."""

from __future__ import annotations

from nexus_core.types import Actor, Via

OPERATOR = Actor(via=Via.API, name="tests", address="127.0.0.1")
