"""Turn the content blocks of Anthropic's messages into the parts of the hub's, one by one."""

from __future__ import annotations

from nexus_core.dialects.hub.conversation import text_part
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_RESULT_TITLES = 20  # of a web search that an Anthropic model made, as text for another model


def blocks_of(content: object, path: str) -> list[tuple[str, JsonObject]]:
    """The blocks of a content with the path of each; a string is one block of text.

    Raises:
        InvalidRequestError: it is neither a string nor a list of blocks.
    """
    if isinstance(content, str):
        return [(path, text_part(content))]
    if content is None:
        return []
    if not is_list(content):
        raise InvalidRequestError(f"{path}: a string or a list is required", param=path)
    found: list[tuple[str, JsonObject]] = []
    for number, block in enumerate(content):
        place = f"{path}[{number}]"
        if not is_object(block) or not isinstance(block.get("type"), str):
            raise InvalidRequestError(f"{place}.type: a string is required", param=place)
        found.append((place, block))
    return found


def read_parts(block: JsonObject, path: str) -> list[JsonObject]:
    """A block of a user's as parts: text, an image, a file; none for a blank text.

    Raises:
        InvalidRequestError: it can't be sent to a backend that has no Messages API.
    """
    match block["type"]:
        case "text":
            text = text_of(block, path)
            return [text_part(text)] if text.strip() else []
        case "image":
            return [{"type": "image_url", "image_url": {"url": _image_url(block, path)}}]
        case "document":
            return _document(block, path)
        case "search_result":
            heading = f"{block.get('title') or ''}\n{block.get('source') or ''}".strip()
            return [text_part(f"{heading}\n{joined(block.get('content'), path)}")]
        case "tool_reference":
            return [text_part(f"The tool {block.get('tool_name')} is available now.")]
        case kind:
            raise InvalidRequestError(
                f"{path}: only Anthropic backends take blocks of type {kind!r}", param=path
            )


def text_of(block: JsonObject, path: str) -> str:
    """The text of a block.

    Raises:
        InvalidRequestError: it has none.
    """
    text = block.get("text")
    if not isinstance(text, str):
        raise InvalidRequestError(f"{path}.text: a string is required", param=path)
    return text


def joined(content: object, path: str) -> str:
    """The texts of a content, one below the other."""
    texts = [
        block["text"]
        for _, block in blocks_of(content, path)
        if block["type"] == "text" and isinstance(block.get("text"), str)
    ]
    return "\n\n".join(text for text in texts if text.strip())


def found_by_search(block: JsonObject) -> str:
    """The pages that a search of Anthropic's found, for a model that can't read its result."""
    content = block.get("content")
    pages = [
        f"- {page.get('title') or ''} {page.get('url') or ''}".rstrip()
        for page in (content if is_list(content) else ())[:_RESULT_TITLES]
        if is_object(page) and page.get("url")
    ]
    return "\n".join(("Web search results:", *pages)) if pages else ""


def _source(block: JsonObject, path: str) -> JsonObject:
    source = block.get("source")
    if not is_object(source):
        raise InvalidRequestError(f"{path}.source: an object is required", param=path)
    return source


def _image_url(block: JsonObject, path: str) -> str:
    match _source(block, path):
        case {"type": "base64", "media_type": str(kind), "data": str(data)}:
            return f"data:{kind};base64,{data}"
        case {"type": "url", "url": str(url)}:
            return url
        case _:
            raise _only_anthropic(path)


def _document(block: JsonObject, path: str) -> list[JsonObject]:
    title = block.get("title")
    name = title if isinstance(title, str) and title else "document.pdf"
    match _source(block, path):
        case {"type": "base64", "media_type": str(kind), "data": str(data)}:
            file = {"filename": name, "file_data": f"data:{kind};base64,{data}"}
            return [{"type": "file", "file": file}]
        case {"type": "text", "data": str(text)}:
            return [text_part(f"{title}\n\n{text}" if title else text)] if text.strip() else []
        case {"type": "content", "content": content}:
            place = f"{path}.source.content"
            inner = blocks_of(content, place)
            return [part for at, one in inner for part in read_parts(one, at)]
        case _:
            raise _only_anthropic(path)


def _only_anthropic(path: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{path}.source: send its data as base64; only Anthropic backends take this source",
        param=path,
    )
