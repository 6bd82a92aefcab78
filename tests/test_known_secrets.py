import pytest

from nexus_core.config.schema import AuthConfig, ClientKey
from nexus_core.known_secrets import KnownSecrets
from tests.scenarios.nexus import cloud

_CLIENTS = b"a-clients-key-of-the-team"
_WORD = b"ollama"
_AUTH = AuthConfig(
    api_keys=(ClientKey(name="team", value=_CLIENTS), ClientKey(name="word", value=_WORD)),
    admin_key=b"the-operators-own-key",
)
_BACKEND = cloud("b", "http://127.0.0.1:1", api_key="a-backends-key-1234")


@pytest.fixture
def secrets() -> KnownSecrets:
    known = KnownSecrets()
    known.learn(_AUTH, (_BACKEND,))
    return known


@pytest.mark.parametrize(
    "secret",
    [
        _CLIENTS,
        b"the-operators-own-key",
        b"a-backends-key-1234",
        b"nx-abcdefgh-" + b"aB3_-" * 8 + b"xyz",
    ],
)
def test_a_secret_is_cut_wherever_it_stands(secrets: KnownSecrets, secret: bytes) -> None:
    assert secrets.are_in(secret)
    assert secrets.cut(b"tool/" + secret + b" (x)") == b"tool/*** (x)"
    assert secrets.cut(secret) == b"***"
    assert secrets.cut_text(f"created {secret.decode()} \ud800") == "created *** \ud800"
    assert secrets.are_in_name("openai/" + secret.decode())


def test_a_short_key_may_be_a_word_and_is_cut_as_a_whole_only(secrets: KnownSecrets) -> None:
    assert secrets.cut(_WORD) == b"***"
    assert secrets.cut(b"ollama/0.14") == b"ollama/0.14"
    assert not secrets.are_in_name("ollama")
    assert not secrets.are_in_name("ollama/llama3:70b-instruct")


def test_of_two_keys_the_longer_one_is_cut_whole() -> None:
    secrets = KnownSecrets()
    keys = (b"one-key-of-many-0", b"one-key-of-many-0123456789")
    clients = tuple(ClientKey(name=f"k{n}", value=key) for n, key in enumerate(keys))
    secrets.learn(AuthConfig(api_keys=clients), ())

    assert secrets.cut(b"x " + keys[1]) == b"x ***"


def test_what_is_no_secret_stays(secrets: KnownSecrets) -> None:
    for text in (b"", b"claude-cli/2.1.197", b"nx-abcdefgh-tooshort", _CLIENTS[:-1]):
        assert secrets.cut(text) is text
    assert not secrets.are_in_name("claude-sonnet-4-5-20250929")


def test_what_was_kept_is_forgotten_when_there_is_another_secret(secrets: KnownSecrets) -> None:
    forgotten: list[str] = []
    secrets.watch(lambda: forgotten.append("cache"))
    assert not secrets.are_in_name("another-key-of-a-backend")

    secrets.learn(None, (_BACKEND,))
    assert forgotten == []
    secrets.learn(None, (cloud("c", "http://127.0.0.1:1", api_key="another-key-of-a-backend"),))

    assert forgotten == ["cache"]
    assert secrets.are_in_name("another-key-of-a-backend")
    assert secrets.are_in(_CLIENTS)
