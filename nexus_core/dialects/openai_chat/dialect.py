"""OpenAI's API as a dialect: chat completions, with legacy completions and embeddings beside it."""

from __future__ import annotations

from nexus_core.dialects.openai_chat.request import PATHS, read_request
from nexus_core.types import DialectName


class OpenAIChat:
    """The wire format of OpenAI's API and of every server that is compatible with it."""

    name = DialectName.OPENAI_CHAT
    paths = PATHS
    read_request = staticmethod(read_request)


OPENAI_CHAT = OpenAIChat()
