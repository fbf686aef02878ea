"""The outside set: sentences of home-assistant-intents, sampled by seed with hassil's
parser, with random rooms and names of ours. Only tests read it; the generator and the
training never do."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import home_assistant_intents
from hassil.expression import Alternative, Expression, ListReference, Permutation, RuleReference, Sequence, TextChunk
from hassil.intents import IntentData, Intents, RangeSlotList, TextSlotList
from hassil.numbers import get_rbnf_engine
from hassil.util import normalize_whitespace

from .evalsets import Record, write
from .grammar import one
from .values import span_value

CLAIMED = """HassTurnOn HassTurnOff HassLightSet HassSetPosition HassGetState HassGetCurrentTime HassGetCurrentDate
HassNevermind HassStartTimer HassCancelTimer HassPauseTimer HassUnpauseTimer HassTimerStatus HassIncreaseTimer
HassDecreaseTimer HassCancelAllTimers HassSetVolume HassSetVolumeRelative HassMediaPlayerMute HassMediaPlayerUnmute
HassMediaPause HassMediaUnpause HassMediaNext HassMediaPrevious HassListAddItem HassListCompleteItem HassListRemoveItem
HassVacuumStart HassVacuumReturnToBase HassVacuumCleanArea HassGetWeather HassClimateSetTemperature
HassClimateGetTemperature HassClimateSetFanMode HassFanSetSpeed""".split()
ASKING = {"HassTurnOn", "HassTurnOff", "HassLightSet", "HassSetPosition", "HassClimateSetTemperature", "HassClimateSetFanMode", "HassFanSetSpeed", "HassVacuumCleanArea", "HassSetVolume", "HassSetVolumeRelative", "HassMediaPlayerMute", "HassMediaPlayerUnmute", "HassMediaPause", "HassMediaUnpause", "HassMediaNext", "HassMediaPrevious"}
KIND = {"light": "light", "switch": "appliance", "fan": "fan", "media_player": "media", "input_boolean": "bare", "climate": "climate", "cover": "shutcover", "valve": "valve", "lock": "lock", "scene": "scene", "script": "scene", "button": "bare", "input_button": "bare", "vacuum": "vacuum", "todo": "list", "weather": "city", "sensor": "appliance", "person": "person"}
WILD = {"todo_list_item": "item", "timer_name": "timername", "zone": "bare", "shopping_list_item": "item"}


class Sampler:
    """Draws sentences with the slots that hassil would give them."""

    def __init__(self, seed: int) -> None:
        data = Path(home_assistant_intents.__file__).parent / "data" / "en.json"
        self.intents = Intents.from_dict(json.loads(data.read_text()))
        self.rng = random.Random(seed)
        self.slots: dict[str, object] = {}
        self.unseen = False
        self.context: list[str] = []
        self.data: IntentData | None = None

    def _name(self, sentence_lists: set[str]) -> str:
        if self.context == ["binary_sensor"]:
            return span_value("busysensor" if "bs_occupancy_states" in sentence_lists else "opensensor", self.rng, self.unseen)
        return span_value(KIND[self.rng.choice(self.context)], self.rng, self.unseen)

    def _list(self, ref: ListReference) -> str:
        name, slot = ref.list_name, ref.slot_name
        if name in ("name", "area", "floor"):
            text = self._name(self.lists) if name == "name" else span_value(name, self.rng, self.unseen)
            self.slots[slot] = text
            return text
        if name == "timer_command":
            text = one(self.rng, self.unseen, polite=False).text()
            self.slots[slot] = text
            return text
        if name in WILD:
            text = span_value(WILD[name], self.rng, self.unseen)
            self.slots[slot] = text
            return text
        values = (self.data.slot_lists.get(name) if self.data and self.data.slot_lists else None) or self.intents.slot_lists[name]
        if isinstance(values, RangeSlotList):
            n = self.rng.choice(list(values.get_numbers()))
            n = int(n) if float(n).is_integer() else n
            self.slots[slot] = n * (getattr(values, "multiplier", None) or 1)
            if self.rng.random() < 0.7 or not float(n).is_integer():
                return str(n)
            return get_rbnf_engine("en").format_number(n).text
        if isinstance(values, TextSlotList):
            value = self.rng.choice(values.values)
            self.slots[slot] = value.value_out
            return self.walk(value.text_in)
        raise ValueError(f"no values for {name}")

    def walk(self, e: Expression) -> str:
        """One random text of an expression."""
        if isinstance(e, TextChunk):
            return e.original_text
        if isinstance(e, Alternative):
            return self.walk(self.rng.choice(e.items))
        if isinstance(e, Permutation):
            items = list(e.items)
            self.rng.shuffle(items)
            return " ".join(self.walk(i) for i in items)
        if isinstance(e, Sequence):
            return "".join(self.walk(i) for i in e.items)
        if isinstance(e, RuleReference):
            local = (self.data.expansion_rules or {}) if self.data else {}
            return self.walk((local.get(e.rule_name) or self.intents.expansion_rules[e.rule_name]).expression)
        if isinstance(e, ListReference):
            return (e.prefix or "") + self._list(e) + (e.suffix or "") if not isinstance(e.prefix, type(None)) else self._list(e)
        raise ValueError(str(type(e)))

    def record(self) -> Record:
        """One sentence: the intent first, then its block, then a sentence, all alike likely."""
        intent = self.rng.choice(CLAIMED)
        self.data = data = self.rng.choice(self.intents.intents[intent].data)
        self.unseen, self.slots = self.rng.random() < 0.5, {}
        context = data.requires_context or {}
        domains = context.get("domain") or []
        if isinstance(domains, dict):
            domains = domains.get("value", [])
        self.context = [domains] if isinstance(domains, str) else list(domains)
        sentence = self.rng.choice(list(data.sentences))
        self.lists = set(sentence.list_names(self.intents.expansion_rules))
        text = normalize_whitespace(self.walk(sentence.expression)).strip()
        slots = {**(data.slots or {}), **self.slots}
        out: Record = {"messages": [{"role": "user", "content": text}]}
        placed = any(k in slots for k in ("name", "area", "floor"))
        if intent in ASKING and not placed:
            out["ask"] = True
        else:
            out["expect"] = {"intent": intent, "slots": slots}
            if self.context and "domain" not in slots:
                out["domains"] = self.context
        if any(k in slots for k in ("name", "area", "floor")):
            out["seen"] = not self.unseen
        return out


def main() -> None:
    """Writes the set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--count", type=int, default=1000)
    args = parser.parse_args()
    sampler = Sampler(args.seed)
    made: dict[str, Record] = {}
    while len(made) < args.count:
        record = sampler.record()
        made.setdefault(json.dumps(record["messages"]).lower(), record)
    write(args.out / "outside.jsonl", list(made.values()))


if __name__ == "__main__":
    main()
