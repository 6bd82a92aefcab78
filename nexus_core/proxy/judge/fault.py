"""Classify errors of backends, and whether a failover may help. Pure."""

from __future__ import annotations

import re
from enum import Enum, auto

import msgspec
from msgspec.structs import replace

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.late_pattern import LatePattern
from nexus_core.proxy.judge.too_long import TooLong, read_too_long


class FailureKind(Enum):
    """Kind of a failure; `Blame.learn` has the consequence of each."""

    FAILED = auto()  # of this model at this backend
    UNREACHABLE = auto()  # no connection: of the whole backend
    BUSY = auto()  # 429: of this model at this backend
    ACCOUNT_BUSY = auto()  # a 429 that speaks of the whole account
    NO_CREDIT = auto()  # 402, insufficient_quota: the account can't pay
    REFUSED_KEY = auto()  # 401, Google's 400 for a bad key; a 403 that says so, if a probe does too
    FORBIDDEN = auto()  # 403: perhaps about this prompt or model; a probe has to tell
    REFUSED_CONTENT = auto()  # about this request: counts against nobody
    TOO_LONG = auto()  # a prompt longer than the context window: of nobody
    NOT_SENT = auto()  # while the connection was made it was switched off, removed or changed


class Fault(msgspec.Struct, frozen=True):
    """A classified error of a backend."""

    status: int  # stated, or what its words amount to
    kind: FailureKind
    words: str  # for people; holds what the provider said, so cut keys out of it before
    phrase: str = ""  # of the words, where nothing else tells the status, or of key or account
    otherwise: Fault | None = None  # what it is if the phrase only repeats the request
    too_long: TooLong | None = None  # of kind TOO_LONG

    @property
    def fails_over(self) -> bool:
        """Another backend may do better; otherwise the client has to change its request."""
        return self.status in _FAILS_OVER or self.status >= 500 or self.kind in _FAILS_OVER_ANYWAY


_FAILS_OVER = frozenset({401, 402, 403, 408, 429})
_FAILS_OVER_ANYWAY = frozenset({FailureKind.REFUSED_KEY, FailureKind.NO_CREDIT})  # as a 400

# Words that stand in types and codes, most telling first, and the status each amounts to.
# https://platform.openai.com/docs/guides/error-codes
# https://platform.claude.com/docs/en/api/errors
# https://openrouter.ai/docs/api-reference/errors
# https://api-docs.deepseek.com/quick_start/error_codes
# https://www.alibabacloud.com/help/en/model-studio/error-code
_STATUS_BY_WORD = (
    ("insufficient_quota", 429),
    ("exceeded_current_quota", 429),
    ("insufficient_balance", 402),
    ("insufficient_credit", 402),
    ("insufficient_fund", 402),
    ("payment_required", 402),
    ("billing", 402),
    ("arrearage", 402),
    ("content_policy", 400),
    ("content_filter", 400),
    ("data_inspection", 400),
    ("context_length", 400),
    ("context_window", 400),
    ("context_size", 400),
    ("context_overflow", 400),
    ("invalid_api_key", 401),
    ("incorrect_api_key", 401),
    ("api_key_invalid", 401),
    ("unauthenticated", 401),
    ("unauthorized", 401),
    ("authentication", 401),
    ("permission", 403),
    ("forbidden", 403),
    ("access_denied", 403),
    ("unsupported_country", 403),
    ("rate_limit", 429),
    ("ratelimit", 429),
    ("too_many_requests", 429),
    ("throttling", 429),
    ("resource_exhausted", 429),
    ("quota", 429),
    ("overloaded_error", 529),
    ("overloaded", 503),
    ("unavailable", 503),
    ("not_found", 404),
    ("too_large", 413),
    ("unprocessable", 422),
    ("timeout", 504),
    ("deadline_exceeded", 504),
    ("bad_gateway", 502),
    ("invalid_request", 400),
    ("bad_request", 400),
    ("invalid_argument", 400),
    ("invalid_parameter", 400),
    ("failed_precondition", 400),
    ("validation", 400),
    ("unsupported_value", 400),
    ("unsupported_parameter", 400),
    ("internal", 500),
    ("server_error", 500),
    ("api_error", 500),
)

_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[^a-z0-9]+")


def judge_report(report: ErrorReport, status: int | None = None, model: str = "") -> Fault:
    """Classify a reported error: its status and kind.

    Args:
        status: of the status line, where that is an error's; it counts before what the body tells.
        model: by the backend's own name, to tell its limits from the account's.
    """
    code = _as_words(report.code)
    stated = status if status is not None and 400 <= status <= 599 else report.status
    status, phrase = (stated, "") if stated else _status_of(code, report.words)
    kind, telling = _kind_of(
        status, code, report.words, model.lower(), is_stated=stated is not None
    )
    if kind is FailureKind.REFUSED_KEY and status != 403:
        status = 401
    words, phrase, otherwise = report.words or report.code, telling or phrase, None
    too_long = None
    if kind is FailureKind.FAILED and status in _MAY_BE_TOO_LONG:
        too_long = _too_long(report, code)
    if too_long is not None:
        kind, status = FailureKind.TOO_LONG, 400
    if phrase:
        rest = replace(report, words=report.words.replace(phrase, ""))
        otherwise = replace(judge_report(rest, stated, model), words=words)
    return Fault(status, kind, words, phrase, otherwise, too_long)


# With which a prompt is refused that is too long; 500 by llama.cpp and what is built on it.
_MAY_BE_TOO_LONG = frozenset({400, 413, 422, 500})


def _too_long(report: ErrorReport, code: str) -> TooLong | None:
    told = read_too_long(code, report.words)
    if told is None or (report.prompt_tokens is None and report.window_tokens is None):
        return told
    return replace(told, needed=report.prompt_tokens, maximum=report.window_tokens)


