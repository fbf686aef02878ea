"""Token batches without padding to speak of: pools of conversations, sorted by length."""

from __future__ import annotations

import random
from typing import Iterator

import torch
from tokenizers import Tokenizer
from torch import Tensor

from .corpus import Message, conversation
from .tok import END, START


def encode(tokenizer: Tokenizer, messages: list[Message]) -> tuple[list[int], list[int]]:
    """Token ids, and for each whether it is the assistant's (its end mark included)."""
    ids: list[int] = []
    mine: list[int] = []
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    for m in messages:
        head = [start, *tokenizer.encode(m["role"] + "\n").ids]
        body = [*tokenizer.encode(m["content"]).ids, end]
        tail = tokenizer.encode("\n").ids
        ids += head + body + tail
        own = int(m["role"] == "assistant")
        mine += [0] * len(head) + [own] * len(body) + [0] * len(tail)
    return ids, mine


Row = tuple[list[int], list[int]]


def cut(rows: list[Row], tokens: int, rng: random.Random) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of about `tokens` out of rows, like lengths together, in random order:
    ids [B, T] and weights [B, T-1] of the tokens to predict."""
    rows = sorted(rows, key=lambda r: len(r[0]))
    out: list[list[Row]] = []
    at = 0
    while at < len(rows):
        size = 1
        while at + size < len(rows) and (size + 1) * len(rows[at + size][0]) <= tokens:
            size += 1
        out.append(rows[at:at + size])
        at += size
    rng.shuffle(out)
    for part in out:
        yield tensors(part)


def tensors(rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Rows as ids [B, T] and weights [B, T-1]."""
    length = max(len(r[0]) for r in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    mine = torch.zeros(len(rows), length)
    for i, (a, b) in enumerate(rows):
        ids[i, :len(a)] = torch.tensor(a)
        mine[i, :len(b)] = torch.tensor(b, dtype=torch.float)
    return ids, mine[:, 1:]


def pools(tokenizer: Tokenizer, seed: int, pool: int = 3000) -> Iterator[list[Row]]:
    """Pools of new conversations without end."""
    rng = random.Random(seed)
    while True:
        yield [encode(tokenizer, conversation(rng)) for _ in range(pool)]


def hardest(rows: list[Row], losses: list[float], share: float, known: float = 0.02) -> list[Row]:
    """The rows that are not known yet, at most `share` of all, the worst first.

    `known`: nats of a whole answer below which it teaches nothing. A tenth is kept in any
    case, so that a pool never falls to nothing.
    """
    order = sorted(range(len(rows)), key=lambda i: -losses[i])
    unknown = sum(loss > known for loss in losses)
    return [rows[i] for i in order[:max(len(rows) // 10, min(unknown, int(share * len(rows))))]]
