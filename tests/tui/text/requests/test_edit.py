"""A request as a document to edit: what comes back is a request, or the line of the fault."""

from __future__ import annotations

import json

import pytest

from nexus_core.types import PrivacyZone
from nexus_tui.text.requests.edit import EditFaultError, NoObjectError, as_document, from_document

CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hé"}], "seed": 7}
HEADERS = (
    ("Authorization", "***"),
    ("x-nexus-min-tier", "2"),
    ("X-Nexus-Privacy-Zone", "restricted"),
    ("X-Nexus-Backend", "openai"),
)


def document(headers: object = None, body: object = BODY) -> str:
    return json.dumps({"headers": headers or {}, "body": body}, indent=2)


def test_a_document_holds_the_hints_and_the_body_and_nothing_else() -> None:
    text = as_document(HEADERS, json.dumps(BODY).encode())

    assert json.loads(text) == {
        "headers": {"X-Nexus-Min-Tier": "2", "X-Nexus-Privacy-Zone": "restricted"},
        "body": BODY,
    }
    assert "hé" in text


def test_what_was_not_edited_comes_back_as_it_was() -> None:
    sent = from_document(as_document(HEADERS, json.dumps(BODY).encode()), CHAT)

    assert json.loads(sent.body) == BODY
    assert (sent.zone, sent.min_tier, sent.flexible) == (PrivacyZone.RESTRICTED, 2, False)
    assert sent.endpoint == CHAT


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{"])
def test_a_body_that_is_no_object_can_not_be_edited(body: bytes) -> None:
    with pytest.raises(NoObjectError):
        as_document((), body)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{\n  "headers": {},\n  "body": {"model": }\n}', "line 3: Expecting value, column 21"),
        ("[]", "line 1: must be an object with headers and body"),
        ('{"headers": {},\n "bdy": {}}', 'line 2: "bdy" is not one of headers, body'),
        ('{"headers": {}}', 'line 1: "body" must be an object'),
        ('{\n"headers": [],\n"body": {}}', 'line 2: "headers" must be an object'),
        (document({"X-Nexus-Min-Teir": "2"}), "line 3: X-Nexus-Min-Teir can't be set here"),
        (document({"X-Nexus-Backend": "a"}), "line 3: X-Nexus-Backend can't be set here"),
        (document({"X-Nexus-Min-Tier": "9"}), "line 3: X-Nexus-Min-Tier must be one of 0, 1"),
        (document({"X-Nexus-Flexible": True}), "line 3: X-Nexus-Flexible must be one of true"),
        (document(body={"model": 3, "messages": []}), "line 4: "),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(EditFaultError) as raised:
        from_document(text, CHAT)

    assert str(raised.value).startswith(told)


def test_a_number_is_taken_for_a_tier() -> None:
    assert from_document(document({"X-Nexus-Min-Tier": 2}), CHAT).min_tier == 2


def test_half_of_a_pair_stays_as_it_was_written() -> None:
    body = rb'{"model": "m", "messages": [{"role": "user", "content": "\ud83d \u00e9"}]}'

    text = as_document((), body)

    text.encode()  # what an editor can be given
    assert json.loads(from_document(text, CHAT).body) == json.loads(body)


def test_a_number_of_too_many_digits_is_a_fault() -> None:
    with pytest.raises(EditFaultError, match="a number is too long"):
        from_document('{"body": {"seed": ' + "1" * 5000 + "}}", CHAT)
