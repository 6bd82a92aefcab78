"""What a start imports: the less, the sooner requests are served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# Of other packages, and of Nexus what serving a request never needs.
LATE = {
    *("textual", "rich", "tiktoken", "httpx", "genai_prices", "tomlkit", "zeroconf", "fastapi"),
    *("nexus_core.config.save", "nexus_core.control.execute", "nexus_core.control.explainer"),
    *("nexus_core.control.reload", "nexus_core.discovery", "nexus_core.money.report"),
    *("nexus_core.routing.explain", "nexus_core.routing.what_if", "fastapi", "prometheus_client"),
    "nexus_tui.sources",
    # Of the other commands, which `nexus --no-ui` does not come by.
    *("nexus_tui.commands.attach", "nexus_tui.commands.run", "nexus_tui.commands.base.client"),
    *("nexus_tui.commands.base.text_view", "nexus_tui.commands.base.listener"),
}

# Each takes half a millisecond to make, and a struct a hundredth of that.
MAX_DATACLASSES = 45


def test_what_serving_does_not_need_is_not_imported_before_it(tmp_path: Path) -> None:
    program = (
        "import sys, nexus_tui.cli, nexus_tui.process.logs.log_handlers, nexus_tui.process.loop\n"
        "import nexus_core.config.load, nexus_tui.process.serving\n"
        "nexus_tui.cli._options(['--no-ui', '--port', '8000'])\n"
        "from nexus_core.config.schema import Config\n"
        "from nexus_core.gateway import Gateway\n"
        "Gateway(Config())\n"
        "print(*sys.modules)"
    )

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    imported = set(done.stdout.split())
    assert "nexus_core.proxy.forward" in imported
    assert imported & LATE == set()


def test_what_people_ask_for_is_imported_soon_after_the_start(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from nexus_core import gateway\n"
        "from nexus_core.config.schema import Config, StorageConfig\n"
        "async def main():\n"
        "    gateway._SOON_SECONDS = 0\n"
        "    nexus = gateway.Gateway(Config(storage=StorageConfig(path=':memory:')))\n"
        "    before = set(gateway._FOR_PEOPLE) & set(sys.modules)\n"
        "    async with asyncio.timeout(20), nexus.running():\n"
        "        while not set(gateway._FOR_PEOPLE) <= set(sys.modules):\n"
        "            await asyncio.sleep(0.01)\n"
        "    print(before)\n"
        "asyncio.run(main())"
    )

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"


def test_patterns_of_failures_are_not_compiled_before_one(tmp_path: Path) -> None:
    program = (
        "import re\n"
        "compiled, compile_it = [], re.compile\n"
        "re.compile = lambda p, *flags: (compiled.append(ascii(p)), compile_it(p, *flags))[1]\n"
        "import nexus_tui.process.serving\n"
        "print(*compiled)"
    )

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert "request=" in done.stdout  # of log lines, which every request has
    assert "prompt is too long" not in done.stdout
    assert "unregistered callers" not in done.stdout


def test_few_values_of_the_core_are_dataclasses(tmp_path: Path) -> None:
    program = (
        "import dataclasses, sys, nexus_tui.process.serving\n"
        "from nexus_core.providers import anthropic, google, local, openai\n"
        "from nexus_core.upstream import http1\n"
        "made = {\n"
        "    value for name, module in sorted(sys.modules.items())\n"
        "    if name.startswith('nexus_core') for value in vars(module).values()\n"
        "    if isinstance(value, type) and '__dataclass_fields__' in vars(value)\n"
        "}\n"
        "print(*sorted(f'{one.__module__}.{one.__name__}' for one in made))"
    )

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    made = done.stdout.split()
    assert "nexus_core.errors.ActionableErrorContext" in made
    assert len(made) <= MAX_DATACLASSES, made
