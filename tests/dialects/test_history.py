from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_core.dialects import gemini as google
from nexus_core.dialects.anthropic import request as anthropic
from nexus_core.dialects.history import (
    CUT_OFF,
    INTERRUPTED,
    ORPHANED,
    calls_of,
    repair_history,
)
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.report import Findings, Translation
from tests.dialects.anthropic.sdk import check_request
from tests.dialects.gemini.oracles import check_body
from tests.dialects.pairing_rules import anthropic_pairs, google_pairs

USER = {"role": "user", "content": "hi"}
STOP = {"role": "user", "content": "stop, do this instead"}
SIGNED = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}


def says(text: str | None) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def call(call_id: str | None, name: str = "f", arguments: str = "{}") -> dict[str, Any]:
    made = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return made if call_id is None else {"id": call_id, **made}


def calls(*tool_calls: dict[str, Any], text: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "tool_calls": list(tool_calls)}


def result(call_id: str | None, content: Any, **more: Any) -> dict[str, Any]:
    made = {"role": "tool", "content": content, **more}
    return made if call_id is None else {**made, "tool_call_id": call_id}


def legacy(name: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": ""}}


def function_result(name: str, content: str | None) -> dict[str, Any]:
    return {"role": "function", "name": name, "content": content}


def checked(messages: list[dict[str, Any]]) -> list[Any]:
    return list(check_chat_request({"model": "m", "messages": messages})["messages"])


def repaired(*messages: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The repaired history in short, and what the report says of it."""
    findings = Findings()
    before = json.dumps(messages)
    written = []
    for placed in repair_history(checked(list(messages)), findings):
        role, content = placed.message["role"], placed.message.get("content")
        text = content if isinstance(content, str) else json.dumps(content) if content else ""
        names = [f"{made.call['function']['name']}#{made.id}" for made in calls_of(placed)]
        if role == "tool":
            names = [f"#{placed.message['tool_call_id']}"]
        written.append(" ".join([role, *names, *([text] if text else [])]))
    assert json.dumps(messages) == before  # another backend may be next
    return written, findings.changed


AS_INTERRUPTED = "has no result, answered as interrupted"
BY_ORDER = "names no call by its id, taken for the result of"

# Each with what a public report says of who sends it.
CASES: dict[str, tuple[list[dict[str, Any]], list[str], list[str]]] = {
    "nothing to repair": (
        [USER, calls(call("a"), call("b")), result("a", "1"), result("b", "2"), says("so"), STOP],
        [
            "user hi",
            "assistant f#a f#b",
            "tool #a 1",
            "tool #b 2",
            "assistant so",
            "user stop, do this instead",
        ],
        [],
    ),
    "results in another order are no repair": (
        [USER, calls(call("a"), call("b")), result("b", "2"), result("a", "1")],
        ["user hi", "assistant f#a f#b", "tool #a 1", "tool #b 2"],
        [],
    ),
    # Escape was pressed: anthropics/claude-code 5989, google-gemini/gemini-cli 4217.
    "interrupted, one of two": (
        [USER, calls(call("a"), call("b")), result("a", "1"), STOP],
        [
            "user hi",
            "assistant f#a f#b",
            "tool #a 1",
            f"tool #b {INTERRUPTED}",
            "user stop, do this instead",
        ],
        [f"messages[1].tool_calls[1]: {AS_INTERRUPTED}"],
    ),
    "interrupted at the end": (
        [USER, calls(call("a"))],
        ["user hi", "assistant f#a", f"tool #a {INTERRUPTED}"],
        [f"messages[1].tool_calls[0]: {AS_INTERRUPTED}"],
    ),
    # Clients that keep only what was said: the answer comes after the call, not before it.
    "results left out, and the answer stands behind": (
        [USER, calls(call("a")), says("it is 5"), USER],
        ["user hi", "assistant f#a", f"tool #a {INTERRUPTED}", "assistant it is 5", "user hi"],
        [f"messages[1].tool_calls[0]: {AS_INTERRUPTED}"],
    ),
    "result after the user's next message": (
        [USER, calls(call("a"), call("b")), result("b", "2"), STOP, result("a", "1")],
        [
            "user hi",
            "assistant f#a f#b",
            "tool #a 1",
            "tool #b 2",
            "user stop, do this instead",
        ],
        ["messages[4]: moved behind its call, messages[1].tool_calls[0]"],
    ),
    "a system message between": (
        [USER, calls(call("a")), {"role": "system", "content": "be brief"}, result("a", "1")],
        ["user hi", "assistant f#a", "tool #a 1", "system be brief"],
        ["messages[3]: moved behind its call, messages[1].tool_calls[0]"],
    ),
    # stacklok/mecatl 1465, BerriAI/litellm 22946: text behind a call is a 400 too.
    "said between a call and its result": (
        [USER, calls(call("a")), says("looking"), result("a", "1")],
        ["user hi", "assistant looking", "assistant f#a", "tool #a 1"],
        [],
    ),
    "said with the next call, results later": (
        [USER, calls(call("a")), calls(call("b"), text="and"), result("a", "1"), result("b", "2")],
        ["user hi", "assistant f#a", "tool #a 1", "assistant f#b and", "tool #b 2"],
        [],
    ),
    # Parallel calls as messages of their own, as clients of other APIs write them.
    "one message for each parallel call": (
        [USER, calls(call("a")), calls(call("b")), result("a", "1"), result("b", "2")],
        ["user hi", "assistant f#a", "assistant f#b", "tool #a 1", "tool #b 2"],
        [],
    ),
    "parallel calls answered across two turns": (
        [USER, calls(call("a"), call("b")), result("a", "1"), says("one"), USER, result("b", "2")],
        ["user hi", "assistant f#a f#b", "tool #a 1", "tool #b 2", "assistant one", "user hi"],
        ["messages[5]: moved behind its call, messages[1].tool_calls[1]"],
    ),
    # QwenLM/qwen-code 8163, BerriAI/litellm 23104: a replay appended it twice.
    "doubled with the same text": (
        [USER, calls(call("a")), result("a", "1"), result("a", "1"), USER],
        ["user hi", "assistant f#a", "tool #a 1", "user hi"],
        ["messages[3]: another result of messages[1].tool_calls[0], left out"],
    ),
    "doubled with another text": (
        [USER, calls(call("a")), result("a", "cancelled"), STOP, result("a", "done")],
        ["user hi", "assistant f#a", "tool #a cancelled\ndone", "user stop, do this instead"],
        ["messages[4]: another result of messages[1].tool_calls[0], joined to the first"],
    ),
    "doubled with parts": (
        [
            USER,
            calls(call("a")),
            result("a", [{"type": "text", "text": "1"}]),
            result("a", [{"type": "text", "text": "1"}]),
            result("a", "2"),
        ],
        [
            "user hi",
            "assistant f#a",
            'tool #a [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]',
        ],
        [
            "messages[3]: another result of messages[1].tool_calls[0], left out",
            "messages[4]: another result of messages[1].tool_calls[0], joined to the first",
        ],
    ),
    # sipeed/picoclaw 2528, NVIDIA-NeMo/Switchyard 502: servers that number each turn anew.
    "an id that comes again": (
        [USER, calls(call("c")), result("c", "1"), calls(call("c")), result("c", "2")],
        ["user hi", "assistant f#c", "tool #c 1", "assistant f#c-2", "tool #c-2 2"],
        ["messages[3].tool_calls[0]: its id was used before, got another"],
    ),
    "an id that comes again after an interrupted call": (
        [USER, calls(call("c")), STOP, calls(call("c")), result("c", "2")],
        [
            "user hi",
            "assistant f#c",
            f"tool #c {INTERRUPTED}",
            "user stop, do this instead",
            "assistant f#c-2",
            "tool #c-2 2",
        ],
        [
            f"messages[1].tool_calls[0]: {AS_INTERRUPTED}",
            "messages[3].tool_calls[0]: its id was used before, got another",
        ],
    ),
    "one id for two calls of a turn": (
        [USER, calls(call("c", "f"), call("c", "g")), result("c", "1"), result("c", "2")],
        ["user hi", "assistant f#c g#c-2", "tool #c 1", "tool #c-2 2"],
        ["messages[1].tool_calls[1]: its id was used before, got another"],
    ),
    "an id that looks like ours": (
        [USER, calls(call("c"), call("c-2"), call("c", "g")), result("c", "1")],
        [
            "user hi",
            "assistant f#c f#c-2 g#c-3",
            "tool #c 1",
            f"tool #c-2 {INTERRUPTED}",
            f"tool #c-3 {INTERRUPTED}",
        ],
        [
            "messages[1].tool_calls[2]: its id was used before, got another",
            f"messages[1].tool_calls[1]: {AS_INTERRUPTED}",
            f"messages[1].tool_calls[2]: {AS_INTERRUPTED}",
        ],
    ),
    # anthropics/anthropic-sdk-csharp 53: a stream's calls added up as [a, a, b].
    "a call that stands twice": (
        [USER, calls(call("a"), call("a"), call("b")), result("a", "1"), result("b", "2")],
        ["user hi", "assistant f#a f#b", "tool #a 1", "tool #b 2"],
        ["messages[1].tool_calls[1]: stands twice, sent once"],
    ),
    # Clients keep signatures on the first, and lose them on the way.
    "a signed call that stands twice": (
        [USER, calls({**call("a"), "extra_content": SIGNED}, call("a")), result("a", "1")],
        ["user hi", "assistant f#a", "tool #a 1"],
        ["messages[1].tool_calls[1]: stands twice, sent once"],
    ),
    # can1357/oh-my-pi 2057: a replay wrote the assistant's message twice.
    "a message with a call that stands twice": (
        [USER, calls(call("a")), calls(call("a")), result("a", "1")],
        ["user hi", "assistant f#a", "tool #a 1"],
        [
            "messages[2].tool_calls[0]: stands twice, sent once",
            "messages[2]: says nothing, left out",
        ],
    ),
    # anthropics/claude-code 13460 and 18947: the compaction took the call and left the result.
    "an orphan at the beginning": (
        [result("z", "42"), says("so"), USER],
        [f"user {ORPHANED}", "user 42", "assistant so", "user hi"],
        ["messages[0]: a result without a call, sent as the user's text"],
    ),
    "an orphan among results": (
        [USER, calls(call("a")), result("z", "42"), result("a", "1"), USER],
        ["user hi", "assistant f#a", "tool #a 1", f"user {ORPHANED}", "user 42", "user hi"],
        ["messages[2]: a result without a call, sent as the user's text"],
    ),
    "an empty orphan": (
        [USER, result("z", ""), USER],
        ["user hi", "user hi"],
        ["messages[1]: an empty result without a call, left out"],
    ),
    "a legacy orphan": (
        [USER, function_result("f", "42")],
        ["user hi", f"user {ORPHANED}", "user 42"],
        ["messages[1]: a result without a call, sent as the user's text"],
    ),
    "a result before its call": (
        [USER, result("a", "1"), calls(call("a"))],
        ["user hi", "assistant f#a", "tool #a 1"],
        ["messages[1]: moved behind its call, messages[2].tool_calls[0]"],
    ),
    "a result of an earlier call with the same id": (
        [result("c", "old"), USER, calls(call("c")), STOP],
        [
            f"user {ORPHANED}",
            "user old",
            "user hi",
            "assistant f#c",
            f"tool #c {INTERRUPTED}",
            "user stop, do this instead",
        ],
        [
            "messages[0]: a result without a call, sent as the user's text",
            f"messages[2].tool_calls[0]: {AS_INTERRUPTED}",
        ],
    ),
    # google-gemini/gemini-cli 11814, RightNow-AI/openfang 1011: cut before the call.
    "a call that nothing stands before": (
        [{"role": "system", "content": "be kind"}, calls(call("a")), result("a", "1")],
        ["system be kind", f"user {CUT_OFF}", "assistant f#a", "tool #a 1"],
        ["messages[1]: a call with nothing before it, opened by a line of the user"],
    ),
    "a greeting, then a call": (
        [{"role": "user", "content": " "}, says("hello"), calls(call("a")), result("a", "1")],
        ["user  ", f"user {CUT_OFF}", "assistant hello", "assistant f#a", "tool #a 1"],
        ["messages[2]: a call with nothing before it, opened by a line of the user"],
    ),
    # vercel/ai 7834, lmstudio-bug-tracker 830, openai/openai-dotnet 428: Gemini, LM Studio.
    "empty ids": (
        [USER, calls(call("", "f"), call("", "g")), result("", "1"), result("", "2")],
        ["user hi", "assistant f#call g#call-2", "tool #call 1", "tool #call-2 2"],
        [
            "messages[1].tool_calls[0]: has no id, got one",
            "messages[1].tool_calls[1]: has no id, got one",
        ],
    ),
    "no ids, but names": (
        [
            USER,
            calls(call(None, "f"), call(None, "g")),
            result(None, "2", name="g"),
            result(None, "1", name="f"),
        ],
        ["user hi", "assistant f#call g#call-2", "tool #call 1", "tool #call-2 2"],
        [
            "messages[1].tool_calls[0]: has no id, got one",
            "messages[1].tool_calls[1]: has no id, got one",
        ],
    ),
    "an id that only the results lack": (
        [USER, calls(call("a"), call("b")), result("b", "2"), result(None, "1")],
        ["user hi", "assistant f#a f#b", "tool #a 1", "tool #b 2"],
        [f"messages[3]: {BY_ORDER} messages[1].tool_calls[0]"],
    ),
    "an id that only the calls lack": (
        [USER, calls(call("")), result("made-up", "1")],
        ["user hi", "assistant f#call", "tool #call 1"],
        [
            "messages[1].tool_calls[0]: has no id, got one",
            f"messages[2]: {BY_ORDER} messages[1].tool_calls[0]",
        ],
    ),
    "another id is of another call": (
        [USER, calls(call("a")), result("b", "1")],
        ["user hi", "assistant f#a", f"tool #a {INTERRUPTED}", f"user {ORPHANED}", "user 1"],
        [
            f"messages[1].tool_calls[0]: {AS_INTERRUPTED}",
            "messages[2]: a result without a call, sent as the user's text",
        ],
    ),
    "legacy, by name": (
        [USER, legacy("f"), function_result("f", "1"), legacy("f"), function_result("f", None)],
        [
            "user hi",
            "assistant f#function-f",
            "tool #function-f 1",
            "assistant f#function-f-2",
            "tool #function-f-2",
        ],
        [],
    ),
    "legacy and interrupted": (
        [USER, legacy("f"), STOP],
        [
            "user hi",
            "assistant f#function-f",
            f"tool #function-f {INTERRUPTED}",
            "user stop, do this instead",
        ],
        [f"messages[1].function_call: {AS_INTERRUPTED}"],
    ),
    "a legacy result of a call of today": (
        [USER, calls(call("a", "f")), function_result("f", "1")],
        ["user hi", "assistant f#a", "tool #a 1"],
        [],
    ),
    "both forms of one call": (
        [USER, {**legacy("f"), **calls(call("a", "f"))}, result("a", "1")],
        ["user hi", "assistant f#a", "tool #a 1"],
        [],
    ),
    "an empty turn": (
        [USER, says(None), USER, {"role": "assistant", "content": " ", "tool_calls": []}],
        ["user hi", "user hi"],
        ["messages[1]: says nothing, left out", "messages[3]: says nothing, left out"],
    ),
    "a result without content": (
        [USER, calls(call("a")), {"role": "tool", "tool_call_id": "a"}],
        ["user hi", "assistant f#a", "tool #a"],
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_history_is_repaired_and_the_report_says_how(case: str) -> None:
    messages, written, changed = CASES[case]

    assert repaired(*messages) == (written, changed)


def test_a_history_in_order_is_passed_as_it_is() -> None:
    messages = checked(CASES["nothing to repair"][0])

    assert [placed.message for placed in repair_history(messages, Findings())] == messages


@pytest.mark.parametrize("case", CASES)
def test_a_repaired_history_needs_no_repair(case: str) -> None:
    findings = Findings()
    once = [placed.message for placed in repair_history(checked(CASES[case][0]), Findings())]

    twice = [placed.message for placed in repair_history(checked(once), findings)]

    # Legacy calls read the same way again: their two forms stand side by side.
    assert [message.get("content") for message in twice] == [
        message.get("content") for message in once
    ]
    assert findings.changed == []


def to_anthropic(messages: list[dict[str, Any]]) -> Translation:
    request = check_chat_request({"model": "m", "messages": messages})
    made = anthropic.translate_request(request, "claude-sonnet-4-5")
    check_request(made.body)
    return made


def to_google(messages: list[dict[str, Any]], model: str = "gemini-3.8-flash") -> Translation:
    request = check_chat_request({"model": "m", "messages": messages})
    made = google.translate_request(request, model)
    check_body(made.body)
    return made


@pytest.mark.parametrize("case", CASES)
def test_every_provider_is_sent_what_it_takes(case: str) -> None:
    messages, _, changed = CASES[case]

    to_claude, to_gemini = to_anthropic(messages), to_google(messages)

    anthropic_pairs(to_claude.body)
    google_pairs(to_gemini.body)
    assert set(changed) <= set(to_claude.changed)
    assert set(changed) <= set(to_gemini.changed)


def test_the_call_that_escape_interrupted() -> None:
    messages, _, _ = CASES["interrupted, one of two"]

    claude = to_anthropic(messages).body["messages"]
    gemini = to_google(messages, "gemini-2.5-flash").body["contents"]

    assert claude[2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [{"type": "text", "text": "1"}],
        },
        {
            "type": "tool_result",
            "tool_use_id": "b",
            "content": [{"type": "text", "text": INTERRUPTED}],
        },
        {"type": "text", "text": "stop, do this instead"},
    ]
    assert gemini[2]["parts"] == [
        {"functionResponse": {"name": "f", "response": {"output": "1"}}},
        {"functionResponse": {"name": "f", "response": {"output": INTERRUPTED}}},
        {"text": "stop, do this instead"},
    ]


@pytest.mark.parametrize("signed", [0, 1])
def test_a_call_that_stands_twice_keeps_its_signature(signed: int) -> None:
    doubled = [call("a"), call("a")]
    doubled[signed]["extra_content"] = SIGNED

    contents = to_google([USER, calls(*doubled), result("a", "1")]).body["contents"]

    assert [part["thoughtSignature"] for part in contents[1]["parts"]] == ["c2lnbmF0dXJl"]


def test_text_that_came_between_a_call_and_its_result_does_not_cost_the_thinking() -> None:
    called = {**calls(call("a")), "thinking_blocks": [THINKING]}
    messages = [USER, called, says("working on it"), result("a", "1")]
    request = {"model": "m", "messages": messages, "reasoning_effort": "high"}

    made = anthropic.translate_request(check_chat_request(request), "claude-sonnet-4-5")

    turn = made.body["messages"][1]["content"]
    assert [block["type"] for block in turn] == ["thinking", "text", "tool_use"]
    assert made.body["thinking"]["type"] == "enabled"


def test_the_report_holds_nothing_of_the_prompt() -> None:
    messages = [USER, calls(call("sesame", "f")), result("secret", "the treasure"), STOP]

    reports = [*to_anthropic(messages).changed, *to_google(messages).changed]

    assert reports
    assert not any(
        word in line for line in reports for word in ("sesame", "secret", "treasure", "stop, do")
    )


def test_a_long_broken_history_is_read_in_one_go() -> None:
    """Linear: what is quadratic would take minutes for as many."""
    broken = [
        *(calls(call("c")) for _ in range(20_000)),
        *(result("c", "1") for _ in range(40_000)),
        *(result(None, str(number)) for number in range(20_000)),
    ]

    written = repair_history(checked(broken), Findings())

    assert len(written) > 20_000


@st.composite
def broken_histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], set[str]]:
    """A valid history with messages deleted, doubled, moved and put in; and its results' texts."""
    messages: list[dict[str, Any]] = [USER]
    reuses = draw(st.booleans())
    number = 0
    for turn in range(draw(st.integers(1, 4))):
        count = draw(st.integers(0, 3))
        ids = [f"{'' if reuses else turn}call_{place}" for place in range(count)]
        said = draw(st.sampled_from([None, "let me see"]))
        messages.append(calls(*(call(each, f"f{each[-1]}") for each in ids), text=said))
        for each in ids:
            number += 1
            messages.append(result(each, f"result {number}"))
        messages.append(draw(st.sampled_from([USER, STOP, says("so it is")])))
    for _ in range(draw(st.integers(0, 4))):
        if not messages:
            break
        at = draw(st.integers(0, len(messages) - 1))
        to = draw(st.integers(0, len(messages) - 1))
        match draw(st.sampled_from(["delete", "double", "swap", "insert", "bare", "legacy"])):
            case "delete":
                del messages[at]
            case "double":
                messages.insert(to, messages[at])
            case "swap":
                messages[at], messages[to] = messages[to], messages[at]
            case "bare" if messages[at]["role"] == "tool":
                messages[at] = {**messages[at], "tool_call_id": ""}
            case "legacy":
                messages[at:at] = [legacy("old"), function_result("old", "of old")]
            case _:
                messages.insert(at, draw(st.sampled_from([USER, says("and"), says(None)])))
    messages.append(USER)
    texts = {each["content"] for each in messages if each["role"] in {"tool", "function"}}
    return messages, texts


@settings(deadline=None)  # the SDKs build their types with the first example
@given(broken=broken_histories())
def test_whatever_became_of_a_history_each_provider_takes_it_and_no_result_is_lost(
    broken: tuple[list[dict[str, Any]], set[str]],
) -> None:
    messages, texts = broken

    claude, gemini = to_anthropic(messages).body, to_google(messages).body

    claude_pairs, gemini_pairs = anthropic_pairs(claude), google_pairs(gemini)
    assert [use["name"] for use, _ in claude_pairs] == [made["name"] for made, _ in gemini_pairs]
    assert [text for _, text in claude_pairs] == [text for _, text in gemini_pairs]
    sent = json.dumps([claude["messages"], gemini["contents"]])
    assert all(sent.count(text) >= 2 for text in texts)


@given(broken=broken_histories())
def test_a_call_gets_no_result_of_another(
    broken: tuple[list[dict[str, Any]], set[str]],
) -> None:
    messages, _ = broken
    messages = [each for each in messages if each["role"] != "tool" or each["tool_call_id"]]
    answered = {
        (each["tool_call_id"], each["content"]) for each in messages if each["role"] == "tool"
    }

    for made in repair_history(checked(messages), Findings()):
        if made.message["role"] == "tool" and made.message["content"] != INTERRUPTED:
            told = made.message["tool_call_id"]
            for text in made.message["content"].split("\n"):
                assert told.startswith("function-old") or any(
                    text == said and told.startswith(given) for given, said in answered
                )
