"""Chat requests in OpenAI's shape, validated: the input of every translator.

Backends that speak OpenAI's format check for themselves, so their requests are not checked here.
Shapes: https://platform.openai.com/docs/api-reference/chat/create and the `openai` package's types.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_OPEN = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

_MAX_KEY_CHARS = 100  # of a key that an error names: it may be as long as the body

Name = Annotated[str, Field(min_length=1)]


@with_config(_OPEN)
class TextPart(TypedDict):
    type: Literal["text"]
    text: str
    cache_control: NotRequired[dict[str, Any] | None]  # Anthropic's marker, as clients send it
    prompt_cache_breakpoint: NotRequired[dict[str, Any] | None]  # OpenAI's


@with_config(_OPEN)
class RefusalPart(TypedDict):
    type: Literal["refusal"]
    refusal: str


@with_config(_OPEN)
class ImageUrl(TypedDict):
    url: str  # https: or data:
    detail: NotRequired[str | None]


@with_config(_OPEN)
class ImagePart(TypedDict):
    type: Literal["image_url"]
    image_url: ImageUrl
    cache_control: NotRequired[dict[str, Any] | None]
    prompt_cache_breakpoint: NotRequired[dict[str, Any] | None]


@with_config(_OPEN)
class FileData(TypedDict):
    file_data: NotRequired[str | None]  # a data: URL, or base64 alone
    file_id: NotRequired[str | None]
    filename: NotRequired[str | None]


@with_config(_OPEN)
class FilePart(TypedDict):
    type: Literal["file"]
    file: FileData
    cache_control: NotRequired[dict[str, Any] | None]
    prompt_cache_breakpoint: NotRequired[dict[str, Any] | None]


@with_config(_OPEN)
class InputAudio(TypedDict):
    data: str  # base64
    format: str


@with_config(_OPEN)
class AudioPart(TypedDict):
    type: Literal["input_audio"]
    input_audio: InputAudio


UserPart: TypeAlias = Annotated[
    TextPart | ImagePart | FilePart | AudioPart, Field(discriminator="type")
]
AssistantPart: TypeAlias = Annotated[TextPart | RefusalPart, Field(discriminator="type")]
# Some clients return images as results of tools.
ToolPart: TypeAlias = Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]


@with_config(_OPEN)
class CalledFunction(TypedDict):
    name: Name
    arguments: str  # JSON, or what a model took for it


@with_config(_OPEN)
class ToolCall(TypedDict):
    id: NotRequired[str | None]  # some servers give none or an empty one
    type: NotRequired[Literal["function"] | None]
    function: CalledFunction
    extra_content: NotRequired[dict[str, Any] | None]  # where Google keeps thought signatures


@with_config(_OPEN)
class CalledCustom(TypedDict):
    name: Name
    input: str


@with_config(_OPEN)
class CustomToolCall(TypedDict):
    id: NotRequired[str | None]
    type: Literal["custom"]
    custom: CalledCustom


@with_config(_OPEN)
class SystemMessage(TypedDict):
    role: Literal["system", "developer"]
    content: str | list[TextPart]
    name: NotRequired[str | None]


@with_config(_OPEN)
class UserMessage(TypedDict):
    role: Literal["user"]
    content: str | list[UserPart]
    name: NotRequired[str | None]


@with_config(_OPEN)
class AssistantMessage(TypedDict):
    role: Literal["assistant"]
    content: NotRequired[str | list[AssistantPart] | None]
    refusal: NotRequired[str | None]
    name: NotRequired[str | None]
    tool_calls: NotRequired[list[CustomToolCall | ToolCall] | None]
    function_call: NotRequired[CalledFunction | None]
    reasoning_content: NotRequired[str | None]
    audio: NotRequired[dict[str, Any] | None]


@with_config(_OPEN)
class ToolMessage(TypedDict):
    role: Literal["tool"]
    content: NotRequired[str | list[ToolPart] | None]  # clients leave out what a tool left empty
    tool_call_id: NotRequired[str | None]  # as of the call
    name: NotRequired[str | None]  # of the function, as older clients say it


@with_config(_OPEN)
class FunctionMessage(TypedDict):
    role: Literal["function"]
    content: NotRequired[str | None]
    name: Name


Message: TypeAlias = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]


@with_config(_OPEN)
class FunctionDefinition(TypedDict):
    name: Name
    description: NotRequired[str | None]
    # A JSON schema; PHP writes an empty object as a list.
    parameters: NotRequired[dict[str, Any] | bool | list[Any] | None]
    strict: NotRequired[bool | None]


@with_config(_OPEN)
class FunctionTool(TypedDict):
    type: Literal["function"]
    function: FunctionDefinition
    cache_control: NotRequired[dict[str, Any] | None]


@with_config(_OPEN)
class CustomTool(TypedDict):
    type: Literal["custom"]
    custom: dict[str, Any]


Tool: TypeAlias = Annotated[FunctionTool | CustomTool, Field(discriminator="type")]


@with_config(_OPEN)
class NamedFunction(TypedDict):
    name: Name


@with_config(_OPEN)
class NamedToolChoice(TypedDict):
    type: Literal["function"]
    function: NamedFunction


@with_config(_OPEN)
class NamedCustomChoice(TypedDict):
    type: Literal["custom"]
    custom: NamedFunction


@with_config(_OPEN)
class AllowedTools(TypedDict):
    mode: Literal["auto", "required"]
    tools: list[dict[str, Any]]


@with_config(_OPEN)
class AllowedToolsChoice(TypedDict):
    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


ToolChoice: TypeAlias = (
    Literal["none", "auto", "required"]
    | Annotated[
        NamedToolChoice | NamedCustomChoice | AllowedToolsChoice, Field(discriminator="type")
    ]
)


@with_config(_OPEN)
class TextFormat(TypedDict):
    type: Literal["text"]


@with_config(_OPEN)
class JsonFormat(TypedDict):
    type: Literal["json_object"]


@with_config(_OPEN)
class JsonSchema(TypedDict):
    name: Name
    description: NotRequired[str | None]
    schema: NotRequired[dict[str, Any] | bool | None]
    strict: NotRequired[bool | None]


@with_config(_OPEN)
class JsonSchemaFormat(TypedDict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat: TypeAlias = Annotated[
    TextFormat | JsonFormat | JsonSchemaFormat, Field(discriminator="type")
]


@with_config(_OPEN)
class StreamOptions(TypedDict):
    include_usage: NotRequired[bool | None]
    include_obfuscation: NotRequired[bool | None]


Tokens = Annotated[int, Field(ge=1)]


@with_config(_OPEN)
class ChatRequest(TypedDict):
    """A chat request. Fields not listed here pass the check and reach the translator."""

    model: Name
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: NotRequired[bool | None]
    stream_options: NotRequired[StreamOptions | None]
    max_tokens: NotRequired[Tokens | None]
    max_completion_tokens: NotRequired[Tokens | None]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=2)] | None]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)] | None]
    top_k: NotRequired[Annotated[int, Field(ge=0)] | None]  # not OpenAI's; many clients send it
    n: NotRequired[Tokens | None]
    stop: NotRequired[str | list[str] | None]
    seed: NotRequired[int | None]
    frequency_penalty: NotRequired[float | None]
    presence_penalty: NotRequired[float | None]
    logit_bias: NotRequired[dict[str, float] | None]
    logprobs: NotRequired[bool | None]
    top_logprobs: NotRequired[Annotated[int, Field(ge=0, le=20)] | None]
    response_format: NotRequired[ResponseFormat | None]
    tools: NotRequired[list[Tool] | None]
    tool_choice: NotRequired[ToolChoice | None]
    parallel_tool_calls: NotRequired[bool | None]
    functions: NotRequired[list[FunctionDefinition] | None]
    function_call: NotRequired[Literal["none", "auto"] | NamedFunction | None]
    # One of none, minimal, low, medium, high, xhigh, max today; a translator judges an unknown one.
    reasoning_effort: NotRequired[str | None]
    verbosity: NotRequired[str | None]
    modalities: NotRequired[list[str] | None]
    audio: NotRequired[dict[str, Any] | None]
    prediction: NotRequired[dict[str, Any] | None]
    web_search_options: NotRequired[dict[str, Any] | None]
    metadata: NotRequired[dict[str, Any] | None]
    user: NotRequired[str | None]
    service_tier: NotRequired[str | None]


def check_chat_request(fields: JsonObject) -> ChatRequest:
    """Validate every field that a translator reads; gives the same object, typed.

    Raises:
        InvalidRequestError: names the invalid field by its path.
    """
    try:
        _adapter().validate_python(fields)
    except ValidationError as error:
        found = [
            (_path(fields, details["loc"]), details["msg"])
            for details in error.errors(include_url=False, include_input=False)
        ]
        # Of a union every branch complains; the one that got furthest is the one that was meant.
        path, message = max(found, key=lambda problem: len(problem[0]))
        raise InvalidRequestError(f"{path}: {_words(message)}", param=path) from None
    return fields  # type: ignore[return-value]  # checked, and nothing of it is copied


@cache
def _adapter() -> TypeAdapter[ChatRequest]:
    return TypeAdapter(ChatRequest)


def _path(fields: object, place: tuple[int | str, ...]) -> str:
    """messages[2].content: the steps that exist, without those that name a union's branch."""
    path, value = "", fields
    for index, step in enumerate(place):
        if is_list(value) and isinstance(step, int):
            path += f"[{step}]"
            value = value[step] if step < len(value) else None
        elif is_object(value) and isinstance(step, str):
            is_branch = step not in value and ("[" in step or index + 1 < len(place))
            if not is_branch:
                path += f".{step[:_MAX_KEY_CHARS]}"
                value = value.get(step)
    return path.removeprefix(".")


def _words(message: str) -> str:
    return message[:1].lower() + message[1:]
