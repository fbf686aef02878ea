"""Training on the CPU: endless generated text, resumable, the decay started when wanted.

The loop reads ``control.json`` in its folder: ``{"decay_steps": 800}`` starts the final
linear decay to zero, after which training ends; ``{"until": unix_time, "since": unix_time}``
does the same by the clock (and may be changed meanwhile); ``{"stop": true}`` ends it at once.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import time
from pathlib import Path
from typing import Callable, Iterator

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import torch
import torch.nn.functional as F
from torch import Tensor

from . import heldout, tok
from .batches import Row, cut, hardest, pools, tensors
from .model import Config, Model
from .muon import Muon
from .reference import load_gguf


def save(path: Path, state: dict[str, object]) -> None:
    """Writes a checkpoint so that a half-written one is never seen."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


@torch.no_grad()
def losses(hidden: Callable[[Tensor], Tensor], embed: Tensor, rows: list[Row], tokens: int) -> list[float]:
    """For each row the nats of its whole answer: what the network does not know of it yet."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    out = [0.0] * len(rows)
    at = 0
    while at < len(order):
        size = max(1, tokens // len(rows[order[at]][0]))
        part = order[at:at + size]
        ids, weight = tensors([rows[i] for i in part])
        logits = hidden(ids[:, :-1])[weight > 0] @ embed.T
        each = torch.zeros_like(weight)
        each[weight > 0] = F.cross_entropy(logits.float(), ids[:, 1:][weight > 0], reduction="none")
        for i, loss in zip(part, each.sum(1).tolist()):
            out[i] = loss
        at += size
    return out


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=6)
    parser.add_argument("--ff", type=int, default=512)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="products in bfloat16 (twice as quick where the processor has it)")
    parser.add_argument("--compile", action="store_true", help="compile the network first (needs a C++ compiler; a fifth quicker)")
    parser.add_argument("--select", type=float, default=1.0, help="learn from at most this share of the text, the part that is not known yet (a look costs four tenths of learning)")
    parser.add_argument("--look", type=int, default=500, help="steps between two looks at held-out commands")
    parser.add_argument("--start", type=Path, help="weights of this GGUF file to go on from, where --out has no checkpoint yet")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = tok.load(args.out / "tokenizer.json")
    config = Config(vocab=tokenizer.get_vocab_size(), hidden=args.hidden, layers=args.layers, heads=args.heads, ff=args.ff)
    model = Model(config)
    matrices = [p for n, p in model.layers.named_parameters() if p.ndim == 2]
    others = [model.embed, model.norm, *(p for p in model.layers.parameters() if p.ndim == 1)]
    muon, adam = Muon(matrices, args.lr), torch.optim.AdamW(others, args.adam, betas=(0.9, 0.95), weight_decay=0.0)
    if args.start:
        model.load_state_dict(load_gguf(args.start)[0].state_dict())
    average = copy.deepcopy(model)
    step, seen, decay_from, decay_steps, run = 0, 0, -1, 0, 0
    latest = args.out / "latest.pt"
    if latest.exists():
        state = torch.load(latest, weights_only=False)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        muon.load_state_dict(state["muon"])
        adam.load_state_dict(state["adam"])
        step, seen, decay_from, decay_steps, run = state["step"], state["seen"], state["decay_from"], state["decay_steps"], state["run"] + 1
    print(sum(p.numel() for p in model.parameters()), "parameters; step", step, flush=True)
    began = saved = time.time()
    until, decay_began, wished = 0.0, 0.0, False
    total, fresh = 0.0, seen
    held = heldout.rows_of(tokenizer, Path(__file__).parent.parent / "eval" / "heldout.jsonl", 4)

    hidden = torch.compile(model.hidden, dynamic=True) if args.compile else model.hidden
    # A look needs no gradients: half the bytes, a fifth less time.
    glance = copy.deepcopy(model).bfloat16() if args.bf16 else model
    glanced = torch.compile(glance.hidden, dynamic=True) if args.compile else glance.hidden

    def checkpoint() -> None:
        save(latest, {"config": config.as_dict(), "model": model.state_dict(), "average": average.state_dict(), "muon": muon.state_dict(), "adam": adam.state_dict(), "step": step, "seen": seen, "decay_from": decay_from, "decay_steps": decay_steps, "run": run})

    def text() -> Iterator[tuple[Tensor, Tensor]]:
        # A resumed run draws new text: the generator is seeded by the run's number.
        rng = random.Random(args.seed + 7919 * run)
        for rows in pools(tokenizer, args.seed + 7919 * run):
            if args.select < 1:
                if glance is not model:
                    glance.load_state_dict(model.state_dict())
                rows = hardest(rows, losses(glanced, glance.embed, rows, args.tokens), args.select)
            yield from cut(rows, args.tokens, rng)

    for ids, weight in text():
        if step % 10 == 0 or not wished:
            wished = True
            control = args.out / "control.json"
            wish = json.loads(control.read_text()) if control.exists() else {}
            if "decay_steps" in wish and decay_from < 0:
                decay_from, decay_steps = step, int(wish["decay_steps"])
            if "until" in wish:
                until, decay_began = float(wish["until"]), float(wish.get("since", began))
            args.lr = float(wish.get("lr", args.lr))
            if wish.get("stop"):
                break
        scale = min(1.0, (step + 1) / 100)
        if decay_from >= 0:
            scale *= max(0.0, 1 - (step - decay_from) / decay_steps)
        if until:
            scale *= max(0.0, (until - time.time()) / (until - decay_began))
        for group in muon.param_groups:
            group["lr"] = args.lr * scale
        for group in adam.param_groups:
            group["lr"] = args.adam * scale
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            where = weight > 0
            logits = hidden(ids[:, :-1])[where] @ model.embed.T
        loss = F.cross_entropy(logits.float(), ids[:, 1:][where])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        step, seen, total = step + 1, seen + ids.numel(), total + loss.item()
        keep = min(0.998, step / (step + 20)) if decay_from < 0 and not until else 0.98
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        if step % 50 == 0:
            print(f"step {step} loss {total / 50:.4f} tokens {seen} {(seen - fresh) / (time.time() - began):.0f}/s scale {scale:.3f}", flush=True)
            total = 0.0
        if step % args.look == 0:
            share = heldout.right(average.hidden, average.embed, held)
            print(f"step {step} held-out right {100 * share:.1f} % of {len(held)}", flush=True)
        if time.time() - saved > 180:
            checkpoint()
            saved = time.time()
        if until and time.time() > until:
            break
        if decay_from >= 0 and step - decay_from >= decay_steps:
            break
    checkpoint()


if __name__ == "__main__":
    main()
