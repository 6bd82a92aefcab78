"""docs/providers.md's table, made from the catalog: `python -m tests.catalog.provider_table`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nexus_core.catalog import BackendType
from nexus_core.types import Operation

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
BEGIN, END = "<!-- table from the catalog: begin -->\n", "<!-- table from the catalog: end -->"
_HEAD = ("`type`", "provider", "`url`", "key variable", "operations", "changes to requests")
_NAMES = {
    Operation.CHAT: "chat",
    Operation.COMPLETIONS: "completions",
    Operation.EMBEDDINGS: "embeddings",
}


def table() -> str:
    """The table as Markdown, with its last line's end."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(kind) for kind in BackendType)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(kind: BackendType) -> tuple[str, ...]:
    spec = kind.spec
    served = ", ".join(_NAMES[operation] for operation in Operation if operation in spec.dialects)
    keys = " or ".join(f"`{name}`" for name in spec.key_variables)
    return f"`{kind}`", spec.title, _url(kind), keys or "none", served, "; ".join(_quirks(kind))


def _url(kind: BackendType) -> str:
    spec = kind.spec
    if spec.url is not None:
        return f"`{spec.url}`"
    if spec.url_example is not None:
        return f"yours: `{spec.url_example}`"
    ports = " and ".join(map(str, spec.ports))
    return f"discovered at port {ports}" if ports else "yours"


def _quirks(kind: BackendType) -> Iterator[str]:
    quirks = kind.spec.quirks
    if not quirks.has_developer_role:
        yield "role `developer` → `system`"
    yield from (f"`{name}` → `{own}`" for name, own in quirks.renamed)
    reasoning = () if quirks.takes_reasoning_back else ("messages[].reasoning_content",)
    if left_out := quirks.refused | quirks.ignored | {*reasoning}:
        yield f"without {', '.join(f'`{name}`' for name in sorted(left_out))}"
    if not quirks.takes_stream_options:
        yield "without `stream_options`: usage comes unasked"


def page_with(text: str, rows: str) -> str:
    """The page with these rows in the place of its own."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + BEGIN + rows + end + after


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), table()), encoding="utf-8")
