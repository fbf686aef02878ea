"""Writes a JSGF grammar of a modest part of the commands, with real rooms and devices,
for a speech recogniser with a fixed dictionary; and sentences drawn from it."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

ROOMS = ["kitchen", "living room", "bedroom", "bathroom", "hallway", "office", "garage", "dining room"]
LAMPS = ["reading lamp", "desk lamp", "floor lamp", "bedside lamp", "night light", "ceiling light"]
DEVICES = ["heater", "radio", "television", "coffee machine", "kettle", "air conditioner"]
NUMBERS = ["ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

RULES: dict[str, list[str]] = {
    "room": ROOMS,
    "lamp": LAMPS,
    "device": DEVICES,
    "number": NUMBERS,
    "small": ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "fifteen", "twenty"],
    "color": ["red", "green", "blue", "yellow", "orange", "purple", "white"],
    "cover": ["blinds", "curtains", "shutters"],
    "door": ["front door", "back door", "garage door"],
    "item": ["milk", "bread", "eggs", "butter", "coffee", "apples"],
    "scene": ["movie night", "dinner", "party", "relax"],
    "degrees": ["eighteen", "nineteen", "twenty", "twenty one", "twenty two"],
    "switch": ["turn on the <thing>", "turn off the <thing>", "turn the <thing> on", "turn the <thing> off", "switch on the lights in the <room>", "switch off the lights in the <room>"],
    "thing": ["<room> lights", "<lamp>", "<device>"],
    "light": ["set the <room> lights to <number> percent", "dim the <lamp> to <number> percent", "set the <lamp> to <color>", "turn the <room> lights <color>", "set the brightness of the <lamp> to <number> percent"],
    "move": ["open the <room> <cover>", "close the <room> <cover>", "open the <cover> in the <room>", "close the <cover> in the <room>", "lock the <door>", "unlock the <door>"],
    "timer": ["set a timer for <small> minutes", "cancel the timer", "pause the timer", "how much time is left on the timer", "start a <small> minute timer"],
    "media": ["pause the music", "next song", "previous song", "set the volume to <number> percent", "turn the volume up", "turn the volume down", "mute the television"],
    "list": ["add <item> to the shopping list", "remove <item> from the shopping list"],
    "climate": ["set the temperature in the <room> to <degrees> degrees", "how warm is it in the <room>"],
    "other": ["what time is it", "what is the weather", "what day is it", "never mind", "start the vacuum", "send the vacuum home", "activate the <scene> scene", "are the lights on in the <room>", "is the <door> locked"],
    "follow": ["turn on the lights", "turn off the lights", "the <room>"],
    "command": ["<switch>", "<light>", "<move>", "<timer>", "<media>", "<list>", "<climate>", "<other>", "<follow>"],
}


def grammar() -> str:
    """The grammar as text."""
    lines = ["#JSGF V1.0;", "grammar house;", ""]
    for name, options in RULES.items():
        head = "public <command>" if name == "command" else f"<{name}>"
        body = " | ".join(options)
        lines.append(f"{head} = [please] ({body}) [please];" if name == "command" else f"{head} = {body};")
    return "\n".join(lines) + "\n"


def sentence(rng: random.Random, rule: str = "command") -> str:
    """One sentence of the grammar."""
    words = rng.choice(RULES[rule]).split()
    out = [sentence(rng, w[1:-1]) if w.startswith("<") else w for w in words]
    return " ".join(out)


def main() -> None:
    """Writes both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=50)
    args = parser.parse_args()
    (args.out / "grammar.jsgf").write_text(grammar())
    rng = random.Random(args.seed)
    made: dict[str, None] = {}
    while len(made) < args.count:
        made[sentence(rng)] = None
    (args.out / "sentences.txt").write_text("\n".join(made) + "\n")


if __name__ == "__main__":
    main()
