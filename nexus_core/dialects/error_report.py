"""Read error bodies of backends, in any vendor's shape. Pure.

Errors come with an error status, in the body of a 200, or as an event of a stream; in the last two
the status is a number or a word in the JSON, or missing.
"""

from __future__ import annotations

from collections.abc import Iterator

from nexus_core.dialects.base.report import AskedWait, ErrorReport
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.sse import Shape, shape_of
from nexus_core.types import JsonObject, is_list, is_object

_MAX_WORDS = 500  # characters of a provider's message that are kept
_MAX_CODE = 100
MAX_SCANNED = 64 * 1024  # bytes of an error's body that are looked at


# MiniMax reports its own numbers: https://platform.minimax.io/docs/api-reference/errorcode
_MINIMAX = {
    1001: (504, "timeout"),
    1002: (429, "rate_limit"),
    1004: (401, "authentication"),
    1008: (402, "insufficient_balance"),
    1026: (400, "content_filter"),
    1027: (400, "content_filter"),
    1039: (429, "rate_limit"),
    1041: (429, "rate_limit"),
    2013: (400, "invalid_request"),
    2045: (429, "rate_limit"),
    2049: (401, "invalid_api_key"),
    2056: (429, "rate_limit"),
}
# FastChat's are HTTP's with two digits more, but for three that are about the request.
# https://github.com/lm-sys/FastChat/blob/main/fastchat/constants.py
_FASTCHAT_400 = frozenset({40301, 40302, 40303})

_MESSAGE_KEYS = (
    "message",
    "msg",
    "detail",
    "error_msg",
    "errmsg",
    "error_message",
    "status_msg",
    "error_description",
    "reason",
    "title",
)
_STATUS_KEYS = ("code", "status", "status_code", "statusCode", "http_code", "error_code")
_NUMBER_KEYS = ("code", "status_code", "statusCode", "error_code")
_GOOD_CODES = (None, "", 0, "0", 200, "200", "success")
_CODE_KEYS = ("type", "code", "status", "error_type", "error_code", "__type")
ANSWER_KEYS = frozenset({"choices", "data", "output"})


def read_report(answer: object, *, is_error: bool = False) -> ErrorReport | None:
    """Read the error in a parsed body or event; None without one.

    `error: null` and other empty values are not errors. A mere `message` counts as one only with
    `is_error` (an error status or `event: error` came before it) or beside an error status.
    """
    if is_list(answer):  # as Google's errors come at times
        answer = answer[0] if answer and is_object(answer[0]) else None
    if not is_object(answer):
        if is_error and isinstance(answer, str):
            return ErrorReport(words=answer[:_MAX_WORDS])
        return None
    found = _stated(answer)
    if found is not None:
        return _report(found, answer)
    if (base := answer.get("base_resp")) and is_object(base) and base.get("status_code"):
        return _minimax(base)
    if not is_error and not _looks_like_one(answer):
        return None
    return _report(answer, {})


def _stated(answer: JsonObject) -> JsonObject | None:
    """The value at the usual places of an error, as an object."""
    error = answer.get("error")
    if is_object(error) and error:
        return error
    if isinstance(error, str) and error.strip():
        return {"message": error}
    if error is True or answer.get("object") == "error" or answer.get("success") is False:
        errors = answer.get("errors")  # Cloudflare: {"success": false, "errors": [{…}]}
        first = errors[0] if is_list(errors) and errors else None
        return first if is_object(first) else {**answer, "error": None}
    errors = answer.get("errors")
    if is_list(errors) and errors and not ANSWER_KEYS & answer.keys():
        return errors[0] if is_object(errors[0]) else {"message": str(errors[0])}
    return None


def _looks_like_one(answer: JsonObject) -> bool:
    """Whether it is an error object without the key `error`: `{"message": …}`, `{"detail": …}`."""
    if any(isinstance(answer.get(key), dict | list) for key in ANSWER_KEYS):
        return False
    if "detail" in answer or "error_msg" in answer or "errmsg" in answer:
        return True
    if answer.get("status") in ("error", "failed") or _as_status(answer.get("status")):
        return True
    has_words = any(isinstance(answer.get(key), str) for key in _MESSAGE_KEYS)
    return has_words and any(answer.get(key) not in _GOOD_CODES for key in _NUMBER_KEYS)


