"""What the vendors' own packages accept: the REST body out of Google's types, OpenAI's answers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from google.genai import types
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, ConfigDict


class GenerateContentBody(BaseModel):
    """POST …:generateContent as the SDK sends it; it builds this from a config in code alone."""

    model_config = ConfigDict(extra="forbid")

    contents: list[types.Content]
    systemInstruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    toolConfig: types.ToolConfig | None = None
    generationConfig: types.GenerationConfig | None = None


class EmbedContentRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    content: types.Content
    outputDimensionality: int | None = None


class BatchEmbedContentsBody(BaseModel):
    """POST …:batchEmbedContents."""

    model_config = ConfigDict(extra="forbid")

    requests: list[EmbedContentRequest]


def check_body(body: dict[str, Any]) -> None:
    """Fail unless Google's types take the body as it goes over the wire."""
    GenerateContentBody.model_validate_json(json.dumps(body, allow_nan=False))
    roles = [content["role"] for content in body["contents"]]
    assert all(one != other for one, other in pairwise(roles))
    assert all(content["parts"] for content in body["contents"])


def check_answer(answer: dict[str, Any]) -> ChatCompletion:
    return ChatCompletion.model_validate_json(json.dumps(answer, allow_nan=False), strict=True)


def check_chunk(chunk: dict[str, Any]) -> ChatCompletionChunk:
    return ChatCompletionChunk.model_validate_json(json.dumps(chunk, allow_nan=False), strict=True)
