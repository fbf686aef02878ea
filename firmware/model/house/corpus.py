"""Conversations for training: commands, follow-ups, small talk, refusals."""

from __future__ import annotations

import json
import random
from typing import Iterator

from . import beyond, talk
from .grammar import Utterance, style, training_command
from .reply import ASK, REFUSAL, ordered, reply
from .rules import Rule
from .split import phrase_held_out, utterance_held_out, value_held_out
from .template import Slot, expand, skeleton
from .values import Piece, span_value

Message = dict[str, str]
SYSTEMS = ["You are the voice of this house.", "You are a voice assistant for Home Assistant.", "You are a helpful assistant.", "You control a smart home. Answer briefly.", "Answer in plain text. Keep it simple and to the point.", "You are a voice assistant for Home Assistant. Answer questions about the world truthfully.", "Be brief."]
FOLLOW_NAMES = {"light": "light", "fan": "fan", "cover": "cover", "lock": "lock", "temp": "climate", "fanmode": "climate", "fanspeed": "fan", "media": "player"}
FLOORLESS = {"HassSetVolume", "HassMediaPlayerMute", "HassMediaPlayerUnmute", "HassMediaPause", "HassMediaUnpause", "HassMediaNext", "HassMediaPrevious"}
FOLLOW_WRAPS = ["{}", "{}", "the {}", "the {}", "in the {}", "{} please", "the {} please", "my {}", "in {}", "in the {} please", "uh the {}", "that would be the {}", "i mean the {}", "the one in the {}", "the {} of course", "for the {}", "inside the {}"]
FOLLOW_NAME_WRAPS = ["the {}", "the {}", "{}", "the {} please", "{} please", "my {}", "i mean the {}", "just the {}", "only the {}"]


def answer(intent: str, slots: dict[str, object]) -> str:
    """The text that an utterance deserves: the intent's line and the reply."""
    line = json.dumps({"intent": intent, "slots": ordered(slots)}, separators=(",", ":"), ensure_ascii=False)
    words = reply(intent, slots)
    return line + ("\n" + words if words else "")


def complete(first: Utterance, rng: random.Random, unseen: bool = False) -> tuple[str, str, dict[str, object]]:
    """The turn after "Which room?": its text, and the intent that both turns make."""
    slots = first.meaning()
    roll = rng.random()
    if roll < 0.75 or first.follow == "room" or (roll < 0.85 and first.intent in FLOORLESS):
        value, key, wrap = span_value("area", rng, unseen), "area", rng.choice(FOLLOW_WRAPS)
    elif roll < 0.85:
        value, key, wrap = span_value("floor", rng, unseen), "floor", rng.choice(["{}", "{}", "the {}", "on the {}", "{} please"])
    else:
        kind = FOLLOW_NAMES[first.follow]
        value, key, wrap = span_value(kind, rng, unseen), "name", rng.choice(FOLLOW_NAME_WRAPS)
        if first.follow in ("light", "fan"):
            slots.pop("domain", None)
        slots.pop("device_class", None)
    u = Utterance([Piece(wrap.split("{}")[0]), Piece(value, key), Piece(wrap.split("{}")[1])], first.intent, slots)
    style(u, rng)
    return u.text(), first.intent, ordered(u.meaning())


def _plain_style(text: str, rng: random.Random) -> str:
    u = Utterance([Piece(text)], "")
    style(u, rng)
    return u.text()


def small_talk(rng: random.Random, held: bool = False) -> tuple[str, str]:
    """A line of small talk and its answer, on one side of the split."""
    while True:
        template, reply_text = talk.talk(rng)
        parts = expand(template, rng)
        text = _plain_style(skeleton(parts), rng)
        if rng.random() < 0.15 and text[0].islower() and len(text.split()) > 2:
            text = rng.choice(["hey ", "please ", "ok ", "so ", "can you tell me ", "hey house "] if text.startswith(("what", "how", "which")) else ["hey ", "ok ", "so "]) + text
        plain = text.lower().strip(".?!")
        if held == (phrase_held_out(plain) or utterance_held_out(plain)):
            return text, reply_text


def outside_domain(rng: random.Random, held: bool = False) -> tuple[str, str]:
    """A question that must be refused, on one side of the split."""
    while True:
        parts = expand(rng.choice(beyond.TEMPLATES), rng)
        phrase, text, clean = skeleton(parts), "", True
        out_value = False
        for part in parts:
            if isinstance(part, Slot):
                value = beyond.value(part.kind, rng)
                out_value |= value_held_out(value)
                text += value
            else:
                text += part
        text = " ".join(text.split())
        if rng.random() < 0.15:
            text = rng.choice(["hey ", "please ", "ok ", "can you tell me ", "i want to know ", "so "]) + text
        if held == (phrase_held_out(phrase) or out_value):
            return _plain_style(text, rng), REFUSAL


def _follow_up(rng: random.Random, rule: Rule | None = None) -> list[Message]:
    while True:
        first = training_command(rng, rule)
        if first.ask:
            break
    out = [{"role": "user", "content": first.text()}, {"role": "assistant", "content": ASK}]
    roll = rng.random()
    if roll < 0.85:
        text, intent, slots = complete(first, rng)
        return [*out, {"role": "user", "content": text}, {"role": "assistant", "content": answer(intent, slots)}]
    return out + _turn(rng)


_ASKS: list[Rule] = []


def _turn(rng: random.Random) -> list[Message]:
    roll = rng.random()
    if roll < 0.68:
        u = training_command(rng)
        text, said = u.text(), ASK if u.ask else answer(u.intent, u.meaning())
    elif roll < 0.87:
        text, said = small_talk(rng)
    else:
        text, said = outside_domain(rng)
    return [{"role": "user", "content": text}, {"role": "assistant", "content": said}]


def conversation(rng: random.Random) -> list[Message]:
    """One training conversation of one to five turns."""
    from .grammar import RULES
    if not _ASKS:
        _ASKS.extend(r for r in RULES if r.ask)
    out: list[Message] = []
    if rng.random() < 0.12:
        out.append({"role": "system", "content": rng.choice(SYSTEMS)})
    roll = rng.random()
    turns = 1 if roll < 0.75 else rng.randint(2, 4)
    for _ in range(turns):
        out += _follow_up(rng, rng.choice(_ASKS)) if rng.random() < 0.07 else _turn(rng)
    return out


def conversations(seed: int) -> Iterator[list[Message]]:
    """Conversations without end, the same for the same seed."""
    rng = random.Random(seed)
    while True:
        yield conversation(rng)
