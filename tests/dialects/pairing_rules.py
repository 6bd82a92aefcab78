"""What Anthropic and Gemini demand of calls and results, read off the bodies they are sent."""

from __future__ import annotations

import itertools
from typing import Any


def anthropic_pairs(body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Every call with its result's text, once the body obeys the rules.

    "tool_use ids were found without tool_result blocks immediately after", "unexpected tool_use_id
    found in tool_result blocks", "each tool_use must have a single result", "tool_use ids must be
    unique": the API's own words for each.
    """
    turns = body["messages"]
    pairs = []
    seen: set[str] = set()
    for turn, after in zip(turns, [*turns[1:], {"role": "user", "content": []}], strict=True):
        kinds = [block["type"] for block in turn["content"]]
        uses = [block for block in turn["content"] if block["type"] == "tool_use"]
        if turn["role"] == "user":
            assert not uses
            continue
        assert "tool_result" not in kinds
        results = [block for block in after["content"] if block["type"] == "tool_result"]
        assert [use["id"] for use in uses] == [result["tool_use_id"] for result in results]
        assert after["content"][: len(results)] == results  # before any text
        assert not uses or kinds[-1] == "tool_use"  # and no text behind the calls
        for use, result in zip(uses, results, strict=True):
            assert use["id"] not in seen
            seen.add(use["id"])
            text = "\n".join(part["text"] for part in result.get("content", ()))
            pairs.append((use, text))
    results = [b for turn in turns for b in turn["content"] if b["type"] == "tool_result"]
    assert len(results) == len(pairs)
    return pairs


def google_pairs(body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Every call with its result's text, once the body obeys the rules.

    "number of function response parts is equal to the number of function call parts", "function
    call turn comes immediately after a user turn or after a function response turn".
    """
    turns = body["contents"]
    pairs = []
    for index, turn in enumerate(turns):
        calls = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        after = turns[index + 1]["parts"] if index + 1 < len(turns) else []
        answers = [part["functionResponse"] for part in after if "functionResponse" in part]
        if turn["role"] == "user":
            assert not calls
            continue
        assert not any("functionResponse" in part for part in turn["parts"])
        assert not calls or index > 0
        assert [call["name"] for call in calls] == [answer["name"] for answer in answers]
        assert [call.get("id") for call in calls] == [answer.get("id") for answer in answers]
        assert all("functionResponse" in part for part in after[: len(answers)])
        pairs += [
            (call, answer["response"]["output"])
            for call, answer in zip(calls, answers, strict=True)
        ]
    assert all(one["role"] != two["role"] for one, two in itertools.pairwise(turns))
    assert not any("functionResponse" in part for part in turns[0]["parts"])
    return pairs
