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


def batches(tokenizer: Tokenizer, seed: int, tokens: int, pool: int = 3000) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of ids [B, T] and weights [B, T-1] of the tokens to predict."""
    rng = random.Random(seed)
    while True:
        rows = sorted((encode(tokenizer, conversation(rng)) for _ in range(pool)), key=lambda r: len(r[0]))
        out: list[list[tuple[list[int], list[int]]]] = []
        at = 0
        while at < len(rows):
            size = 1
            while at + size < len(rows) and (size + 1) * len(rows[at + size][0]) <= tokens:
                size += 1
            out.append(rows[at:at + size])
            at += size
        rng.shuffle(out)
        for rows_now in out:
            length = max(len(r[0]) for r in rows_now)
            ids = torch.zeros(len(rows_now), length, dtype=torch.long)
            mine = torch.zeros(len(rows_now), length)
            for i, (a, b) in enumerate(rows_now):
                ids[i, :len(a)] = torch.tensor(a)
                mine[i, :len(b)] = torch.tensor(b, dtype=torch.float)
            yield ids, mine[:, 1:]