def _report(error: JsonObject, around: JsonObject) -> ErrorReport:
    """Message, codes and status, of the error itself before those of the enclosing object."""
    codes = [
        str(value)[:_MAX_CODE]
        for fields in (error, around)
        for key in _CODE_KEYS
        if (value := fields.get(key)) and isinstance(value, str | int) and value is not True
    ]
    details = error.get("details")  # google.rpc.ErrorInfo: {"reason": "API_KEY_INVALID"}
    codes += [
        str(detail["reason"])[:_MAX_CODE]
        for detail in (details if is_list(details) else ())
        if is_object(detail) and detail.get("reason")
    ]
    status = next(
        (
            status
            for fields in (error, around)
            for key in _STATUS_KEYS
            if (status := _as_status(fields.get(key))) is not None
        ),
        None,
    )
    return ErrorReport(
        _words(error) or _words(around),
        " ".join(codes),
        status,
        _count(error.get("n_prompt_tokens")),  # llama.cpp
        _count(error.get("n_ctx")),
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _words(fields: JsonObject) -> str:
    for key in _MESSAGE_KEYS:
        words = _first_text(fields.get(key))
        if words.strip():
            return words[:_MAX_WORDS]
    return ""


def _first_text(value: object) -> str:
    """The first message in a list of errors, such as FastAPI's `[{"loc": […], "msg": …}]`."""
    if is_list(value) and value:
        value = value[0]
    if is_object(value):
        where = value.get("loc")
        place = ".".join(map(str, where)) + ": " if is_list(where) else ""
        return place + (_words(value) or "")
    return value if isinstance(value, str) else ""


def _as_status(value: object) -> int | None:
    """429, "429", and FastChat's 42901 as an error's HTTP status."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    if value in _FASTCHAT_400:
        return 400
    if 40000 <= value < 60000:
        value //= 100
    return value if 400 <= value <= 599 else None


def _minimax(base: JsonObject) -> ErrorReport:
    code = base.get("status_code")
    number = code if isinstance(code, int) else 0
    status, word = _MINIMAX.get(number, (None, ""))
    return ErrorReport(_words(base), f"{word} {code}"[:_MAX_CODE], status)


# Bodies -------------------------------------------------------------------------------------------


def read_error_body(body: bytes) -> ErrorReport:
    """Read the body of an answer with an error status: JSON, an event, or plain text."""
    text = body[:MAX_SCANNED]
    if shape_of(text) is Shape.EVENTS and b"data:" in text:
        _, _, rest = text.partition(b"data:")
        text = rest.partition(b"\n")[0]
    try:
        parsed = parse_json(text)
    except ValueError:
        words = text.decode("utf-8", "replace").strip()
        return ErrorReport(words="" if words.startswith("<") else words[:_MAX_WORDS])
    return read_report(parsed, is_error=True) or ErrorReport()


def read_wait(body: bytes) -> AskedWait:
    """Read the retry delays in an error's body: Google's RetryInfo, OpenRouter's copied headers."""
    error = _error_in(body)
    metadata, message = error.get("metadata"), error.get("message")
    headers = metadata.get("headers") if is_object(metadata) else None
    return AskedWait(
        tuple(_retry_delays(error)),
        # https://openrouter.ai/docs/api-reference/limits
        {str(name).lower(): str(value) for name, value in headers.items()}
        if is_object(headers)
        else {},
        message if isinstance(message, str) else "",
    )


def _error_in(body: bytes) -> JsonObject:
    try:
        parsed = parse_json(body[:MAX_SCANNED])
    except ValueError:
        return {}
    if is_list(parsed) and parsed:
        parsed = parsed[0]
    error = parsed.get("error") if is_object(parsed) else None
    return error if is_object(error) else {}


def _retry_delays(error: JsonObject) -> Iterator[str]:
    """The delays in google.rpc.RetryInfo objects."""
    details = error.get("details")
    for detail in details if is_list(details) else ():
        delay = detail.get("retryDelay") if is_object(detail) else None
        if isinstance(delay, str):
            yield delay
