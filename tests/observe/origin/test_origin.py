import pytest

from nexus_core.observe.origin.origin import MAX_ID_CHARS, NO_ORIGIN, Origin, read_origin

_CLAUDE = (b"user-agent", b"claude-cli/2.1.197 (external, cli)")
_CODEX = (b"user-agent", b"codex_exec/0.171.0 (Debian 12.0.0; x86_64)")
_OPENCODE = (b"user-agent", b"opencode/1.0.3")


def test_claude_code_tells_its_session_and_its_subagent() -> None:
    main = [_CLAUDE, (b"x-app", b"cli"), (b"x-claude-code-session-id", b"3f2a")]
    sub = [*main, (b"x-claude-code-agent-id", b"a71c")]

    assert read_origin(main) == Origin("claude-code", "3f2a", None)
    assert read_origin(sub) == Origin("claude-code", "3f2a", "a71c")


def test_codex_tells_a_thread_which_is_the_sessions_but_of_a_subagent() -> None:
    session = (b"session-id", b"0199")

    assert read_origin([session, (b"thread-id", b"0199"), _CODEX]) == Origin("codex", "0199")
    assert read_origin([session, (b"thread-id", b"77aa"), _CODEX]) == Origin(
        "codex", "0199", "77aa"
    )


def test_a_subagent_of_opencode_belongs_to_its_parents_session() -> None:
    own = (b"x-session-affinity", b"ses_child")

    assert read_origin([_OPENCODE, own]) == Origin("opencode", "ses_child")
    assert read_origin([_OPENCODE, own, (b"x-parent-session-id", b"ses_main")]) == Origin(
        "opencode", "ses_main", "ses_child"
    )


def test_an_app_names_itself_by_its_title() -> None:
    told = [(b"user-agent", b"OpenAI/JS 5.12.2"), (b"x-title", b"Cline")]

    assert read_origin(told) == Origin("cline")


def test_a_client_that_says_nothing_has_no_origin() -> None:
    assert read_origin([]) == NO_ORIGIN
    assert read_origin([(b"accept", b"*/*"), (b"x-session-id", b"")]) == NO_ORIGIN


def test_the_first_session_header_counts() -> None:
    told = [(b"x-session-id", b"one"), (b"session-id", b"two"), (b"x-session-id", b"three")]

    assert read_origin(told).session == "one"


def test_an_id_is_bounded_and_printable() -> None:
    assert read_origin([(b"x-session-id", b"a" * 5000)]).session == "a" * MAX_ID_CHARS
    assert read_origin([(b"x-session-id", b"a b\x1b[31m\xffc")]).session == "ab[31mc"
    assert read_origin([(b"x-session-id", b"\xff\xfe")]).session is None


@pytest.mark.parametrize("key", [b"sk-ant-abc", b"AIzaSyXYZ", b"Bearer abc", b"gsk_123"])
def test_what_looks_like_a_key_is_no_session(key: bytes) -> None:
    assert read_origin([(b"x-session-id", key)]).session is None


@pytest.mark.parametrize("key", [b"sk-proj-abc", b"AIzaSyXYZ", b"Bearer abc", b"gsk_123"])
def test_what_looks_like_a_key_is_no_program(key: bytes) -> None:
    assert read_origin([(b"user-agent", key)]).agent is None
    assert read_origin([(b"x-title", key)]).agent is None
    assert read_origin([(b"user-agent", b"node"), (b"x-title", key)]).agent == "node"


def test_requests_of_one_origin_share_it() -> None:
    told = [_CLAUDE, (b"x-claude-code-session-id", b"shared")]

    assert read_origin(told) is read_origin([*told])
    assert read_origin([_CODEX]) is read_origin([_CODEX])


def test_any_number_of_origins_can_come() -> None:
    for n in range(5000):
        read_origin([(b"user-agent", b"tool-%d/1" % n), (b"x-session-id", b"%d" % n)])
        read_origin([(b"user-agent", b"tool-%d/1" % n)])

    assert read_origin([(b"user-agent", b"tool-7/1")]) == Origin("tool-7")
