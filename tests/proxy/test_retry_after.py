import pytest

from nexus_core.proxy.retry_after import retry_after_seconds

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("retry-after", "7", 7.0),
        ("retry-after", "0.5", 0.5),
        ("retry-after", "0", 0.0),
        ("retry-after", "Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("retry-after", "Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("retry-after", "Friday, 15-Jan-27 08:00:30 GMT", 30.0),
        ("retry-after", "-7", None),
        ("retry-after", "soon", None),
        ("retry-after", "", None),
        ("retry-after", "9" * 400, None),
        ("retry-after", "1e9", None),
        ("retry-after", f"1 Jan {10**20} 00:00:00 GMT", None),
        ("retry-after", "\N{SUPERSCRIPT TWO}", None),
        ("retry-after-ms", "\N{SUPERSCRIPT TWO}", None),
        ("retry-after", ". 1", None),
        ("retry-after-ms", "1500", 1.5),
        ("x-other", "7", None),
    ],
)
def test_both_forms_are_read_and_rubbish_is_none(
    name: str, value: str, seconds: float | None
) -> None:
    assert retry_after_seconds(((name, value),), NOW) == seconds
