"""The scoring rules, one answer at a time (written out in words in the model card)."""

from __future__ import annotations

import json
import math
import re

from . import beside

REFUSALS = ("don't know", "do not know", "cannot", "can't")
# The least probability that the model must give its own first line; chosen on sets of another seed (778).
PROBABILITY = 0.6
PLACES = ("name", "area", "floor")


def parse(answer: str) -> dict[str, object] | None:
    """The intent of an answer's first line, if that is one."""
    try:
        value = json.loads(answer.split("\n", 1)[0])
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("slots"), dict) and isinstance(value.get("intent"), str) else None


def _plain(value: object) -> object:
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    return float(value) if isinstance(value, (int, float)) else value


def same_slots(got: dict[str, object], want: dict[str, object], domains: list[str] | None = None) -> bool:
    """Slots equal after case folding, with the three allowances for the outside set."""
    got = {k: _plain(v) for k, v in got.items()}
    want = {k: _plain(v) for k, v in want.items()}
    if domains is not None and "domain" not in want and got.get("domain") in domains:
        del got["domain"]
    if domains == ["todo"]:
        for slots in (got, want):
            slots["name"] = re.sub("( list)+$", "", str(slots.get("name", "")))
    return got == want


def right(record: dict[str, object], answer: str) -> bool:
    """Whether an answer is right."""
    if record.get("ask"):
        return answer.strip() == "Which room?"
    if record.get("refuse"):
        return parse(answer) is None and any(r in answer for r in REFUSALS)
    if "expectText" in record:
        return answer.strip() in record["expectText"]  # type: ignore[operator]
    got, want = parse(answer), record["expect"]
    return got is not None and got["intent"] == want["intent"] and same_slots(got["slots"], want["slots"], record.get("domains"))  # type: ignore[index,arg-type]


def withheld(record: dict[str, object], answer: str, logprob: float = 0.0) -> bool:
    """Whether the gateway withholds an intent: the model must be sure of it, and each name have been said, and whole.

    `logprob`: natural log of the probability of the answer's first line.
    """
    got = parse(answer)
    if got is None:
        return False
    if logprob < math.log(PROBABILITY):
        return True
    turns = [m["content"] for m in record["messages"] if m["role"] == "user"][-2:]  # type: ignore[index,union-attr]
    names = [str(got["slots"][k]) for k in (*PLACES, "item") if k in got["slots"]]  # type: ignore[index,operator]
    return not all(beside.said(n, turns) for n in names) or beside.cut_short(got["slots"], turns)  # type: ignore[arg-type]


def wrong_place(record: dict[str, object], answer: str) -> bool:
    """Whether an intent was emitted whose name, area or floor is not the one meant."""
    got = parse(answer)
    if got is None:
        return False
    slots, want = got["slots"], record.get("expect", {"slots": {}})["slots"]  # type: ignore[index]
    return any(_plain(slots.get(k, "")) != _plain(want.get(k, "")) for k in PLACES)  # type: ignore[union-attr]
