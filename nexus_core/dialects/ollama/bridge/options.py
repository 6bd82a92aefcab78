"""Translate Ollama's `options` into the hub's fields.

https://docs.ollama.com/modelfile#valid-parameters-and-values
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, Operation, is_list, is_object

# How a model is loaded and computed: without effect on what it says.
_OF_LOADING = frozenset(
    {
        *("numa", "num_batch", "num_gpu", "main_gpu", "low_vram", "f16_kv", "vocab_only"),
        *("use_mmap", "use_mlock", "num_thread", "logits_all", "embedding_only", "num_keep"),
    }
)
_SHARED = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed")
# Names that local servers have beside OpenAI's: llama.cpp's own, and vLLM's where they differ.
_LOCAL = {
    "top_k": ("top_k",),
    "min_p": ("min_p",),
    "typical_p": ("typical_p",),
    "repeat_penalty": ("repeat_penalty", "repetition_penalty"),
}
_SHOWN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def read_options(
    options: object, operation: Operation, target: HubTarget, dropped: list[str]
) -> JsonObject:
    """The fields that say the same; what has no place is added to `dropped`.

    Raises:
        InvalidRequestError: an option is of a wrong type; names it.
    """
    if options is None:
        return {}
    if not is_object(options):
        raise InvalidRequestError("options: an object is required", param="options")
    found: JsonObject = {}
    for name, value in options.items():
        if value is None or name in _OF_LOADING:
            continue
        if operation is Operation.EMBEDDINGS:
            made = None
        elif name in _SHARED:
            made = {name: _number(name, value)}
        elif (read := _READERS.get(name)) is not None:
            made = read(value, operation, target)
        else:
            made = _local(name, value, target)
        if made is not None:
            found |= made
        elif _SHOWN_NAME.fullmatch(name):
            dropped.append(f"options.{name}")
    return found


def _number(name: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        where = f"options.{name}"
        raise InvalidRequestError(f"{where}: a number is required", param=where)
    if isinstance(value, float) and value.is_integer() and name in ("seed", "num_predict", "top_k"):
        return int(value)
    return value


def _local(name: str, value: object, target: HubTarget) -> JsonObject | None:
    """What only some servers have; None for the others, and for what nobody else has."""
    names = _LOCAL.get(name)
    if names is None:
        return None
    number = _number(name, value)
    if target is HubTarget.LOCAL:
        return dict.fromkeys(names, number)
    # Anthropic and Google have it, too.
    return {name: number} if target is HubTarget.TRANSLATOR and name == "top_k" else None


def _limit(value: object, operation: Operation, target: HubTarget) -> JsonObject:
    """The longest answer; below 1 it is as long as the model likes."""
    limit = _number("num_predict", value)
    if not isinstance(limit, int) or limit < 1:
        return {}
    is_old = target is HubTarget.LOCAL or operation is Operation.COMPLETIONS
    return {"max_tokens" if is_old else "max_completion_tokens": limit}


def _stops(value: object, operation: Operation, target: HubTarget) -> JsonObject:
    stops = [value] if isinstance(value, str) else value
    if not is_list(stops) or not all(isinstance(one, str) for one in stops):
        raise InvalidRequestError(
            "options.stop: a string or a list of strings is required", param="options.stop"
        )
    return {"stop": stops} if stops else {}


_READERS: dict[str, Callable[[object, Operation, HubTarget], JsonObject]] = {
    "num_predict": _limit,
    "stop": _stops,
}
