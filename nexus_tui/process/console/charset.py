"""Which characters the terminal has: ASCII alone, or all of ours."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Mapping
from typing import Literal

ASCII_VARIABLE = "NEXUS_ASCII"
_MEANT = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# Consoles whose fonts lack our glyphs, and terminals that never had any.
_PLAIN_TERMINALS = re.compile(r"(?:linux|vt[0-9]|ansi|cons25)")
_PLAIN_LOCALES = ("C", "POSIX")
_TWINS = "nexus-twins"


def wants_ascii(
    setting: Literal[True, False, "auto"],
    environ: Mapping[str, str],
    *,
    is_coerced: bool | None = None,
) -> bool:
    """Whether nothing but ASCII is to be drawn: the variable, the setting, else what is known.

    Args:
        is_coerced: whether Python itself turned the locale C into UTF-8 at its start, and set
            LC_CTYPE (https://peps.python.org/pep-0538/); None: as it did.
    """
    meant = _MEANT.get(environ.get(ASCII_VARIABLE, "").strip().lower())
    if meant is not None:
        return meant
    if setting != "auto":
        return setting
    if is_coerced is None:
        is_coerced = bool(sys.flags.utf8_mode)
    return bool(_PLAIN_TERMINALS.match(environ.get("TERM", ""))) or not _has_unicode(
        _locale(environ, is_coerced=is_coerced)
    )


def fault_of_variable(environ: Mapping[str, str]) -> str | None:
    """What is wrong with NEXUS_ASCII; None if nothing is."""
    value = environ.get(ASCII_VARIABLE, "").strip().lower()
    if not value or value == "auto" or value in _MEANT:
        return None
    return f"{ASCII_VARIABLE}: is not one of true, false, auto"


def _locale(environ: Mapping[str, str], *, is_coerced: bool) -> str:
    """Name of the locale of characters, as the user set it; empty if none is set."""
    names = [environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if is_coerced and not names[0]:
        names[1] = ""
    return next(filter(None, names), "")


def _has_unicode(locale: str) -> bool:
    """Whether a locale such as `de_DE.ISO-8859-1@euro` can write our glyphs.

    One that is not set says nothing, and terminals of today can; one without a character set is
    an old single-byte one on some systems and UTF-8 on others.
    """
    if locale in _PLAIN_LOCALES:
        return False
    charset = locale.partition("@")[0].partition(".")[2]
    return not charset or charset.upper().replace("-", "") in ("UTF8", "GB18030")


# Writing ------------------------------------------------------------------------------------------


def in_reach() -> str:
    """Error handler of encoders: our glyphs become their ASCII twins, other text is escaped."""
    try:
        codecs.lookup_error(_TWINS)
    except LookupError:
        codecs.register_error(_TWINS, _twins)
    return _TWINS


def _twins(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    from nexus_tui.text.glyphs import in_ascii

    text = in_ascii(error.object[error.start : error.end])
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


def write_ascii() -> None:
    """Let the standard streams write nothing but ASCII from now on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="ascii", errors=in_reach())
