"""How many held-out answers are right, at the price of one pass.

A greedy answer is right to the letter exactly when, after each of its right beginnings, the
likeliest token is the right one: so all positions can be looked at together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .batches import Row, encode, tensors
from .corpus import Message, answer
from .reply import ASK


def rows_of(tokenizer: Tokenizer, path: Path, every: int) -> list[Row]:
    """Every so many-th record of a set of commands, with its right answer."""
    out: list[Row] = []
    for line in path.read_text().splitlines()[::every]:
        record = json.loads(line)
        expect = record.get("expect")
        said = answer(expect["intent"], expect["slots"]) if expect else ASK
        messages: list[Message] = [*record["messages"], {"role": "assistant", "content": said}]
        ids, mine = encode(tokenizer, messages)
        # Only the last turn is asked for.
        last = max(i for i, m in enumerate(mine) if not m and i + 1 < len(mine) and mine[i + 1])
        out.append((ids, [m if i > last else 0 for i, m in enumerate(mine)]))
    return out


@torch.no_grad()
def right(hidden: Callable[[Tensor], Tensor], embed: Tensor, rows: list[Row], width: int = 64) -> float:
    """The share of rows whose whole answer is the likeliest, token by token."""
    good = 0
    order = sorted(rows, key=lambda r: len(r[0]))
    for at in range(0, len(order), width):
        ids, weight = tensors(order[at:at + width])
        best = (hidden(ids[:, :-1]) @ embed.T).argmax(-1)
        wrong = (best != ids[:, 1:]) & (weight > 0)
        good += int((~wrong.any(1)).sum())
    return good / max(1, len(rows))
