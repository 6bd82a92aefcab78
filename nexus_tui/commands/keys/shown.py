"""Client keys as plain text: a table of all, and one of them line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nexus_tui.commands.base.text_view import table
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING

_HEADS = (
    *("key", "state", "requests/min", "tokens/min", "parallel", "budget", "zone", "tier"),
    *("models", "last used", "expires"),
)


# What a key of the environment has not.
_UNLIMITED = dict.fromkeys(("rpm", "tpm", "parallel", "models", "tier", "expires"))


def list_lines(
    keys: list[Mapping[str, Any]], environment: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """All keys, one per line; those of the environment last."""
    others = [{**_UNLIMITED, "zone": NOTHING, "state": "environment", **key} for key in environment]
    rows = [_row(key) for key in (*keys, *others)]
    return table([head.upper() for head in _HEADS], rows) if rows else [" no client key"]


def key_lines(key: Mapping[str, Any]) -> list[str]:
    """One key, a line for each of its facts."""
    facts = zip(_HEADS, _row(key), strict=True)
    lines = [f"{head:13} {cell}" for head, cell in facts]
    lines += [f"{'id':13} {escaped(str(key['id']))}", f"{'created':13} {key['created']}"]
    if until := key.get("old_secret_until"):
        lines.append(f"{'old secret':13} is taken until {until}")
    return lines


def _row(key: Mapping[str, Any]) -> list[str]:
    used: Mapping[str, Any] = key.get("used") or {}
    budget, tier, models = key["budget_usd"], key["tier"], key["models"]
    spent = used.get("spent_usd")
    return [
        escaped(str(key["name"])),
        escaped(str(key["state"])),
        _of(used.get("requests_this_minute"), used.get("rpm_limit", key["rpm"])),
        _of(used.get("tokens_this_minute"), used.get("tpm_limit", key["tpm"])),
        _of(used.get("under_way"), used.get("parallel_limit", key["parallel"])),
        _of(
            None if spent is None else f"${spent:.2f}",
            None if budget is None else f"${budget:g}",
        ),
        escaped(str(key["zone"])),
        NOTHING if tier is None else str(tier),
        NOTHING if models is None else escaped(",".join(models)),
        used.get("last_used") or NOTHING,
        key["expires"] or NOTHING,
    ]


def _of(used: object, limit: object) -> str:
    """`3/60`: used, of the limit."""
    shown = NOTHING if limit is None else str(limit)
    return shown if used is None else f"{used}/{shown}"
