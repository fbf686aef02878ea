"""All rules together, drawn by weight, and filled into utterances."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

from . import commands_media, commands_other, commands_set, commands_switch, slips
from .rules import Rule
from .split import phrase_held_out, utterance_held_out
from .template import Slot, expand, skeleton
from .values import Piece, fill

RULES: list[Rule] = [*commands_switch.RULES, *commands_set.RULES, *commands_media.RULES, *commands_other.RULES]
_CUM = list(itertools.accumulate(r.weight for r in RULES))
# What may be done later: any command, also one without a room, since the house knows where it was asked.
_INNER = [r for r in RULES if r.polite and not any("{command}" in t for t in r.templates)]
_INNER_CUM = list(itertools.accumulate(r.weight * (0.25 if r.intent.endswith(("Timer", "Timers")) else 1) for r in _INNER))

PREFIX = ["please ", "please ", "can you ", "could you ", "can you please ", "could you please ", "would you ", "hey ", "ok ", "i want you to ", "i'd like you to ", "go ahead and ", "hey house ", "now ", "would you mind to ", "would you please ", "just ", "i need you to ", "will you ", "let's ", "kindly "]
SUFFIX = [" please", " please", " please", " now", " for me", " thanks", " right now", " thank you", " would you", " will you", " immediately", " if you can"]


@dataclass
class Utterance:
    """What a person says, in pieces, and what it means."""

    pieces: list[Piece]
    intent: str
    slots: dict[str, object] = field(default_factory=dict)
    ask: bool = False
    follow: str = ""
    held_phrase: bool = False
    slips: int = 0

    def text(self) -> str:
        """The words as one line."""
        return " ".join("".join(p.text for p in self.pieces).split())

    def meaning(self) -> dict[str, object]:
        """All slots, those copied from the words included."""
        out = dict(self.slots)
        for piece in self.pieces:
            if piece.key:
                out[piece.key] = " ".join(piece.text.split())
        return out


class Unlucky(Exception):
    """The draw fell on the wrong side of the split; draw again."""


def fill_template(template: str, rng: random.Random, unseen: bool) -> tuple[list[Piece], dict[str, object], str]:
    """Expands and fills one template; returns pieces, slots and the phrasing."""
    parts = expand(template, rng)
    pieces: list[Piece] = []
    slots: dict[str, object] = {}
    for part in parts:
        if isinstance(part, str):
            pieces.append(Piece(part))
        elif isinstance(part, Slot):
            if part.kind == "command":
                inner = one(rng, unseen, rng.choices(_INNER, cum_weights=_INNER_CUM)[0], polite=False)
                pieces.append(Piece(inner.text(), "conversation_command"))
                continue
            filled = fill(part.kind, part.arg, rng, unseen)
            pieces += filled.pieces
            slots.update(filled.slots)
    return pieces, slots, skeleton(parts)


def one(rng: random.Random, unseen: bool = False, rule: Rule | None = None, polite: bool = True, held_phrase: bool = False) -> Utterance:
    """One command in plain words. Values come from one side of the split; so does the phrasing."""
    rule = rule or rng.choices(RULES, cum_weights=_CUM)[0]
    for _ in range(200):
        template = rng.choice(rule.templates)
        pieces, slots, phrase = fill_template(template, rng, unseen)
        if phrase_held_out(phrase) == held_phrase:
            break
    else:
        raise Unlucky(rule.intent)
    if polite and rule.polite and rng.random() < 0.3:
        if rng.random() < 0.65:
            pieces.insert(0, Piece(rng.choice(PREFIX)))
        else:
            pieces.append(Piece(rng.choice(SUFFIX)))
    return Utterance(pieces, rule.intent, {**rule.slots, **slots}, rule.ask, rule.follow, held_phrase)


def style(u: Utterance, rng: random.Random) -> None:
    """Writing style: most recognisers give bare words, some give capitals and stops."""
    roll = rng.random()
    if roll < 0.6:
        return
    first = next(p for p in u.pieces if p.text.strip())
    lead = len(first.text) - len(first.text.lstrip())
    first.text = first.text[:lead] + first.text[lead:lead + 1].upper() + first.text[lead + 1:]
    for piece in u.pieces:
        if piece.key in ("name", "area") and rng.random() < 0.12:
            piece.text = " ".join(word[:1].upper() + word[1:] for word in piece.text.split())
        elif piece.key is None:
            piece.text = f" {piece.text} ".replace(" i ", " I ").replace(" i'd ", " I'd ")[1:-1]
    question = first.text.strip().split()[0].lower() in ("is", "are", "what", "what's", "how", "which", "where", "who", "will", "when", "do", "can", "could", "would")
    if roll > 0.68:
        u.pieces.append(Piece("?" if question and rng.random() < 0.9 else rng.choice(("." , ".", ".", "!"))))


def spoken(rng: random.Random, *, unseen: bool = False, held_phrase: bool = False, rule: Rule | None = None, slip_count: int | None = None, unseen_slips: bool = False) -> Utterance:
    """A command as a recogniser would hand it over."""
    u = one(rng, unseen, rule, held_phrase=held_phrase)
    count = slip_count if slip_count is not None else (rng.randint(1, 3) if rng.random() < 0.38 else 0)
    if count:
        u.slips = slips.slip(u.pieces, count, rng, unseen_slips)
    style(u, rng)
    return u


def training_command(rng: random.Random, rule: Rule | None = None) -> Utterance:
    """A command that no test set may hold."""
    while True:
        try:
            u = spoken(rng, rule=rule)
        except Unlucky:
            continue
        if not utterance_held_out(u.text()):
            return u
