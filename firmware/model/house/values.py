"""Value makers: what may stand in a template's slots.

A maker returns pieces of text, some marked as the span that a slot copies, and the
slots whose values are not spans (numbers, colours, states).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Callable

from . import words as w
from .numbers import percent, say
from .split import value_held_out


@dataclass
class Piece:
    """Words of an utterance; `key` names the slot that copies them."""

    text: str
    key: str | None = None


@dataclass
class Fill:
    """What a slot becomes."""

    pieces: list[Piece]
    slots: dict[str, object] = field(default_factory=dict)


# Kinds that the words around them tell, so that no letter of the value needs to be known.
_COPIED = frozenset("area item timername city person bare media scene vacuum barelist".split())


def _misspelt(text: str, any_word: bool, rng: random.Random) -> str:
    """A known name in other letters: what is heard is copied, not what is remembered.

    Without `any_word` the last word stays, since it tells what the thing is.
    """
    words = text.split()
    # "Fairy lights" are known by their letters alone: in others they are the lights of a room.
    if words[-1] == "lights":
        return text
    places = [i for i, word in enumerate(words if any_word else words[:-1]) if len(word) > 3 and word.isalpha()]
    if not places:
        return text
    at = rng.choice(places)
    word, cut = words[at], rng.randrange(1, len(words[at]) - 1)
    middle = rng.choice(("", word[cut + 1] + word[cut], word[cut] * 2, rng.choice("abcdefghijklmnoprstuvwyz") + word[cut + 1]))
    words[at] = word[:cut] + middle + word[cut + (1 if len(middle) < 2 or middle == word[cut] * 2 else 2):]
    return " ".join(words)


def _pick(rng: random.Random, unseen: bool, makers: list[tuple[float, Callable[[], str]]], kind: str = "") -> str:
    weights = [m[0] for m in makers]
    text = ""
    for _ in range(400):
        text = rng.choices(makers, weights)[0][1]()
        if kind and rng.random() < 0.08:
            text = _misspelt(text, kind in _COPIED, rng)
        if value_held_out(text) == unseen:
            return text
    raise ValueError(f"no value found (last: {text!r})")


def _spread(rng: random.Random, nouns: list[str], known: list[str] | None = None) -> list[tuple[float, Callable[[], str]]]:
    """Names with a telling noun: known ones, adjective, thing, person's, room's, made up."""
    noun = lambda: rng.choice(nouns)
    return [
        (2 if known else 0.5 if known is None else 0, lambda: rng.choice(known or nouns)),
        (2, lambda: f"{rng.choice(w.ADJECTIVES)} {noun()}"),
        (1, lambda: f"{rng.choice(w.THINGS)} {noun()}"),
        (1, lambda: f"{rng.choice(w.PEOPLE)}'s {noun()}"),
        (0.6, lambda: f"{rng.choice(w.ADJECTIVES)} {rng.choice(w.ADJECTIVES)} {noun()}"),
        (3, lambda: f"{w.odd_words(rng)} {noun()}"),
        (0.5, lambda: f"{noun()} {say(rng.randint(1, 9), rng)}"),
    ]


def _with_room(rng: random.Random, nouns: list[str], known: list[str] | None = None) -> list[tuple[float, Callable[[], str]]]:
    return _spread(rng, nouns, known) + [(2, lambda: f"{rng.choice(w.ROOMS)} {rng.choice(nouns)}")]


def _light_name(rng: random.Random) -> list[tuple[float, Callable[[], str]]]:
    lamps = ["lamp", "lamp", "lamp", "lantern", "light strip", "led strip", "spotlight", "chandelier", "bulb"]
    return _spread(rng, w.LIGHT_NOUNS, w.LIGHT_NAMES) + [(1.5, lambda: f"{rng.choice(w.ROOMS)} {rng.choice(lamps)}")]


def _room(rng: random.Random) -> list[tuple[float, Callable[[], str]]]:
    return [
        (4, lambda: rng.choice(w.ROOMS)),
        (1, lambda: f"{rng.choice(w.PEOPLE)}'s {rng.choice(w.ROOM_HEADS)}"),
        (0.8, lambda: f"{w.odd_words(rng)} {rng.choice(w.ROOM_HEADS)}"),
        (0.6, lambda: f"{rng.choice(w.ADJECTIVES)} {rng.choice(w.ROOM_HEADS)}"),
        (4, lambda: w.odd_words(rng)),
    ]


def _marked_room(rng: random.Random, unseen: bool) -> list[tuple[float, Callable[[], str]]]:
    """Rooms that anyone recognises as rooms: listed, or ending in a word such as "room"."""
    makers = _room(rng)[:4]
    return makers[1:] if unseen else makers


def _bare(rng: random.Random) -> list[tuple[float, Callable[[], str]]]:
    return [(1, lambda: w.odd_words(rng))]


def _device(rng: random.Random) -> list[tuple[float, Callable[[], str]]]:
    return _with_room(rng, w.DEVICE_NOUNS) + _light_name(rng) + [(4, lambda: w.odd_words(rng))]


_MAKERS: dict[str, Callable[[random.Random], list[tuple[float, Callable[[], str]]]]] = {
    "device": _device,
    "appliance": lambda r: _with_room(r, w.DEVICE_NOUNS) + [(3, lambda: r.choice(w.DEVICE_NOUNS))],
    "light": _light_name,
    "anylight": lambda r: _light_name(r) + [(3, lambda: w.odd_words(r))],
    "cover": lambda r: _spread(r, w.COVER_NOUNS, w.BARE_COVERS),
    "placedcover": lambda r: _spread(r, w.COVER_NOUNS, []),
    "shutcover": lambda r: _spread(r, [n for n in w.COVER_NOUNS if not n.endswith(("door", "window")) or "garage" in n], w.BARE_COVERS),
    "valve": lambda r: _with_room(r, w.VALVE_NOUNS),
    "lock": lambda r: _with_room(r, w.LOCK_NOUNS, [n for n in w.LOCK_NOUNS if n not in ("door", "lock", "gate")]),
    "fan": lambda r: _spread(r, w.FAN_NOUNS, ["ceiling fan", "desk fan", "tower fan", "exhaust fan"]),
    "media": lambda r: _with_room(r, w.MEDIA_NOUNS) + [(2, lambda: r.choice(w.MEDIA_NOUNS)), (4, lambda: w.odd_words(r))],
    "player": lambda r: _with_room(r, w.MEDIA_NOUNS) + [(2, lambda: r.choice(w.MEDIA_NOUNS))],
    "climate": lambda r: _with_room(r, w.CLIMATE_NOUNS) + [(2, lambda: r.choice(w.CLIMATE_NOUNS))],
    "vacuum": lambda r: [(2, lambda: r.choice(w.VACUUM_NAMES)), (3, lambda: w.odd_words(r)), (1.2, lambda: f"{r.choice(w.ADJECTIVES)} robot")],
    "opensensor": lambda r: _with_room(r, w.SENSOR_OPEN),
    "busysensor": lambda r: _with_room(r, w.SENSOR_BUSY),
    "scene": lambda r: [(4, lambda: r.choice(w.SCENES)), (4, lambda: w.odd_words(r)), (1, lambda: f"{r.choice(w.THINGS)} {r.choice(['mode', 'time', 'evening', 'night'])}")],
    "item": lambda r: [(5, lambda: r.choice(w.ITEMS)), (2, lambda: w.odd_words(r)), (1, lambda: f"{w.odd_words(r)} {r.choice(w.ITEMS)}"), (0.7, lambda: f"{say(r.randint(2, 20), r)} {r.choice(w.ITEMS)}"), (0.7, lambda: f"{r.choice(w.ITEMS)} and {r.choice(w.ITEMS)}")],
    "list": lambda r: [(5, lambda: r.choice(w.LISTS)), (1, lambda: f"{w.odd_words(r)} list"), (1, lambda: f"{r.choice(w.PEOPLE)}'s list")],
    "barelist": lambda r: [(1, lambda: r.choice([x for x in w.LISTS if not x.endswith("list")])), (2, lambda: w.odd_words(r))],
    "person": lambda r: [(3, lambda: r.choice(w.PEOPLE)), (1, lambda: w.made_up_word(r))],
    "city": lambda r: [(1, lambda: r.choice("london paris berlin madrid rome vienna new york boston chicago lisbon oslo dublin munich tokyo sydney denver seattle".replace("new york", "new_york").split()).replace("_", " ")), (2, lambda: w.odd_words(r)), (0.5, lambda: "home"), (0.3, lambda: "forecast " + w.odd_words(r))],
    "timername": lambda r: [(3, lambda: r.choice(w.TIMER_NAMES)), (2, lambda: w.odd_words(r))],
    "floor": lambda r: [(6, lambda: r.choice(w.FLOORS)), (2, lambda: w.odd_words(r) + " floor"), (0.7, lambda: w.odd_words(r) + " level"), (1, lambda: f"{r.choice(w.ROOMS)} floor"), (0.5, lambda: f"{r.choice(w.ROOMS)} level")],
    "level": lambda r: [(1, lambda: r.choice(["upstairs", "downstairs"]))],
    "bare": _bare,
    "area": _room,
}

SPAN_OF = {"area": "area", "room": "area", "floor": "floor", "level": "floor", "item": "item"}


def span_value(kind: str, rng: random.Random, unseen: bool) -> str:
    """The text of a slot that is copied from the utterance."""
    if kind == "room":
        return _pick(rng, unseen, _marked_room(rng, unseen))
    return _pick(rng, unseen, _MAKERS[kind](rng), kind)


COLORS = """white red orange yellow green blue purple pink brown turquoise cyan magenta violet gold
lavender lime teal salmon coral crimson indigo olive navy maroon beige khaki plum tan
aqua silver gray black orchid tomato ivory azure chocolate fuchsia""".split()
KELVIN = {"candle light": 1900, "candlelight": 1900, "warm white": 2700, "cool white": 4000, "cold white": 4000, "daylight": 6500, "day light": 6500}
COVER_CLASSES = {"blind": "blind", "curtain": "curtain", "shutter": "shutter", "awning": "awning", "shade": "shade", "garage door": "garage", "gate": "gate", "door": "door", "window": "window", "drape": "curtain"}
FAN_MODES = {"auto": "auto", "automatic": "auto", "on": "on", "off": "off", "low": "low", "medium": "medium", "high": "high", "top": "top", "middle": "middle", "focus": "focus", "diffuse": "diffuse"}


STATES: dict[str, dict[str, str]] = {"onoff": {"on": "on", "off": "off"}, "open": {"open": "open", "closed": "closed", "shut": "closed", "opening": "opening", "closing": "closing"}, "lock": {"locked": "locked", "unlocked": "unlocked"}, "sensor": {"open": "on", "closed": "off", "shut": "off"}, "busy": {"occupied": "on", "detected": "on", "triggered": "on", "clear": "off", "empty": "off", "unoccupied": "off", "on": "on"}}
UNITS = "percent degrees degree celsius fahrenheit kelvin k f c hour hours minute minutes second seconds h hr hrs m min mins s sec secs".split()

_SHORT = {"hour": ["h", " h", " hr", " hrs", " hour"], "minute": ["m", " min", " mins", "min", " minute"], "second": ["s", " sec", " secs", "sec", " second"]}


def _duration(rng: random.Random, prefix: str, parts: int | None = None, before: bool = False) -> Fill:
    """A length of time as spoken, with its hours, minutes and seconds.

    `before`: as it stands before a noun ("a 5 minute timer", "a two-hour timer").
    """
    short, dash = rng.random() < 0.12, rng.random() < (0.3 if before else 0.1)

    def unit(n: int, u: str) -> str:
        if short:
            return f"{n}{rng.choice(_SHORT[u])}"
        if before:
            return f"{say(n, rng)}{'-' if dash else ' '}{u}{'s' if rng.random() < 0.15 else ''}"
        return f"{say(n, rng)}{'-' if dash else ' '}{u}{'' if n == 1 and rng.random() < 0.95 else 's'}"
    h, m, s = rng.choice((rng.randint(1, 12), rng.randint(1, 100))), rng.choice((rng.randint(1, 100), 5 * rng.randint(1, 12))), rng.choice((rng.randint(1, 100), 15, 30, 45))
    roll = rng.random()
    named = lambda **v: {prefix + k: x for k, x in v.items() if x}
    if roll < 0.06:
        text, value = rng.choice((("half an hour", named(minutes=30)), ("an hour", named(hours=1)), ("a minute", named(minutes=1)), ("a quarter of an hour", named(minutes=15)), ("an hour and a half", named(hours=1, minutes=30)), ("a minute and a half", named(minutes=1, seconds=30)), ("half a minute", named(seconds=30)), ("a half hour", named(minutes=30))))
        return Fill([Piece(text)], value)
    if roll < 0.16 and parts != 1:
        n = rng.randint(1, 30)
        half = rng.choice(("and a half", "and a half", "and one half", "and 1/2"))
        if rng.random() < 0.5:
            return Fill([Piece(f"{say(n, rng)} {half} hours" if rng.random() < 0.7 else f"{unit(n, 'hour')} {half}")], named(hours=n, minutes=30))
        return Fill([Piece(f"{say(n, rng)} {half} minutes" if rng.random() < 0.7 else f"{unit(n, 'minute')} {half}")], named(minutes=n, seconds=30))
    if roll < 0.62 or parts == 1:
        key, n = rng.choice((("minute", m), ("minute", m), ("minute", m), ("hour", h), ("second", s)))
        return Fill([Piece(unit(n, key))], {f"{prefix}{key}s": n})
    joint = rng.choice((" and ", " ", " and ", ", "))
    if roll < 0.88:
        a, b = rng.choice((("hour", "minute"), ("minute", "second"), ("hour", "second")))
        values = {"hour": h, "minute": m, "second": s}
        return Fill([Piece(unit(values[a], a) + joint + unit(values[b], b))], {f"{prefix}{a}s": values[a], f"{prefix}{b}s": values[b]})
    first = rng.choice((" ", ", "))
    return Fill([Piece(unit(h, "hour") + first + unit(m, "minute") + joint + unit(s, "second"))], named(hours=h, minutes=m, seconds=s))


def _short_duration(rng: random.Random) -> Fill:
    n, u = rng.choice((rng.randint(1, 90), 5 * rng.randint(1, 12))), rng.choice(("minute", "minute", "minute", "hour", "hour", "second", "second"))
    said = f"{n}{rng.choice(_SHORT[u])}" if rng.random() < 0.15 else f"{say(n, rng)}{rng.choice((' ', ' ', '-'))}{u}{'s' if rng.random() < 0.1 else ''}"
    return Fill([Piece(said)], {f"start_{u}s": n})


def _percent(rng: random.Random, key: str, sign: int = 1) -> Fill:
    n = percent(rng)
    text = say(n, rng)
    roll = rng.random()
    text += "%" if roll < 0.3 and text.isdigit() else " percent" if roll < 0.75 else " %" if roll < 0.78 and text.isdigit() else ""
    return Fill([Piece(text)], {key: sign * n})


def _degrees(rng: random.Random) -> Fill:
    n = rng.choice((rng.randint(10, 30), rng.randint(50, 85), rng.randint(0, 100)))
    unit = rng.choice(("", " degrees", " degrees", " degree", "°", " °", " degrees celsius", " degrees fahrenheit", "°C", "° F", " celsius", " fahrenheit"))
    if rng.random() < 0.08:
        text = rng.choice((f"{n}.5", f"{say(n, rng)} and a half", f"{say(n, rng)} point five"))
        return Fill([Piece(text + (unit if unit[:1] == " " and unit[1:2] == "d" else ""))], {"temperature": n + 0.5})
    text = say(n, rng)
    if not text.isdigit() and "°" in unit:
        unit = " degrees"
    return Fill([Piece(text + unit)], {"temperature": n})


def _kelvin(rng: random.Random) -> Fill:
    if rng.random() < 0.5:
        name = rng.choice(list(KELVIN))
        return Fill([Piece(name)], {"temperature": KELVIN[name]})
    n = rng.choice((rng.randint(10, 100) * 100, rng.choice((2000, 2200, 2700, 3000, 3500, 4000, 5000, 6500))))
    return Fill([Piece(rng.choice((f"{n} kelvin", f"{say(n, rng)} kelvin", f"{n}K", f"{n}", f"{n} k")))], {"temperature": n})


def fill(kind: str, arg: str, rng: random.Random, unseen: bool) -> Fill:
    """Fills a template's slot."""
    if kind in SPAN_OF:
        return Fill([Piece(span_value(kind, rng, unseen), SPAN_OF[kind])])
    if kind == "command":
        return Fill([Piece("", "conversation_command")])
    if kind == "pct":
        return _percent(rng, arg)
    if kind == "down":
        return _percent(rng, arg, -1)
    if kind == "n":
        return Fill([Piece(say(rng.randint(1, 20), rng))])
    if kind == "color":
        name = rng.choice(COLORS)
        return Fill([Piece("grey" if name == "gray" and rng.random() < 0.4 else name)], {"color": name})
    if kind == "kelvin":
        return _kelvin(rng)
    if kind == "degrees":
        return _degrees(rng)
    if kind == "duration":
        return _duration(rng, arg)
    if kind == "lasting":
        return _duration(rng, arg, before=True)
    if kind == "startduration":
        return _duration(rng, "start_", 1)
    if kind == "sduration":
        return _short_duration(rng)
    if kind in ("classes", "class", "askclass"):
        name = rng.choice([n for n in COVER_CLASSES if kind != "askclass" or n not in w.BARE_COVERS])
        return Fill([Piece(name + ("s" if kind == "classes" else ""))], {"device_class": COVER_CLASSES[name]})
    if kind == "fanmode":
        name = rng.choice(list(FAN_MODES))
        return Fill([Piece(name)], {"fan_mode": FAN_MODES[name]})
    if kind == "state":
        options = STATES[arg]
        said = rng.choice(list(options))
        return Fill([Piece(said)], {"state": options[said]})
    return Fill([Piece(span_value(kind, rng, unseen), arg or "name")])
