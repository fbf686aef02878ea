"""Scores a checkpoint or a GGUF file on the held-out sets, greedily and batched."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter, defaultdict
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import torch
from tokenizers import Tokenizer

from . import score, tok
from .checkpoint import load_checkpoint
from .model import Model

SETS = ("heldout", "slips", "smalltalk", "ood", "outside", "commands")


def first_line(tokenizer: Tokenizer, ids: list[int], logprobs: list[float]) -> float:
    """Natural log of the probability of an answer's first line, the token that ends it included."""
    end = next((i for i in range(len(ids)) if "\n" in tokenizer.decode([ids[i]])), len(ids))
    return sum(logprobs[:end + 1])


def answers(model: Model, tokenizer: Tokenizer, records: list[dict[str, object]], width: int = 256) -> tuple[list[str], list[float]]:
    """Greedy answers and `first_line` of each; prompts of one length go together, so nothing is padded."""
    by_length: dict[int, list[int]] = defaultdict(list)
    prompts = [tokenizer.encode(tok.render(r["messages"], prompt=True)).ids for r in records]  # type: ignore[arg-type]
    for i, p in enumerate(prompts):
        by_length[len(p)].append(i)
    stop, out, sure = tokenizer.token_to_id(tok.END), [""] * len(records), [0.0] * len(records)
    for rows in by_length.values():
        for at in range(0, len(rows), width):
            part = rows[at:at + width]
            logprobs: list[list[float]] = []
            told = model.greedy(torch.tensor([prompts[i] for i in part]), stop, logprobs=logprobs)
            for i, ids, each in zip(part, told, logprobs):
                out[i], sure[i] = tokenizer.decode(ids), first_line(tokenizer, ids, each)
    return out, sure


def report(name: str, records: list[dict[str, object]], said: list[str], sure: list[float]) -> dict[str, object]:
    """Figures of one set; `sure`: natural log of the probability of each first line."""
    good = [score.right(r, a) for r, a in zip(records, said)]
    share = lambda picked: round(100 * sum(picked) / max(1, len(picked)), 2)
    out: dict[str, object] = {"count": len(good), "right": share(good)}
    for label, value in (("seen", True), ("unseen", False)):
        part = [g for g, r in zip(good, records) if r.get("seen") is value]
        if part:
            out[label] = share(part)
    if name not in ("smalltalk", "ood"):
        out["wrongPlace"] = share([score.wrong_place(r, a) for r, a in zip(records, said)])
        held = [score.withheld(r, a, p) for r, a, p in zip(records, said, sure)]
        out["wrongPlaceSent"] = share([score.wrong_place(r, a) and not h for r, a, h in zip(records, said, held)])
        out["rightWithheld"] = share([g and h for g, h in zip(good, held)])
        for label, value in (("wrongPlaceSeen", True), ("wrongPlaceUnseen", False)):
            part = [score.wrong_place(r, a) for r, a in zip(records, said) if r.get("seen") is value]
            if part:
                out[label] = share(part)
    return out


def main() -> None:
    """Scores and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="training folder")
    parser.add_argument("--gguf", type=Path, help="exported file")
    parser.add_argument("--eval", type=Path, default=Path(__file__).parent.parent / "eval")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--limit", type=int, default=0, help="score every n-th so that about this many are scored")
    parser.add_argument("--misses", type=int, default=0, help="print so many wrong answers of each set")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--raw", action="store_true", help="the weights themselves, not their average")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.gguf:
        from .reference import load_gguf
        model, tokenizer = load_gguf(args.gguf)
    else:
        model, tokenizer = load_checkpoint(args.run, not args.raw)
    results: dict[str, object] = {}
    for name in args.sets.split(","):
        records = [json.loads(line) for line in (args.eval / f"{name}.jsonl").read_text().splitlines()]
        if args.limit:
            records = records[:: max(1, len(records) // args.limit)]
        said, sure = answers(model, tokenizer, records)
        results[name] = report(name, records, said, sure)
        print(name, json.dumps(results[name]), flush=True)
        if name in ("outside", "heldout"):
            total, bad = Counter(), Counter()
            for r, a in zip(records, said):
                key = str(r.get("expect", {"intent": "ask"})["intent"])  # type: ignore[index]
                total[key] += 1
                bad[key] += not score.right(r, a)
            print("  misses by intent:", ", ".join(f"{k} {n}/{total[k]}" for k, n in bad.most_common(14) if n))
        # Sentences of the outside set are never shown, so that nobody writes grammar after them.
        shown = 0
        for r, a in zip(records, said):
            if shown < args.misses and name != "outside" and not score.right(r, a):
                shown += 1
                print("   ", " | ".join(m["content"] for m in r["messages"]), "=>", a.replace("\n", " // "), "WANT", json.dumps(r.get("expect", r.get("expectText", r.get("ask", "refuse")))))  # type: ignore[index,union-attr]
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
