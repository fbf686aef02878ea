"""Words that stand beside names in the grammar: any other word beside a name belongs to it.

The gateway withholds an intent whose name was cut short ("bathroom" of "kids bathroom"), and
knows it by this list, which the model's file carries (`services/voice/completeness.ts`, of which
`cut_short` is the counterpart for the figures)."""

from __future__ import annotations

import re
from functools import lru_cache

from . import corpus, grammar, slips, values
from .numbers import words as spelt
from .template import Choice, Node, parse

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_STOP = re.compile(r"[,.;:!?]+(?=\s|$)")
NAMING = ("name", "area", "floor", "item")
PLACING = ("name", "area", "floor")
# Letters from which on a word is known with one of them misheard or misspelt.
LONG = 5


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _literals(node: Node) -> list[str]:
    if isinstance(node, Choice):
        return [w for option in node.options for child in option for w in _literals(child)]
    return _words(node) if isinstance(node, str) else []


@lru_cache(maxsize=1)
def words() -> list[str]:
    """The list: the templates' own words, what is said around a command, values, common slips."""
    out = {w for rule in grammar.RULES for template in rule.templates for w in _literals(parse(template))}
    texts = [*grammar.PREFIX, *grammar.SUFFIX, *slips._FILL, *corpus.FOLLOW_WRAPS, *corpus.FOLLOW_NAME_WRAPS]
    texts += [heard for ways in slips._SOUND.values() for heard in ways]
    texts += [*values.COLORS, "grey", *values.KELVIN, *values.FAN_MODES, *values.COVER_CLASSES, *(f"{c}s" for c in values.COVER_CLASSES)]
    texts += [state for options in values.STATES.values() for state in options]
    texts += [*values.UNITS, "half", "quarter", "point", "and", "hundred", "thousand", *(spelt(n) for n in range(100))]
    return sorted(out | {w for text in texts for w in _words(text)})


def _near(a: str, b: str) -> bool:
    """Whether two words differ by one letter: another, one more, one less, or two that changed places."""
    if abs(len(a) - len(b)) > 1:
        return False
    same = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    x, y = a[same:], b[same:]
    return x[1:] == y or x == y[1:] or x[1:] == y[1:] or (len(x) > 1 and len(y) > 1 and x[:2] == y[1::-1] and x[2:] == y[2:])


@lru_cache(maxsize=None)
def is_beside(word: str) -> bool:
    """Whether a word may stand beside a name: a number, one of the list, or one of it with a letter wrong."""
    return word[0].isdigit() or word in _known() or (len(word) >= LONG and any(len(w) >= LONG - 1 and _near(word, w) for w in words()))


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(words())


def _places(span: list[str], clause: list[str]) -> list[int]:
    return [i for i in range(len(clause) - len(span) + 1) if span and clause[i:i + len(span)] == span]


def said(name: str, turns: list[str]) -> bool:
    """Whether a name is a span of whole words of a turn."""
    return any(_places(_words(name), _words(turn)) for turn in turns)


def cut_short(slots: dict[str, object], turns: list[str]) -> bool:
    """Whether a part of a name was left out, or two were said as one."""
    spans = {k: _words(v) for k, v in slots.items() if isinstance(v, str)}
    clauses = [_words(c) for turn in turns for c in _STOP.split(turn)]

    def strange(slot: str, clause: list[str], at: int) -> bool:
        if not 0 <= at < len(clause) or is_beside(clause[at]):
            return False
        return not any(p <= at < p + len(s) for k, s in spans.items() if k != slot for p in _places(s, clause))

    for slot in NAMING:
        found = [(c, p) for c in clauses for p in _places(spans.get(slot, []), c)]
        if found and all(strange(slot, c, p - 1) or strange(slot, c, p + len(spans[slot])) for c, p in found):
            return True
    named = [spans[k] for k in PLACING if k in spans]
    times = lambda span: sum(len(_places(span, c)) for c in clauses)
    return any(0 < times(span) < named.count(span) for span in named)
