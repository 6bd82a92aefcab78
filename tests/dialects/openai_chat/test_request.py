import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.openai_chat.request import read_request, write_request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Operation

CHAT = Operation.CHAT
MESSAGES = '"messages":[{"role":"user","content":"hi"}]'


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"", None, "'{' is expected"),
        (b"[]", None, "'{' is expected"),
        (b"{", None, "a key is expected"),
        (b'{"model":"m",}', None, "a key is expected"),
        (b'{"model" "m"}', None, "':' is expected"),
        (b'{"model":"m"} x', None, "data after the end of the object"),
        (b'{"model":"m","model":"n"}', "model", 'duplicate key "model"'),
        (b'{"x":NaN}', None, "NaN is not JSON"),
        (b'{"x":-Infinity}', None, "-Infinity is not JSON"),
        (b'{"x":' + b"9" * 5000 + b"}", None, "not valid JSON"),
        (b'{"x":' + b"[" * 100_000 + b"}", None, "nested too deep"),
        (b'\xff{"model":"m"}', None, "not UTF-8 at byte 0"),
        (b'\xef\xbb\xbf{"model":"m"}', None, "not valid JSON"),
        (b"{%s}" % MESSAGES.encode(), "model", "non-empty string"),
        (b'{"model":3,%s}' % MESSAGES.encode(), "model", "non-empty string"),
        (b'{"model":"\\ud800",%s}' % MESSAGES.encode(), "model", "not valid Unicode"),
        (b'{"model":"%s",%s}' % (b"m" * 257, MESSAGES.encode()), "model", "longer than 256"),
        (b'{"model":"m"}', "messages", "non-empty list"),
        (b'{"model":"m","messages":[]}', "messages", "non-empty list"),
        (b'{"model":"m","messages":["hi"]}', "messages[0]", "an object"),
        (b'{"model":"m","messages":[{"content":"x"}]}', "messages[0].role", "a string"),
        (b'{"model":"m","stream":1,%s}' % MESSAGES.encode(), "stream", "true or false"),
    ],
)
def test_a_wrong_chat_request_is_refused_with_what_is_wrong(
    body: bytes, param: str | None, words: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(CHAT, body)

    assert words in caught.value.message
    assert caught.value.param == param
    assert caught.value.status == 400


def test_a_completion_needs_a_prompt() -> None:
    with pytest.raises(InvalidRequestError, match="prompt") as caught:
        read_request(Operation.COMPLETIONS, b'{"model":"m"}')

    assert caught.value.param == "prompt"
    assert read_request(Operation.COMPLETIONS, b'{"model":"m","prompt":""}').model == "m"


def test_the_body_is_the_very_bytes_that_came() -> None:
    body = b' {"model" : "m" ,\n"unknown":1.0,' + MESSAGES.encode() + b',"stream":true}\n'

    request = read_request(CHAT, body)

    assert write_request(request, "m") is body
    assert request.is_streaming


def test_an_escaped_model_name_is_read_as_what_it_means() -> None:
    request = read_request(CHAT, b'{"model":"\\u006d",%s}' % MESSAGES.encode())

    assert request.model == "m"


@given(
    before=st.dictionaries(st.text().filter(lambda k: k not in ("model", "messages")), st.text()),
    model=st.text(min_size=1, max_size=20).filter(
        lambda m: not any("\ud800" <= c <= "\udfff" for c in m)
    ),
    target=st.text(min_size=1, max_size=20).filter(
        lambda m: not any("\ud800" <= c <= "\udfff" for c in m)
    ),
    ascii_only=st.booleans(),
)
def test_renaming_changes_the_models_bytes_and_no_others(
    before: dict[str, str], model: str, target: str, ascii_only: bool
) -> None:
    first = json.dumps(before, ensure_ascii=ascii_only)[1:-1]
    comma = ", " if first else ""
    named = json.dumps(model, ensure_ascii=ascii_only)
    parts = ("{ " + first + comma + '"model" :', named, ',"messages":[{"role":"é"}]}')
    body = "".join(parts).encode("utf-8", "surrogatepass")
    if not ascii_only and any("\ud800" <= c <= "\udfff" for c in first):
        return

    renamed = write_request(read_request(CHAT, body), target)

    if model == target:
        assert renamed == body
    else:
        assert renamed.startswith(parts[0].encode())
        assert renamed.endswith(parts[2].encode())
        assert json.loads(renamed)["model"] == target


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_no_bytes_raise_anything_but_a_400(body: bytes) -> None:
    try:
        read_request(CHAT, body)
    except InvalidRequestError as error:
        assert error.status == 400  # noqa: PT017 - any other exception must reach the test
