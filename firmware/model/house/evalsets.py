"""Writes the held-out sets as JSON lines, by seed."""

from __future__ import annotations

import argparse
import json
import random
import re
from itertools import islice
from pathlib import Path
from typing import Iterator

from . import corpus, grammar
from .reply import ASK, ordered

Record = dict[str, object]
SPANS = ("name", "area", "floor", "item")


def _record(u: grammar.Utterance, unseen: bool, text: str | None = None) -> Record:
    out: Record = {"messages": [{"role": "user", "content": text or u.text()}]}
    if u.ask:
        out["ask"] = True
    else:
        out["expect"] = {"intent": u.intent, "slots": ordered(u.meaning())}
    out["seen"] = not unseen
    return out


def commands(rng: random.Random, unseen: bool, *, slip: bool = False, named: bool = False) -> Iterator[Record]:
    """Held-out commands: a held-out phrasing, held-out values, or a held-out utterance.

    With unseen names every room, name, floor and item is held out, and half of the
    phrasings too; with seen names half have a held-out phrasing, and the others are
    held-out utterances (training skips them by their checksum).
    """
    while True:
        held_phrase = rng.random() < 0.5
        try:
            u = grammar.spoken(rng, unseen=unseen, held_phrase=held_phrase, slip_count=rng.randint(1, 3) if slip else 0, unseen_slips=slip)
        except (grammar.Unlucky, ValueError):
            continue
        spans = any(p.key in SPANS for p in u.pieces)
        if (unseen and not spans) or (named and (not spans or u.ask)) or (slip and not u.slips):
            continue
        if not unseen and not held_phrase and not grammar.utterance_held_out(u.text()):
            continue
        if u.ask and rng.random() < 0.5:
            text, intent, slots = corpus.complete(u, rng, unseen)
            yield {"messages": [{"role": "user", "content": u.text()}, {"role": "assistant", "content": ASK}, {"role": "user", "content": text}], "expect": {"intent": intent, "slots": slots}, "seen": not unseen}
            continue
        yield _record(u, unseen)


def distinct(records: Iterator[Record], count: int, without: frozenset[str] | set[str] = frozenset()) -> list[Record]:
    """The first so many different ones that training does not say."""
    out: dict[str, Record] = {}
    for record in records:
        turns = record["messages"]
        if len(turns) == 1 and plain(turns[0]["content"]) in without:  # type: ignore[arg-type,index]
            continue
        out.setdefault(json.dumps(record["messages"]), record)
        if len(out) == count:
            return list(out.values())
    return list(out.values())


def told(conversations: int, seed: int) -> set[str]:
    """What training says in its first conversations: two rules may make one sentence."""
    return {plain(m["content"]) for c in islice(corpus.conversations(seed), conversations) for m in c if m["role"] == "user"}


def plain(text: str) -> str:
    """Lower case, words only."""
    return " ".join(re.findall(r"\w+", text.lower()))


def sets(seed: int) -> dict[str, list[Record]]:
    """All sets of our own grammar."""
    known = told(60000, 100)
    def both(name: str, count: int, **more: bool) -> list[Record]:
        return [r for unseen in (False, True) for r in distinct(commands(random.Random(f"{seed} {name} {unseen}"), unseen, **more), count // 2, known)]

    def talk() -> Iterator[Record]:
        rng = random.Random(f"{seed} talk")
        while True:
            text, answer = corpus.small_talk(rng, held=True)
            yield {"messages": [{"role": "user", "content": text}], "expectText": [answer]}

    def beyond() -> Iterator[Record]:
        rng = random.Random(f"{seed} beyond")
        while True:
            yield {"messages": [{"role": "user", "content": corpus.outside_domain(rng, held=True)[0]}], "refuse": True}

    return {"heldout": both("heldout", 1000), "slips": both("slips", 1000, slip=True), "commands": both("commands", 5000, named=True), "smalltalk": distinct(talk(), 300, known), "ood": distinct(beyond(), 300, known)}


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20261128)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, records in sets(args.seed).items():
        write(args.out / f"{name}.jsonl", records)


def write(path: Path, records: list[Record]) -> None:
    """One record a line."""
    path.write_text("".join(json.dumps(r, separators=(",", ":"), ensure_ascii=False) + "\n" for r in records))
    print(path.name, len(records), path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
