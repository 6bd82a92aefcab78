"""Find what a reference inside a JSON schema points to: pointers, anchors, `$id`s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias
from urllib.parse import unquote, urldefrag, urljoin

from nexus_core.types import JsonObject, is_list, is_object

Schema: TypeAlias = "JsonObject | bool"

_MEMBERS = frozenset(
    {
        "properties",
        "patternProperties",
        "$defs",
        "definitions",
        "dependentSchemas",
        "dependencies",
    }
)
_VALUES = frozenset({"enum", "const", "default", "examples", "example"})  # data, no schemas


class References:
    """Reference targets of one schema document, which is walked at the first reference.

    Nothing outside the document is ever fetched.
    """

    def __init__(self, document: JsonObject, *, draft_4: bool) -> None:
        self._document = document
        self._id = "id" if draft_4 else "$id"
        self._resources: dict[str, JsonObject] = {}
        self._anchors: dict[tuple[str, str], JsonObject] = {}
        self._dynamic: dict[str, list[JsonObject]] = {}
        self._bases: dict[int, str] = {}  # of a node, by its id(): the document outlives this

    def target(self, node: JsonObject, reference: str) -> Schema | None:
        """The target of `node`'s `$ref`; None if it is not in the document."""
        self._walk_once()
        base = self._bases.get(id(node), "")
        try:
            uri, fragment = urldefrag(reference)
            resource = urljoin(base, uri) if uri else base
        except ValueError:
            return None
        root = self._resources.get(resource)
        if root is None:
            return None
        fragment = unquote(fragment)
        if not fragment:
            return root
        if not fragment.startswith("/"):
            return self._anchors.get((resource, fragment))
        return self._at(root, fragment, resource)

    def dynamic_target(self, node: JsonObject, reference: str) -> Schema | None:
        """The target of `node`'s `$dynamicRef`; None too if several schemas have its anchor."""
        found = self.target(node, reference)
        name = reference.rpartition("#")[2]
        return found if len(self._dynamic.get(name, ())) <= 1 else None

    def _at(self, root: JsonObject, pointer: str, base: str) -> Schema | None:
        """Resolve a JSON pointer (RFC 6901)."""
        value: object = root
        for token in pointer.split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if is_object(value):
                value = value.get(key)
            elif is_list(value) and key.isascii() and key.isdigit():
                value = value[int(key)] if len(key) < 10 and int(key) < len(value) else None
            else:
                return None
        if is_object(value):
            if id(value) not in self._bases:  # not where schemas stand: it was not walked
                self._walk(value, base)
            return value
        return value if isinstance(value, bool) else None

    def _walk_once(self) -> None:
        if not self._resources:
            self._resources[""] = self._document
            self._walk(self._document, "")

    def _walk(self, start: JsonObject, base: str) -> None:
        pending = [(start, base)]
        while pending:
            node, base = pending.pop()
            base = self._identify(node, base)
            self._bases[id(node)] = base
            pending += [(child, base) for child in _children(node)]

    def _identify(self, node: JsonObject, base: str) -> str:
        """Note a node's `$id` and anchors; gives the base URI of its subschemas."""
        own = node.get(self._id)
        if isinstance(own, str):
            if own.startswith("#"):  # an anchor, up to draft 7
                self._anchors.setdefault((base, own[1:]), node)
            else:
                try:
                    base = urldefrag(urljoin(base, own))[0]
                except ValueError:
                    return base
                self._resources.setdefault(base, node)
        for key in ("$anchor", "$dynamicAnchor"):
            name = node.get(key)
            if isinstance(name, str):
                self._anchors.setdefault((base, name), node)
                if key == "$dynamicAnchor":
                    self._dynamic.setdefault(name, []).append(node)
        return base


def _children(node: JsonObject) -> Iterator[JsonObject]:
    for key, value in node.items():
        if key in _VALUES:
            continue
        inner: Iterable[object] = ()
        if is_object(value):
            inner = value.values() if key in _MEMBERS else [value]
        elif is_list(value):
            inner = value
        yield from (child for child in inner if is_object(child))
