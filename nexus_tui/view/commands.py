"""What can be typed in the command palette: actions by name, and nouns with their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from nexus_core.near_names import near_names

_MOST = 200  # names that are offered at once


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A line of the palette."""

    text: str  # what is typed for it
    help: str
    keys: str = ""
    is_whole: bool = True  # can be carried out; else more has to follow
    problem: str = ""  # why it can't be carried out as it stands

    def holds(self, words: Sequence[str]) -> bool:
        text = f"{self.text} {self.keys} {self.help}".casefold()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Found:
    """What suits what was typed; without any suggestion `told` says what would."""

    suggestions: Sequence[Suggestion]
    told: str = ""


Offers = Callable[[str], Found]


@dataclass(frozen=True)
class Noun:
    """A first word that takes arguments; `offers` is asked with what follows it."""

    name: str
    help: str
    offers: Offers
    names: Callable[[], Iterable[str]] = field(default=tuple)  # found without the noun, too

    @property
    def suggestion(self) -> Suggestion:
        return Suggestion(f"{self.name} ", self.help, is_whole=False)


class Vocabulary:
    """Everything that the palette knows."""

    def __init__(self, actions: Sequence[Suggestion], nouns: Sequence[Noun]) -> None:
        self._actions = actions
        self._nouns: Mapping[str, Noun] = {noun.name: noun for noun in nouns}

    def find(self, text: str) -> Found:
        """What suits a text, best first."""
        noun, space, rest = text.lstrip().partition(" ")
        if space and noun.casefold() in self._nouns:
            return self._nouns[noun.casefold()].offers(rest.lstrip())
        words = text.casefold().split()
        if not words:
            return Found([*self._actions, *(noun.suggestion for noun in self._nouns.values())])
        nouns = [noun.suggestion for noun in self._nouns.values()]
        found = [one for one in (*nouns, *self._actions) if one.holds(words)]
        typed = " ".join(words)
        found.sort(key=lambda one: (one.text != typed, not one.text.startswith(words[0])))
        found += islice(self._named(words), _MOST)
        return Found(found, "" if found else self._nearest(text.strip()))

    def _named(self, words: Sequence[str]) -> Iterator[Suggestion]:
        """Names that hold every word, each with its noun."""
        for noun in self._nouns.values():
            for name in sorted({*noun.names()}):
                if name and all(word in name.casefold() for word in words):
                    yield Suggestion(f"{noun.name} {name}", noun.help)

    def _nearest(self, text: str) -> str:
        names = [*self._nouns, *(one.text for one in self._actions)]
        for noun in self._nouns.values():
            names += noun.names()
        return not_found(text, near_names(text, names), self._nouns)


def not_found(text: str, near: Sequence[str], others: Iterable[str]) -> str:
    """The sentence for what is called nothing: what is like it, or what there is."""
    if near:
        return f'Nothing is called "{text}". Did you mean {" or ".join(near)}?'
    return f'Nothing is called "{text}". An action\'s name, or {", ".join(others)}.'


def one_of(noun: str, options: Callable[[], Mapping[str, str]]) -> Offers:
    """Arguments of which one is taken, each with what it does; `noun` is what stands before."""

    def offers(typed: str) -> Found:
        wanted, choices = typed.strip().casefold(), options()
        begun = [name for name in choices if name.casefold().startswith(wanted)]
        held = [name for name in choices if wanted in name.casefold() and name not in begun]
        names = [*begun, *held][:_MOST]
        if names:
            return Found([Suggestion(f"{noun} {name}", choices[name]) for name in names])
        if near := near_names(wanted, choices):
            return Found((), f'{noun}: no "{typed.strip()}". Did you mean {" or ".join(near)}?')
        few = ", ".join(islice(choices, 12))
        return Found((), f'{noun}: no "{typed.strip()}". {few or "There is none."}')

    return offers


def name_then(
    noun: str,
    names: Callable[[], Iterable[str]],
    help: str,  # noqa: A002  as the field of a suggestion
    verbs: Callable[[str], Mapping[str, Offers | str]],
) -> Offers:
    """A name, and after it a verb.

    Args:
        verbs: for a name; of each what it does, or what may follow it.
    """
    alone = one_of(noun, lambda: dict.fromkeys(sorted({*names()}), help))

    def offers(typed: str) -> Found:
        name, space, rest = typed.partition(" ")
        exact = next((one for one in names() if one.casefold() == name.casefold()), None)
        if not space:
            return alone(typed)
        if exact is None:
            near = near_names(name, names())
            like = f"Did you mean {' or '.join(near)}?" if near else ""
            return Found((), f'{noun}: no "{name}". {like}'.rstrip())
        before, choices = f"{noun} {exact}", verbs(exact)
        verb, space, argument = rest.lstrip().partition(" ")
        follows = choices.get(verb.casefold())
        if space and callable(follows):
            return follows(argument.strip())
        told = {one: what if isinstance(what, str) else _asks(one) for one, what in choices.items()}
        return one_of(before, lambda: told)(rest)

    return offers


def _asks(verb: str) -> str:
    return f"Set the {verb}; asks for it unless it follows"