def _as_words(code: str) -> str:
    """ "Throttling.RateQuota BadRequestError" as "throttling_rate_quota bad_request_error"."""
    return " ".join(
        _NO_WORD.sub("_", _BETWEEN_WORDS.sub("_", each).lower()) for each in code.split()
    )


def _status_of(code: str, words: str) -> tuple[int, str]:
    """The status, and the phrase that says so if no code does."""
    for word, status in _STATUS_BY_WORD:
        if word in code:
            return status, ""
    for pattern, status in ((_TOO_LONG, 400), (_RATE, 429), (_NO_MONEY, 402)):
        if found := pattern.search(words):
            return status, found.group()
    return 502, ""


_TOO_LONG = LatePattern(r"maximum context length|context (?:length|window) exceeded", re.I)
_RATE = LatePattern(r"rate.?limit|too many requests", re.I)

# Anthropic's is a 400, xAI's a 403, Google's a 429; each beside others of that status.
_NO_MONEY = LatePattern(
    r"insufficient (?:account )?(?:balance|credits?|funds|quota)|credit balance is too low"
    r"|out of credits|(?:doesn't|does not|don't) have any credits|used all available credits"
    r"|credits are depleted|not enough (?:credits|balance)|account (?:is )?in arrears"
    r"|overdue-payment|payment required"
    r"|billing (?:hard limit|is disabled|to be enabled|account (?:is )?not active)"
    r"|account is not active, please check your billing",
    re.I,
)
_NO_CREDIT_CODES = (
    "insufficient_quota",
    "exceeded_current_quota",
    "insufficient_balance",
    "insufficient_credit",
    "insufficient_fund",
    "payment_required",
    "billing",
    "arrearage",
)
# What says that the key itself is refused. "Permission denied" does not.
_KEY_CODES = ("api_key", "authentication", "unauthenticated", "unauthorized", "invalid_token")
_BAD_KEY = LatePattern(
    r"\b(?:invalid|incorrect|bad|wrong|expired|revoked|missing|unknown|unrecognized|disabled|no)\s+"
    r"(?:\w+\s+){0,2}?(?:api.?key|key|token|credentials?)\b"
    r"|\b(?:api.?key|access token|credentials?)\b[^.]{0,60}?\b(?:invalid|not valid|incorrect"
    r"|expired|revoked|missing|not found|disabled|deleted|leaked|does not exist|suspended|blocked)"
    r"|unregistered callers",
    re.I,
)
# Providers' refusals of what a prompt holds, and of what a model made of it.
_CONTENT_CODES = (
    "content_policy",
    "content_filter",
    "content_moderation",
    "moderation_blocked",
    "data_inspection",
    "responsible_ai",
    "malformed_function_call",
    "unexpected_tool_call",
    "missing_thought_signature",
    "malformed_response",
    "prohibited_content",
    "blocked_prompt",
)
_CONTENT = LatePattern(
    r"\bflagged\b|\bmoderat(?:ion|ed)\b|usage (?:guidelines|polic(?:y|ies))"
    r"|content (?:violat|policy|management policy|filter)|safety (?:system|guidelines|filter)"
    r"|inappropriate content|sensitive content|data may contain inappropriate",
    re.I,
)
# Limits of the whole account. A message that names the model speaks of that model only, as
# OpenAI's "Rate limit reached for gpt-4o in organization org-1 on tokens per min" does.
_ACCOUNT = LatePattern(
    r"\b(?:account|organi[sz]ation|workspace|tenant|team|project|subscription)\b"
    r"|\b(?:your|this|the|per) (?:api.?)?key\b",
    re.I,
)
_OF_A_MODEL = LatePattern(r"\bmodels?\b|\brate limit reached for\b", re.I)


def _kind_of(
    status: int, code: str, words: str, model: str, *, is_stated: bool
) -> tuple[FailureKind, str]:
    """The kind; and of one that reaches beyond the model the phrase, if that alone says so.

    Args:
        code, model: in lower case.
        is_stated: the status; else it is read from the words.
    """
    if (status == 402 and is_stated) or (status < 500 and _has(_NO_CREDIT_CODES, code)):
        return FailureKind.NO_CREDIT, ""
    if status < 500 and (found := _NO_MONEY.search(words)):
        return FailureKind.NO_CREDIT, found.group()
    if status == 401:
        return FailureKind.REFUSED_KEY, ""
    if status == 400 and _has(("api_key_invalid", "invalid_api_key"), code):
        return FailureKind.REFUSED_KEY, ""
    if status == 429:
        return _busy(code, words, model)
    if _has(_CONTENT_CODES, code):
        return FailureKind.REFUSED_CONTENT, ""
    if status == 403:
        if _has(_KEY_CODES, code):
            return FailureKind.REFUSED_KEY, ""
        if found := _BAD_KEY.search(words):
            return FailureKind.REFUSED_KEY, found.group()
        return FailureKind.REFUSED_CONTENT if _CONTENT.search(words) else FailureKind.FORBIDDEN, ""
    if status < 500 and _CONTENT.search(words):
        return FailureKind.REFUSED_CONTENT, ""
    return FailureKind.FAILED, ""


def _busy(code: str, words: str, model: str) -> tuple[FailureKind, str]:
    if (model and model in words.lower()) or _OF_A_MODEL.search(words):
        return FailureKind.BUSY, ""
    if "account" in code:
        return FailureKind.ACCOUNT_BUSY, ""
    found = _ACCOUNT.search(words)
    return (FailureKind.ACCOUNT_BUSY, found.group()) if found else (FailureKind.BUSY, "")


def _has(some: tuple[str, ...], code: str) -> bool:
    return any(word in code for word in some)
