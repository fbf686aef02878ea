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
    "lamp": ["lamb", "lamps"], "scene": ["seen", "scenes"],
    "dining": ["dinning", "diner"], "all": ["ol", "awl", "or"], "my": ["mai", "me"], "our": ["are", "hour"], "from": ["form", "frum"], "for": ["fur", "fore"], "by": ["buy", "bye"],
    "at": ["add", "et"], "what": ["wot", "watt"], "how": ["hau", "who"], "much": ["match", "mush"], "left": ["lift", "lefd"], "long": ["lung", "lone"], "raise": ["rays", "race", "raised"],
    "lower": ["lover", "lowered", "loa"], "increase": ["in crease", "increased", "encrease"], "decrease": ["de crease", "degrees", "decreased"], "resume": ["resumed", "rezoom"], "skip": ["skipped", "scip"],
    "previous": ["previews", "previus"], "music": ["musik", "museum"], "sound": ["sounds", "sand"], "position": ["positions", "possition"], "heat": ["heed", "hit", "heats"], "make": ["mack", "makes"],
    "put": ["putt", "pot", "but"], "clean": ["clene", "cleaned", "lean"], "send": ["sent", "sand"], "return": ["returns", "retern"], "check": ["cheque", "jack", "checked"], "mark": ["marc", "marked"],
    "take": ["taking", "tick"], "activate": ["activated", "activat"], "run": ["ran", "ron"], "press": ["presse", "pressed"], "tell": ["dell", "tail"], "blind": ["blynd", "blinds"], "door": ["dor", "doors"],
    "window": ["windo", "windows"], "shutters": ["shatters", "shudders"], "shades": ["shapes", "shaids"], "gate": ["gait", "gates"], "mode": ["mowed", "modes"], "state": ["stayed", "states"], "status": ["stetus", "stattus"],
    "maximum": ["maximal", "max imum"], "minimum": ["mini mum", "minimal"], "half": ["halve", "haf"], "pull": ["pool", "pulled"], "roll": ["role", "rolled"], "video": ["vidio", "videos"], "movie": ["movies", "moovy"],
    "with": ["wif", "width"], "name": ["names", "named"], "named": ["name", "naimed"], "called": ["cold", "call"], "give": ["gif", "gave"], "need": ["kneed", "neat"], "want": ["wont", "wan"], "would": ["wood", "wud"],
    "forecast": ["four cast", "forecasts"], "brighten": ["brightened", "bright en"], "red": ["read", "rad"], "blue": ["blew", "bloo"], "green": ["greene", "grin"], "white": ["wight", "wide"], "warm": ["worm", "warn"], "time": ["thyme", "times"], "which": ["witch", "wich"], "are": ["our", "or", "r"], "up": ["op", "ub"], "down": ["done", "don"],
}
# Every keyboard and recogniser gives these, and the first turns an order round: never held out.
_COMMON = frozenset(["off>of", "to>too"])
# A slip in one of these may give another number, which no reader could mend.
_SAYS_A_NUMBER = set("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand first second third fourth hours minutes seconds hour minute".split())


def held_out(word: str, heard: str) -> bool:
    """True for a mishearing that training never sees."""
    return f"{word}>{heard}" not in _COMMON and value_held_out(f"{word}>{heard}")


def _edit(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    roll = rng.random()
    if roll < 0.4:
        return word[:at] + word[at + 1:]
    if roll < 0.7:
        return word[:at] + word[at + 1] + word[at] + word[at + 2:]
    return word[:at] + word[at] + word[at:]


_VOWELS = "aeiou"
# Some sounds are two letters, and some slips drop or add one at the end of a word.
_PAIRS = {"th": ("d", "f", "t"), "sh": ("ch", "s"), "ch": ("sh", "j"), "ck": ("g", "k"), "ee": ("i", "ea"), "ea": ("e", "ee"), "ou": ("au", "o"), "ai": ("e", "ay"), "oo": ("u", "o"), "er": ("a", "or"), "ph": ("f",), "ll": ("l",), "ss": ("s",), "wh": ("w",)}
_NEAR = {"l": "r", "r": "l", "w": "v", "y": "i", "d": "t", "t": "d", "b": "p", "p": "b", "g": "k", "k": "g", "v": "f", "f": "v", "s": "z", "z": "s", "m": "n", "n": "m", "c": "k"}


def _mishear(word: str, rng: random.Random) -> str:
    """One sound heard as a near one: a vowel as another, a voiced consonant as its unvoiced twin."""
    roll = rng.random()
    if roll < 0.2:
        return word[:-1] if rng.random() < 0.4 else word + rng.choice(("s", "ed", "e", "d"))
    if roll < 0.28:
        at = rng.randrange(2, len(word) - 1)
        return f"{word[:at]} {word[at:]}"
    pairs = [p for p in _PAIRS if p in word]
    if pairs and roll < 0.6:
        pair = rng.choice(pairs)
        return word.replace(pair, rng.choice(_PAIRS[pair]), 1)
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
        options = [s for s in _SOUND.get(word, []) if held_out(word, s) == unseen]
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
