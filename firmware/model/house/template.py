"""A small template language: ``(a|b)`` picks one, ``[a]`` may be left out,
``{slot}`` or ``{slot:argument}`` is filled by a value maker."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Union

Node = Union[str, "Choice", "Slot"]


@dataclass
class Slot:
    """A place that a value maker fills."""

    kind: str
    arg: str


@dataclass
class Choice:
    """Alternatives, each a list of nodes."""

    options: list[list[Node]] = field(default_factory=list)


_TOKEN = re.compile(r"[()\[\]|]|\{[^}]+\}|[^()\[\]|{}]+")


def _sequence(tokens: list[str], at: int) -> tuple[list[list[Node]], int]:
    options: list[list[Node]] = [[]]
    while at < len(tokens):
        token = tokens[at]
        if token in ")]":
            break
        at += 1
        if token == "|":
            options.append([])
        elif token in "([":
            inner, at = _sequence(tokens, at)
            if token == "[":
                inner.append([])
            at += 1
            options[-1].append(Choice(inner))
        elif token.startswith("{"):
            kind, _, arg = token[1:-1].partition(":")
            options[-1].append(Slot(kind, arg))
        else:
            options[-1].append(token)
    return options, at


@lru_cache(maxsize=None)
def parse(text: str) -> Choice:
    """Parses a template once; the result is shared."""
    options, at = _sequence(_TOKEN.findall(text), 0)
    if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
        raise ValueError(f"unbalanced template: {text}")
    return Choice(options)


def expand(text: str, rng: random.Random) -> list[Union[str, Slot]]:
    """Walks the template once at random; returns words and open slots."""
    out: list[Union[str, Slot]] = []

    def walk(node: Node) -> None:
        if isinstance(node, Choice):
            for child in rng.choice(node.options):
                walk(child)
        elif isinstance(node, Slot):
            out.append(node)
        elif out and isinstance(out[-1], str):
            out[-1] += node
        else:
            out.append(node)

    walk(parse(text))
    return out


def skeleton(parts: list[Union[str, Slot]]) -> str:
    """The phrasing alone: words with the slots' kinds in their places."""
    text = "".join(p if isinstance(p, str) else "{" + p.kind + "}" for p in parts)
    return " ".join(text.split())
