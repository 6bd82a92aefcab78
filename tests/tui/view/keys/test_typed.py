import pytest

from nexus_core.errors import InvalidRequestError
from nexus_tui.view.keys.typed import read_typed, written, wrong_key, wrong_limits


def test_a_name_and_limits_are_read_in_any_order() -> None:
    name, asked = read_typed("rpm=60 laptop models=llama*,qwen* budget=20")

    assert name == "laptop"
    assert asked == {"rpm": "60", "models": "llama*,qwen*", "budget": "20"}
    assert read_typed(written(asked)) == ("", asked)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begin with the key's name"),
        ("rpm=60", "begin with the key's name"),
        ("a rpm=many", "rpm: must be a whole number"),
        ("a rmp=60", "did you mean rpm?"),
        ("a colour=red", "known are budget, rpm"),
        ("a b", "a key has one name"),
        ("admin", "is the admin key's"),
        ("nx-abcdefgh-" + "x" * 43, "this is a key's secret"),
    ],
)
def test_what_is_wrong_with_a_new_key_is_told(text: str, says: str) -> None:
    assert says in (wrong_key(text) or "")


def test_limits_alone_have_no_name() -> None:
    assert wrong_key("laptop rpm=60") is None
    assert wrong_limits("rpm=60 expires=none") is None
    assert wrong_limits("") is None
    assert "'laptop' is no limit" in (wrong_limits("laptop rpm=60") or "")
    assert "tier" in (wrong_limits("tier=9") or "")
    with pytest.raises(InvalidRequestError):
        read_typed("a b")
