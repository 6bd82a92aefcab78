"""The type of argparse's subcommand collection."""

from __future__ import annotations

import argparse
from typing import TypeAlias

# What `add_subparsers` gives has no public name.
Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]
