"""Embeddings requests and answers: validation, floats and base64.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode, b64encode

from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

MAX_INPUTS = 2048

_FORMATS = ("float", "base64")


def check_embeddings_request(fields: JsonObject) -> None:
    """Validate the fields of an embeddings request that translators read; unknown fields pass.

    Raises:
        InvalidRequestError: names the invalid field.
    """
    _check_input(fields.get("input"))
    dimensions = fields.get("dimensions")
    if dimensions is not None and not (_is_count(dimensions) and dimensions):
        raise InvalidRequestError("dimensions: a positive number is required", param="dimensions")
    encoding_format = fields.get("encoding_format")
    if encoding_format is not None and encoding_format not in _FORMATS:
        raise InvalidRequestError(
            'encoding_format: "float" or "base64" is required', param="encoding_format"
        )
    if not isinstance(fields.get("user"), str | None):
        raise InvalidRequestError("user: a string is required", param="user")


def _check_input(given: object) -> None:
    if isinstance(given, str):
        _check_item(given, "input")
        return
    if not is_list(given) or not given:
        message = "input: a text, a list of texts or lists of tokens is required"
        raise InvalidRequestError(message, param="input")
    if _is_tokens(given):
        return
    if len(given) > MAX_INPUTS:
        raise InvalidRequestError(f"input: over {MAX_INPUTS} items", param="input")
    for index, item in enumerate(given):
        if type(item) is not type(given[0]):
            message = f"input[{index}]: not of the same kind as the first"
            raise InvalidRequestError(message, param=f"input[{index}]")
        _check_item(item, f"input[{index}]")


def _check_item(item: object, path: str) -> None:
    if not item or not (isinstance(item, str) or _is_tokens(item)):
        message = f"{path}: a non-empty text or list of tokens is required"
        raise InvalidRequestError(message, param=path)


def _is_tokens(value: object) -> bool:
    return is_list(value) and bool(value) and all(_is_count(token) for token in value)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def embedding_list(
    vectors: list[list[float]], *, model: str, encoding_format: str | None, tokens: int
) -> JsonObject:
    """Build OpenAI's answer to an embeddings request.

    Raises:
        ValueError: a number exceeds 32 bits, and base64 was requested.
    """
    as_base64 = encoding_format == "base64"
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": encode_floats(vector) if as_base64 else vector,
            }
            for index, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def with_encoding(answer: JsonObject, encoding_format: str | None) -> JsonObject:
    """Convert an embeddings answer to the requested encoding, for backends that know only one.

    Raises:
        ValueError: it is not an embeddings answer.
    """
    data = answer.get("data")
    if not is_list(data):
        raise ValueError("data is no list")
    return {**answer, "data": [_encoded(item, encoding_format == "base64") for item in data]}


def _encoded(item: object, as_base64: bool) -> JsonObject:
    if not is_object(item):
        raise ValueError("an embedding that is no object")
    vector = item.get("embedding")
    if isinstance(vector, str):
        return item if as_base64 else {**item, "embedding": decode_floats(vector)}
    if not is_list(vector):
        raise ValueError("an embedding without numbers")
    return {**item, "embedding": encode_floats(vector)} if as_base64 else item


def encode_floats(values: list[float]) -> str:
    """Encode numbers as OpenAI's base64: 32-bit floats, little-endian.

    Raises:
        ValueError: an item is not a number, or exceeds 32 bits.
    """
    try:
        return b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    except (struct.error, OverflowError) as error:
        raise ValueError("an embedding that 32-bit floats can't hold") from error


def decode_floats(text: str) -> list[float]:
    """Decode OpenAI's base64 embedding: 32-bit floats, little-endian.

    Raises:
        ValueError: it is not valid base64 of 32-bit floats.
    """
    try:
        packed = b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (binascii.Error, struct.error) as error:
        raise ValueError("an embedding that is not base64 of 32-bit floats") from error
