"""Writes a checkpoint as GGUF: matrices Q8_0, norms F32, tokenizer and template inside.

The network turns neighbouring pairs in its rotary embedding, which is how GGUF files of
architecture ``llama`` store Q and K; so no rows need to change places here.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType

from . import beside, score, tok
from .checkpoint import load_checkpoint
from .model import Model

NAMES = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down", "norm1": "attn_norm", "norm2": "ffn_norm"}


def tensors(model: Model) -> dict[str, np.ndarray]:
    """The network's tensors by their GGUF names."""
    out = {"token_embd.weight": model.embed.detach().numpy(), "output_norm.weight": model.norm.detach().numpy()}
    for i, layer in enumerate(model.layers):
        for ours, theirs in NAMES.items():
            out[f"blk.{i}.{theirs}.weight"] = getattr(layer, ours).detach().numpy()
    return out


def write(model: Model, tokenizer_path: Path, path: Path) -> None:
    """Writes the file, whole or not at all."""
    c, part = model.c, path.with_suffix(".part")
    out = GGUFWriter(str(part), "llama")
    out.add_name("mdi-llm house")
    out.add_description("A house's commands as Home Assistant intents, small talk, and refusals. English.")
    out.add_license("MIT")
    out.add_author("the mdi-llm project")
    out.add_languages(["en"])
    out.add_size_label(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    out.add_quantization_version(gguf.GGML_QUANT_VERSION)
    out.add_context_length(c.context)
    out.add_embedding_length(c.hidden)
    out.add_block_count(c.layers)
    out.add_feed_forward_length(c.ff)
    out.add_head_count(c.heads)
    out.add_head_count_kv(c.kv_heads)
    out.add_rope_dimension_count(c.head_dim)
    out.add_rope_freq_base(c.theta)
    out.add_layer_norm_rms_eps(c.eps)
    out.add_vocab_size(c.vocab)
    state = json.loads(tokenizer_path.read_text())
    words = sorted(state["vocab"], key=state["vocab"].get)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("smollm")
    out.add_token_list(words)
    out.add_token_types([TokenType.CONTROL if w in tok.SPECIALS else TokenType.NORMAL for w in words])
    out.add_token_merges([" ".join(m) for m in state["merges"]])
    out.add_bos_token_id(state["vocab"][tok.START])
    out.add_eos_token_id(state["vocab"][tok.END])
    out.add_pad_token_id(state["vocab"][tok.PAD])
    out.add_add_bos_token(False)
    out.add_add_eos_token(False)
    out.add_chat_template(tok.CHAT_TEMPLATE)
    out.add_array("mdi.beside_names", beside.words())
    out.add_float32("mdi.intent_probability", score.PROBABILITY)
    for name, data in tensors(model).items():
        data = np.ascontiguousarray(data, dtype=np.float32)
        if data.ndim == 2:
            out.add_tensor(name, gguf.quants.quantize(data, GGMLQuantizationType.Q8_0), raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            out.add_tensor(name, data)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    os.replace(part, path)


def main() -> None:
    """Exports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model, _ = load_checkpoint(args.run)
    write(model, args.run / "tokenizer.json", args.out)
    print(args.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
