"""The [tui] section of nexus.toml: checked by the core, used by the dashboard."""

# Annotations are values here, as in `schema.py`.

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class TuiConfig(BaseModel):
    """The [tui] section; names in `keys` and `columns` are checked by the dashboard."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    theme: Literal["nexus-dark", "nexus-light", "nexus-contrast", "nexus-ansi"] = "nexus-dark"
    ascii: Literal[True, False, "auto"] = "auto"  # ASCII alone; auto: as locale and terminal say
    refresh_hz: Annotated[float, Field(ge=0.2, le=4)] = 2  # repaints a second while it is busy
    window: Literal["1m", "5m", "1h", "start"] = "5m"  # that numbers are shown for at first
    panic: Literal["cut", "drain"] = "cut"  # what becomes of streams in a zone that is cut
    quit: Literal["ask", "leave", "quit"] = "ask"  # q: leave the screen and serve on, or stop
    # Of the request list, in their order; None: all that there is room for.
    columns: tuple[str, ...] | None = None
    on_crash: Literal["serve", "exit"] = "serve"  # the proxy, when the dashboard crashed
    on_hangup: Literal["exit", "serve"] = "exit"  # the proxy, when its terminal is closed
    keys: dict[str, str] = {}  # action id -> keys, with blanks between them
