"""A client's tools whose names and arguments no provider takes, over two turns and real sockets."""

from __future__ import annotations

import json
from typing import Any

from nexus_core.catalog import BackendType
from tests.vendors.test_round_trips import (
    USER,
    Vendor,
    asked,
    histories,
    vendors,
    ways,
    world,
)

NAME = "mcp__files.server/list items: " + "long " * 20
ODD: Any = {
    "type": "function",
    "function": {
        "name": NAME,
        "parameters": {
            "type": "object",
            "properties": {
                "$top": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                "filter[id]": {"$ref": "#/definitions/id", "description": "which"},
            },
            "required": ["$top", "filter[id]"],
            "anyOf": [{"required": ["$top"]}, {"required": ["filter[id]"]}],
            "definitions": {"id": {"type": "string"}},
        },
    },
}


@ways
@vendors
@histories
async def test_a_call_comes_and_goes_under_the_clients_names(
    way: Any, vendor: Vendor, keep: Any
) -> None:
    async with world(vendor) as (client, server, _):
        first = await way(client, tools=[ODD, ODD])
        (call,) = first.message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "found"}
        second = await way(client, messages=[USER, keep(first.message), result], tools=[ODD, ODD])
        body = asked(server)

    assert call.function.name == NAME
    assert json.loads(call.function.arguments).keys() == {"$top", "filter[id]"}
    assert second.message.content
    if vendor.type is BackendType.ANTHROPIC:
        (tool,) = body["tools"]
        properties = tool["input_schema"]["properties"]
        (use,) = [block for block in body["messages"][1]["content"] if block["type"] == "tool_use"]
        assert (use["name"], use["input"].keys()) == (tool["name"], properties.keys())
    else:
        (tool,) = body["tools"][0]["functionDeclarations"]
        properties = tool["parametersJsonSchema"]["properties"]
        (use,) = [part["functionCall"] for part in body["contents"][1]["parts"]]
        assert (use["name"], use["args"].keys()) == (tool["name"], properties.keys())
