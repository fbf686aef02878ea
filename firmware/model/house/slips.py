"""Slips of speech recognition (and of fingers)."""

from __future__ import annotations

import random

from .split import value_held_out
from .values import Piece

_DROP = {"the", "a", "an", "my", "our", "please", "of", "all", "me"}
_FILL = ["uh", "um", "er", "uhm", "hmm", "like", "well", "so", "ah", "mm", "you know", "okay", "eh"]
_SOUND: dict[str, list[str]] = {
    "turn": ["tern", "churn", "turned", "torn"], "lights": ["lites", "light's", "likes", "lice"], "light": ["lite", "like"], "off": ["of", "offf", "up off"],
    "on": ["own", "an", "onn"], "the": ["da", "de", "a", "thee", "duh"], "in": ["inn", "and", "an", "n"], "set": ["said", "sat", "sets", "sit"],
    "close": ["clothes", "closed", "clos"], "open": ["opened", "oben", "opens"], "volume": ["volumes", "value", "volum"], "percent": ["per cent", "present", "percents"],
    "timer": ["timers", "tymer", "time are"], "switch": ["swich", "which", "switched"], "what's": ["whats", "what", "wots"], "is": ["his", "ist", "iz"],
    "brightness": ["bright ness", "brightnes", "rightness"], "degrees": ["degree", "decrees", "the grease"], "pause": ["paws", "pores"], "next": ["necks", "nex"],
    "mute": ["moot", "mewt"], "weather": ["whether", "wether"], "dim": ["din", "dimm", "tim"], "please": ["pleas", "plays", "pls"], "to": ["too", "tu", "ta"],
    "blinds": ["blind's", "blindes", "lines"], "lock": ["log", "locke"], "unlock": ["unlocked", "on lock"], "shut": ["shot", "shutt"], "list": ["lists", "lest"],
    "add": ["ad", "at", "and"], "remove": ["remoof", "removed"], "kelvin": ["calvin", "kelvins"], "stop": ["stopp", "top"], "vacuum": ["vacume", "vaccum", "vacuums"],
    "temperature": ["temperatur", "temprature", "temperatures"], "fan": ["fen", "van"], "speed": ["spede", "speeds"], "start": ["stard", "starts"], "minutes": ["minute", "minuets", "minits"],
    "hours": ["ours", "hour"], "seconds": ["second", "sekonds"], "set.": ["said"], "can": ["ken", "kan"], "you": ["u", "ya"], "cancel": ["cancels", "council"],
    "play": ["plays", "pley"], "curtains": ["curtain's", "certains"], "song": ["songs", "sung"], "track": ["truck", "tracks"], "color": ["colour", "collar"],
    "lamp": ["lamb", "lamps"], "scene": ["seen", "scenes"], "time": ["thyme", "times"], "which": ["witch", "wich"], "are": ["our", "or", "r"], "up": ["op", "ub"], "down": ["done", "don"],
}
# A slip in one of these may give another number, which no reader could mend.
_SAYS_A_NUMBER = set("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand first second third fourth hours minutes seconds hour minute".split())


def _edit(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    roll = rng.random()
    if roll < 0.4:
        return word[:at] + word[at + 1:]
    if roll < 0.7:
        return word[:at] + word[at + 1] + word[at] + word[at + 2:]
    return word[:at] + word[at] + word[at:]


_VOWELS = "aeiou"
_NEAR = {"d": "t", "t": "d", "b": "p", "p": "b", "g": "k", "k": "g", "v": "f", "f": "v", "s": "z", "z": "s", "m": "n", "n": "m", "c": "k"}


def _mishear(word: str, rng: random.Random) -> str:
    """One sound heard as a near one: a vowel as another, a voiced consonant as its unvoiced twin."""
    places = [i for i, c in enumerate(word) if c in _VOWELS or c in _NEAR]
    if not places:
        return word
    at = rng.choice(places)
    heard = _NEAR.get(word[at]) or rng.choice(_VOWELS)
    return word[:at] + heard + word[at + 1:]


def _one(pieces: list[Piece], rng: random.Random, unseen: bool) -> bool:
    open_at = [i for i, p in enumerate(pieces) if p.key is None and p.text.split()]
    roll = rng.random()
    if roll < 0.12:
        spans = [p for p in pieces if p.key in ("name", "area", "floor", "item") and " " in p.text.strip()]
        if spans:
            p = rng.choice(spans)
            words = p.text.split()
            at = rng.randrange(len(words) - 1)
            p.text = " ".join(words[:at] + [words[at] + words[at + 1]] + words[at + 2:])
            return True
    if not open_at:
        return False
    p = pieces[rng.choice(open_at)]
    lead, tail = p.text[:1] == " ", p.text[-1:] == " "
    words = p.text.split()
    at = rng.randrange(len(words))
    word = words[at].lower()
    if roll < 0.27:
        if word not in _DROP:
            return False
        del words[at]
    elif roll < 0.42:
        words.insert(at, rng.choice(_FILL))
    elif roll < 0.52:
        words.insert(at, words[at])
        if word.isdigit() or word in ("and", "half"):
            return False
    elif roll < 0.70 and not unseen and word.isalpha() and len(word) > 3 and word not in _SAYS_A_NUMBER and rng.random() < 0.5:
        # Many unlike ways to mishear one word teach to hear ways that training does not have.
        words[at] = _mishear(words[at], rng)
    elif roll < 0.88:
        options = [s for s in _SOUND.get(word, []) if value_held_out(f"{word}>{s}") == unseen]
        if not options:
            return False
        words[at] = rng.choice(options)
    else:
        if len(word) < 5 or not word.isalpha() or word in _SAYS_A_NUMBER:
            return False
        words[at] = _edit(words[at], rng)
    p.text = (" " if lead else "") + " ".join(words) + (" " if tail else "")
    return True


def slip(pieces: list[Piece], count: int, rng: random.Random, unseen: bool = False) -> int:
    """Makes up to `count` slips in place; returns how many were made.

    A slip inside a name joins two of its words; the slot's value then is what was
    heard, since values are copied.
    """
    done = 0
    for _ in range(count * 12):
        if done == count:
            break
        done += _one(pieces, rng, unseen and rng.random() < 0.5)
    return done
