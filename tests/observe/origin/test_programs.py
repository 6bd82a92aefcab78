import pytest

from nexus_core.observe.origin.programs import MAX_AGENT_CHARS, program


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("claude-cli/2.1.197 (external, cli)", "claude-code"),
        ("claude-code/2.1.197", "claude-code"),
        ("codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.171.0)", "codex"),
        ("codex_cli_rs/0.171.0 (Mac OS 26.0; arm64) iTerm.app", "codex"),
        ("GeminiCLI-tui/0.61.0/llama3:70b (linux; x64; terminal)", "gemini-cli"),
        ("opencode/1.0.3 ai-sdk/provider-utils/3.0.9 runtime/bun/1.3.0", "opencode"),
        ("OpenAI/Python 3.57.0", "openai-python"),
        ("AsyncOpenAI/Python 3.57.0", "openai-python"),
        ("Anthropic/Python 2.0.1", "anthropic-python"),
        ("ollama-python/0.6.0 (x86_64 linux) Python/3.12", "ollama-python"),
        ("curl/8.5.0", "curl"),
        ("Bun/1.4.0", "Bun"),
        ("MyTool (by me)", "MyTool"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "browser"),
    ],
)
def test_a_program_is_known_by_its_user_agent(user_agent: str, name: str) -> None:
    assert program(user_agent) == name


def test_a_library_is_named_after_the_app_that_uses_it() -> None:
    assert program("OpenAI/JS 5.12.2", "Cline") == "cline"
    assert program("Python/3.11 aiohttp/3.12", "Open WebUI") == "open-webui"
    assert program("", "Aider") == "aider"


def test_a_program_of_its_own_name_is_not_called_otherwise() -> None:
    assert program("claude-cli/2.1.197 (external, cli)", "Cline") == "claude-code"


@pytest.mark.parametrize("user_agent", ["", "   ", "(unknown)", "\x1b[31mred", "¡olé!"])
def test_what_names_no_product_is_no_program(user_agent: str) -> None:
    assert program(user_agent) is None


def test_a_name_is_short_and_of_plain_letters() -> None:
    assert program("a" * 500 + "/1.0") == "a" * MAX_AGENT_CHARS
    assert program("tool\x1b[31m/1.0") == "tool"
    assert program("curl/8.5.0", "\x1b]0;t\x07") == "curl"
    assert program("x" * 3, "é" * 40) == "xxx"
