"""A conversation in the hub's format, as what a client said in another one becomes it."""

from __future__ import annotations

from collections.abc import Iterable

from nexus_core.dialects.history import repair_history
from nexus_core.dialects.report import Findings
from nexus_core.types import JsonObject, is_list

_REMINDER = "<system-reminder>\n{}\n</system-reminder>"  # how coding agents mark what is not said


class Conversation:
    """The messages so far; the reader of each format adds to them in the order of the request."""

    def __init__(self) -> None:
        self.system: list[str] = []
        self.said: list[JsonObject] = []

    def add_system(self, texts: Iterable[str]) -> None:
        """Add to the system prompt; blank texts say nothing."""
        self.system += [text for text in texts if text.strip()]

    def add_reminder(self, text: str) -> None:
        """A system message amid the conversation, where many chat templates refuse one.

        It becomes a text of the user's, marked as what it is.
        """
        self.add_user([text_part(_REMINDER.format(text))])

    def add_user(self, parts: list[JsonObject]) -> None:
        """Turns of the user in a row become one: many chat templates refuse two."""
        if not parts:
            return
        if self.said and self.said[-1]["role"] == "user":
            self.said[-1]["content"] += parts
        else:
            self.said.append({"role": "user", "content": parts})

    def add_assistant(self, text: str, thought: str, calls: list[JsonObject]) -> JsonObject | None:
        """A turn of the model's, to be filled up; None where it neither says nor calls anything."""
        if not calls and not text.strip():
            return None
        message: JsonObject = {"role": "assistant", "content": text if text.strip() else None}
        if thought:
            message["reasoning_content"] = thought
        if calls:
            message["tool_calls"] = calls
        self.said.append(message)
        return message

    def add_result(self, call_id: str, text: str, media: list[JsonObject]) -> list[JsonObject]:
        """A tool's result; gives its images and files for `add_user`: only a user may send them."""
        if media:
            text = f"{text}\n\n(its files follow in the next message)".strip()
            media = [text_part(f"The files of the tool result {call_id}:"), *media]
        self.said.append({"role": "tool", "tool_call_id": call_id, "content": text})
        return media

    def messages(self) -> list[JsonObject]:
        """Everything that was said, all system prompts as one; see `in_order`."""
        said = [_plain(message) for message in self.said]
        if self.system:
            said.insert(0, {"role": "system", "content": "\n\n".join(self.system)})
        return in_order(said)


def in_order(messages: list[JsonObject]) -> list[JsonObject]:
    """The messages as every backend accepts them: one of a user's at least, and each call's result
    behind it, in the order of the calls."""
    if all(message["role"] == "system" for message in messages):  # nothing but blanks: a probe
        messages = [*messages, {"role": "user", "content": ""}]
    return [placed.message for placed in repair_history(messages, Findings())]  # type: ignore[arg-type]


def text_part(text: str) -> JsonObject:
    """A part of text."""
    return {"type": "text", "text": text}


def _plain(message: JsonObject) -> JsonObject:
    """The message, its content as a string where it is nothing but text: every server takes one."""
    content = message.get("content")
    if not is_list(content) or any(part["type"] != "text" for part in content):
        return message
    return {**message, "content": "\n\n".join(part["text"] for part in content)}
