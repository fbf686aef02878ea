"""The network: Llama's architecture, with rotary pairs interleaved as GGUF stores them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Config:
    """Sizes of the network."""

    vocab: int = 2048
    hidden: int = 192
    layers: int = 8
    heads: int = 6
    kv_heads: int = 2
    head_dim: int = 32
    ff: int = 512
    context: int = 1024
    theta: float = 10000.0
    eps: float = 1e-5

    def as_dict(self) -> dict[str, float]:
        """For checkpoints."""
        return asdict(self)


def rotary(config: Config, length: int) -> Tensor:
    """Unit complex numbers, one a position and pair."""
    freqs = config.theta ** (-torch.arange(0, config.head_dim, 2).float() / config.head_dim)
    angles = torch.arange(length).float()[:, None] * freqs[None]
    return torch.polar(torch.ones_like(angles), angles)


def _rotate(x: Tensor, cis: Tensor) -> Tensor:
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * cis[None, :, None]).flatten(-2).to(x.dtype)


def _attend(q: Tensor, k: Tensor, v: Tensor, group: int) -> Tensor:
    """Causal attention of short whole texts by plain products.

    Query heads of one key-value head are rows of one product. On a CPU the backward pass of
    the fused attention took a third of a training step; this takes a tenth.
    """
    b, heads, t, d = q.shape
    rows = q.reshape(b * heads // group, group * t, d)
    k, v = k.reshape(b * heads // group, t, d), v.reshape(b * heads // group, t, d)
    mask = torch.full((t, t), -1e9, dtype=q.dtype).triu(1).repeat(group, 1)
    scores = torch.baddbmm(mask[None], rows, k.mT, alpha=d**-0.5)
    return torch.bmm(scores.softmax(-1), v).reshape(b, heads, t, d)


class Layer(nn.Module):
    """Attention and feed-forward, each behind a norm."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        def weight(rows: int, cols: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, cols) * 0.5 * cols**-0.5)
        self.q, self.k, self.v = weight(c.heads * c.head_dim, c.hidden), weight(c.kv_heads * c.head_dim, c.hidden), weight(c.kv_heads * c.head_dim, c.hidden)
        self.o = nn.Parameter(torch.zeros(c.hidden, c.heads * c.head_dim))
        self.gate, self.up = weight(c.ff, c.hidden), weight(c.ff, c.hidden)
        self.down = nn.Parameter(torch.zeros(c.hidden, c.ff))
        self.norm1, self.norm2 = nn.Parameter(torch.ones(c.hidden)), nn.Parameter(torch.ones(c.hidden))

    def forward(self, x: Tensor, cis: Tensor, cache: list[Tensor] | None = None) -> Tensor:
        """One layer; `cache` holds earlier keys and values and is extended in place."""
        c = self.c
        b, t, _ = x.shape
        nq, nk = c.heads * c.head_dim, c.kv_heads * c.head_dim
        h = F.rms_norm(x, (c.hidden,), self.norm1, c.eps)
        q, k, v = F.linear(h, torch.cat([self.q, self.k, self.v])).split([nq, nk, nk], -1)
        q = _rotate(q.reshape(b, t, c.heads, c.head_dim), cis).transpose(1, 2)
        k = _rotate(k.reshape(b, t, c.kv_heads, c.head_dim), cis).transpose(1, 2)
        v = v.reshape(b, t, c.kv_heads, c.head_dim).transpose(1, 2)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        group = c.heads // c.kv_heads
        if cache is None:
            a = _attend(q, k, v, group)
        else:
            a = F.scaled_dot_product_attention(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1), is_causal=t > 1)
        x = x + F.linear(a.transpose(1, 2).reshape(b, t, nq), self.o)
        h = F.rms_norm(x, (c.hidden,), self.norm2, c.eps)
        gate, up = F.linear(h, torch.cat([self.gate, self.up])).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)


class Model(nn.Module):
    """Embedding, layers, norm; the head is the embedding."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.embed = nn.Parameter(torch.randn(c.vocab, c.hidden) * 0.02)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = nn.Parameter(torch.ones(c.hidden))
        self.register_buffer("cis", rotary(c, c.context), persistent=False)

    def hidden(self, ids: Tensor, caches: list[list[Tensor]] | None = None, at: int = 0) -> Tensor:
        """Normed states; multiply by the embedding for logits."""
        x = F.embedding(ids, self.embed)
        cis = self.cis[at:at + ids.shape[1]]
        for i, layer in enumerate(self.layers):
            x = layer(x, cis, caches[i] if caches is not None else None)
        return F.rms_norm(x, (self.c.hidden,), self.norm, self.c.eps)

    def logits(self, ids: Tensor) -> Tensor:
        """Logits of every position."""
        return self.hidden(ids) @ self.embed.T

    @torch.no_grad()
    def greedy(self, ids: Tensor, stop: int, limit: int = 120, logprobs: list[list[float]] | None = None) -> list[list[int]]:
        """Greedy answers to prompts of one length.

        `logprobs` is given, for each row, its tokens' natural-log probabilities, that of `stop` among them.
        """
        caches: list[list[Tensor]] = [[] for _ in self.layers]
        rows: list[list[int]] = [[] for _ in range(ids.shape[0])]
        alive = list(range(ids.shape[0]))
        told: list[list[float]] = [[] for _ in rows]
        if logprobs is not None:
            logprobs += told
        at, feed = 0, ids
        for _ in range(min(limit, self.c.context - ids.shape[1])):
            state = self.hidden(feed, caches, at)
            at += feed.shape[1]
            value, best = (state[:, -1] @ self.embed.T).log_softmax(-1).max(-1)
            for i, logprob in zip(alive, value.tolist()):
                told[i].append(logprob)
            keep = [i for i, token in enumerate(best.tolist()) if token != stop]
            for i in keep:
                rows[alive[i]].append(int(best[i]))
            if not keep:
                break
            if len(keep) < len(alive):
                index = torch.tensor(keep)
                caches = [[part[index] for part in pair] for pair in caches]
                best, alive = best[index], [alive[i] for i in keep]
            feed = best[:, None]
        return rows
