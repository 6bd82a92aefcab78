"""What programs do with OpenAI's client of the Responses API: loops with tools, parsed answers."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import Exchange, answers
from tests.scenarios.messages import local, openai
from tests.scenarios.nexus import running, upstreams
from tests.scenarios.responses import calls_stream, recorded_stream, sdk


class Weather(BaseModel):
    """What a program wants to know."""

    city: str
    degrees: int


WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


async def whether_called(exchange: Exchange) -> None:
    """A chat server that calls a tool first, and answers once it has the result."""
    asked = json.loads(exchange.body)
    if asked["messages"][-1]["role"] == "tool":
        await answers(ANSWER)(exchange)
        return
    await calls_stream(("weather", '{"city": "Rome"}'), ("weather", '{"city": "Oslo"}'))(exchange)


async def test_a_loop_that_sends_the_output_back_ends_with_a_text() -> None:
    said: list[Any] = [{"role": "user", "content": "Where is it warmer?"}]
    async with (
        upstreams(whether_called) as (up,),
        running(local(up.url)) as nexus,
        sdk(nexus) as client,
    ):
        async with client.responses.stream(model="m", input=said, tools=[WEATHER]) as stream:  # type: ignore[list-item]
            async for _ in stream:
                pass
            first = await stream.get_final_response()
        said += first.output
        for call in first.output:
            if call.type == "function_call":
                result = {"type": "function_call_output", "call_id": call.call_id}
                said.append({**result, "output": "20 degrees"})
        last = await client.responses.create(model="m", input=said, tools=[WEATHER])  # type: ignore[list-item]

    assert last.output_text == ANSWER["choices"][0]["message"]["content"]
    roles = [one["role"] for one in json.loads(up.last.body)["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]


async def test_an_answer_by_a_schema_is_parsed() -> None:
    text = Weather(city="Rome", degrees=20).model_dump_json()
    choice = {**ANSWER["choices"][0], "message": {"role": "assistant", "content": text}}
    async with (
        upstreams(answers(ANSWER | {"choices": [choice]})) as (up,),
        running(local(up.url)) as nexus,
        sdk(nexus) as client,
    ):
        whole = await client.responses.parse(model="m", input="hi", text_format=Weather)
        async with client.responses.stream(model="m", input="hi", text_format=Weather) as stream:
            async for _ in stream:
                pass
            streamed = await stream.get_final_response()

    assert whole.output_parsed == streamed.output_parsed == Weather(city="Rome", degrees=20)
    form = json.loads(up.last.body)["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    assert set(form["json_schema"]["schema"]["properties"]) == {"city", "degrees"}


async def test_the_request_id_is_where_the_client_looks_for_it() -> None:
    told = json.loads(recorded_stream("02-turn-2").rpartition(b"data: ")[2])["response"]
    script = answers(told, headers=[("x-request-id", "req_7")])
    async with (
        upstreams(answers(ANSWER), script) as (gpu, up),
        running(local(gpu.url), openai(up.url, models=("c",))) as nexus,
        sdk(nexus) as client,
    ):
        own = await client.responses.create(model="m", input="hi")
        passed = await client.responses.create(model="c", input="hi")

    assert own._request_id == nexus.finished()[0].request_id
    assert passed._request_id == "req_7"
