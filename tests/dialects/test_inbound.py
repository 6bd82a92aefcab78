"""Every path of every inbound API leads to a wire format and an operation."""

from __future__ import annotations

from nexus_core.dialects.inbound import DIALECTS, INBOUND, operation_at
from nexus_core.types import Operation


def test_no_two_apis_publish_the_same_path() -> None:
    assert len(INBOUND) == sum(len(dialect.paths) for dialect in DIALECTS)


def test_a_path_leads_to_what_is_published_there() -> None:
    for path, asked in INBOUND.items():
        assert asked.dialect.paths[asked.operation] == path
        assert operation_at(path) is asked.operation


def test_a_path_that_only_another_version_knows_stands_for_a_chat() -> None:
    assert operation_at("/v9/messages") is Operation.CHAT
