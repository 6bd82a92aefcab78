from __future__ import annotations

import pytest

from nexus_core.dialects.report import Findings, Translation
from nexus_core.errors import UnsupportedFieldsError


def test_what_was_found_is_told() -> None:
    findings = Findings(dropped={"seed": "no such setting"}, changed=["a → b"])
    findings.ignore("store")
    findings.ignore("store")

    assert findings.report({"x": 1}) == Translation({"x": 1}, ("seed",), ("store",), ("a → b",))


def test_what_cannot_be_done_is_named_all_at_once() -> None:
    findings = Findings(unsupported={"n": "one only", "audio": "silent"}, dropped={"seed": "none"})

    with pytest.raises(UnsupportedFieldsError) as error:
        findings.report({})

    assert error.value.message == "n: one only; audio: silent"


def test_dropped_hints_can_be_rejected_too() -> None:
    findings = Findings(dropped={"seed": "none"})

    with pytest.raises(UnsupportedFieldsError) as error:
        findings.report({}, reject_hints=True)

    assert error.value.fields == {"seed": "none"}
