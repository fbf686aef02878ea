"""An independent reading of the GGUF file: tokenizer, template and a plain numpy forward
pass in fp32 over the dequantized tensors. Also writes the golden answers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jinja2
import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import Tokenizer

from . import tok
from .checkpoint import load_checkpoint
from .export import NAMES
from .model import Config, Model


class Reference:
    """The model as the file holds it."""

    def __init__(self, path: Path) -> None:
        reader = GGUFReader(str(path))
        self.meta = {k: f.contents() for k, f in reader.fields.items() if not k.startswith("GGUF.")}
        self.w = {t.name: dequantize(t.data, t.tensor_type).astype(np.float32).reshape([int(n) for n in reversed(t.shape)]) for t in reader.tensors}
        m = self.meta
        self.layers, self.heads, self.kv = m["llama.block_count"], m["llama.attention.head_count"], m["llama.attention.head_count_kv"]
        self.dim = m["llama.rope.dimension_count"]
        self.eps, self.theta = m["llama.attention.layer_norm_rms_epsilon"], m["llama.rope.freq_base"]
        vocab = {t: i for i, t in enumerate(m["tokenizer.ggml.tokens"])}
        self.tokenizer: Tokenizer = tok.build(vocab, [tuple(x.split(" ")) for x in m["tokenizer.ggml.merges"]])
        self.template = jinja2.Environment().from_string(m["tokenizer.chat_template"])
        self.eos = m["tokenizer.ggml.eos_token_id"]

    def render(self, messages: list[dict[str, str]]) -> str:
        """The file's own template."""
        return self.template.render(messages=messages, add_generation_prompt=True, bos_token="", eos_token=tok.END)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(self.eps)) * self.w[name]

    def _rope(self, x: np.ndarray) -> np.ndarray:
        t, _, d = x.shape
        angle = np.arange(t)[:, None, None] * (self.theta ** (-np.arange(0, d, 2) / d))[None, None]
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        out = np.empty_like(x)
        out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
        out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
        return out

    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits of every position."""
        x, t, group = self.w["token_embd.weight"][ids], len(ids), self.heads // self.kv
        mask = np.triu(np.full((t, t), -np.inf, dtype=np.float32), 1)
        for i in range(self.layers):
            w = lambda name: self.w[f"blk.{i}.{name}.weight"]
            h = self._norm(x, f"blk.{i}.attn_norm.weight")
            q = self._rope((h @ w("attn_q").T).reshape(t, self.heads, self.dim))
            k = np.repeat(self._rope((h @ w("attn_k").T).reshape(t, self.kv, self.dim)), group, 1)
            v = np.repeat((h @ w("attn_v").T).reshape(t, self.kv, self.dim), group, 1)
            a = np.einsum("qhd,khd->hqk", q, k) / np.float32(np.sqrt(self.dim)) + mask
            a = np.exp(a - a.max(-1, keepdims=True))
            a /= a.sum(-1, keepdims=True)
            x = x + np.einsum("hqk,khd->qhd", a, v).reshape(t, -1) @ w("attn_output").T
            h = self._norm(x, f"blk.{i}.ffn_norm.weight")
            gate = h @ w("ffn_gate").T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ w("ffn_up").T)) @ w("ffn_down").T
        return self._norm(x, "output_norm.weight") @ self.w["token_embd.weight"].T

    def greedy(self, ids: list[int], limit: int = 120) -> tuple[list[int], list[list[list[float]]]]:
        """Greedy tokens (the end mark included) and the eight best of each step."""
        out: list[int] = []
        top: list[list[list[float]]] = []
        while len(out) < limit:
            row = self.logits(ids + out)[-1].astype(np.float64)
            row -= row.max() + np.log(np.exp(row - row.max()).sum())
            best = np.argsort(-row)[:8]
            top.append([[int(b), round(float(row[b]), 5)] for b in best])
            out.append(int(best[0]))
            if out[-1] == self.eos:
                break
        return out, top


def load_gguf(path: Path) -> tuple[Model, Tokenizer]:
    """The file's dequantized weights in the training network, for fast scoring."""
    ref = Reference(path)
    m = ref.meta
    model = Model(Config(vocab=len(m["tokenizer.ggml.tokens"]), hidden=m["llama.embedding_length"], layers=ref.layers, heads=ref.heads, kv_heads=ref.kv, head_dim=ref.dim, ff=m["llama.feed_forward_length"], context=m["llama.context_length"], theta=ref.theta, eps=ref.eps))
    with torch.no_grad():
        model.embed.copy_(torch.from_numpy(ref.w["token_embd.weight"]))
        model.norm.copy_(torch.from_numpy(ref.w["output_norm.weight"]))
        for i, layer in enumerate(model.layers):
            for ours, theirs in NAMES.items():
                getattr(layer, ours).copy_(torch.from_numpy(ref.w[f"blk.{i}.{theirs}.weight"]))
    return model, ref.tokenizer


TOKENS = 200
PROMPTS = ["turn on the kitchen lights", "Set the brightness of the reading lamp to 40 percent.", "set a pizza timer for twelve minutes", "lock the front door", "what time is it",
           "add oat milk to the shopping list", "what is seven plus five", "who wrote hamlet", "close the zorblax blinds", "tell me a joke", "set the temperature in the office to 21 degrees"]


def main() -> None:
    """Checks the file and writes the golden answers, 200 tokens in all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--golden", type=Path)
    parser.add_argument("--run", type=Path, help="compare with this training folder")
    args = parser.parse_args()
    ref = Reference(args.gguf)
    model, _ = load_gguf(args.gguf)
    trained = None
    if args.run:
        trained, _ = load_checkpoint(args.run)
    chats = [[{"role": "user", "content": p}] for p in PROMPTS]
    chats.insert(3, [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": "turn on the lights"}, {"role": "assistant", "content": "Which room?"}, {"role": "user", "content": "the hallway"}])
    out, total, worst = [], 0, 0.0
    for messages in chats:
        if total >= TOKENS:
            break
        text = ref.render(messages)
        assert text == tok.render(messages, prompt=True), "the template in the file differs from training's"
        ids = ref.tokenizer.encode(text).ids
        greedy, top = ref.greedy(ids, min(120, TOKENS - total))
        total += len(greedy)
        all_ids = torch.tensor([ids + greedy])
        with torch.no_grad():
            gap = np.abs(model.logits(all_ids)[0].numpy() - ref.logits(ids + greedy)).max()
            worst = max(worst, float(gap))
            if trained is not None:
                again = trained.greedy(torch.tensor([ids]), ref.eos)[0]
                kept = [g for g in greedy if g != ref.eos]
                print("same as before quantization" if again[:len(kept)] == kept else "DIFFERS after quantization", "|", ref.tokenizer.decode(greedy).replace("\n", " // "))
        out.append({"messages": messages, "text": text, "ids": ids, "greedy": greedy, "top": top})
    print(total, "greedy tokens; largest difference of a logit between the two forward passes", worst)
    if args.golden:
        args.golden.write_text(json.dumps({"model": args.gguf.name, "tokens": total, "prompts": out}, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
