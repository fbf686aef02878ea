"""Makes families.json: what the library transformers computes for a tiny model of each
family, with weights that a test can make again. Needs transformers and torch."""

import json
import pathlib
import zlib

import torch
import transformers as t

IDS = [5, 9, 5, 30, 7, 8, 11, 12, 20, 25, 39, 3]
BASE = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, vocab_size=40, max_position_embeddings=256,
    bos_token_id=1, eos_token_id=2, pad_token_id=0,
)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
LONG = dict(type="longrope", short_factor=[1, 1.5, 2, 3], long_factor=[2, 3, 4, 5])
GEMMA = dict(head_dim=16, sliding_window=4, query_pre_attn_scalar=24)
CASES = {
    "llama, tied": ("Llama", dict(tie_word_embeddings=True)),
    "llama 3": ("Llama", dict(rope_theta=500000.0, head_dim=16, rope_scaling=LLAMA3)),
    "linear": ("Llama", dict(rope_scaling=dict(rope_type="linear", factor=4.0))),
    "mistral": ("Mistral", dict(sliding_window=5)),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True, rope_theta=1e6)),
    "qwen2, windows": ("Qwen2", dict(use_sliding_window=True, sliding_window=4,
                                     max_window_layers=1)),
    "qwen3": ("Qwen3", dict(head_dim=16)),
    "phi3": ("Phi3", dict(sliding_window=6)),
    "phi3, long": ("Phi3", dict(original_max_position_embeddings=64, rope_scaling=LONG)),
    "phi3, partial": ("Phi3", dict(partial_rotary_factor=0.5)),
    "gemma2": ("Gemma2", dict(**GEMMA, attn_logit_softcapping=2.0,
                              final_logit_softcapping=3.0)),
    "gemma3": ("Gemma3", dict(**GEMMA, num_hidden_layers=7,
                              rope_scaling=dict(rope_type="linear", factor=8.0))),
}


def noise(name: str, count: int) -> torch.Tensor:
    """Numbers (2b - 255) / 256 from the upper bytes of a linear congruential generator."""
    state = zlib.crc32(name.encode())
    values = []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values.append((2 * (state >> 24) - 255) / 256)
    return torch.tensor(values)


def fill(name: str, p: torch.Tensor, gemma: bool) -> None:
    v = noise(name, p.numel()).reshape(p.shape)
    if p.dim() == 1:
        p.copy_(v / 4 if "bias" in name or gemma else 1 + v / 4)
    else:
        p.copy_(v / 4)


def case(kind: str, change: dict) -> dict:
    config_class = getattr(t, "Gemma3TextConfig" if kind == "Gemma3" else f"{kind}Config")
    config = config_class(**{**BASE, **change})
    config._attn_implementation = "eager"
    model = getattr(t, f"{kind}ForCausalLM")(config).float().eval()
    with torch.no_grad():
        shapes = {}
        for name, p in model.named_parameters():
            fill(name, p, kind.startswith("Gemma"))
            shapes[name] = list(p.shape)
        logits = model(torch.tensor([IDS])).logits[0, -1]
    values = json.loads(config.to_json_string(use_diff=False))
    keep = {k: v for k, v in values.items() if not k.startswith("_") and k in KEYS}
    return {"config": keep, "shapes": shapes, "logits": [round(x, 6) for x in logits.tolist()]}


KEYS = """attn_logit_softcapping attention_bias final_logit_softcapping head_dim hidden_act
hidden_activation hidden_size intermediate_size layer_types max_position_embeddings
max_window_layers model_type num_attention_heads num_hidden_layers num_key_value_heads
original_max_position_embeddings partial_rotary_factor query_pre_attn_scalar rms_norm_eps
rope_parameters rope_scaling rope_theta sliding_window tie_word_embeddings use_sliding_window
vocab_size eos_token_id""".split()

if __name__ == "__main__":
    cases = {name: case(kind, change) for name, (kind, change) in CASES.items()}
    path = pathlib.Path(__file__).with_suffix(".json")
    parts = [f"{json.dumps(n)}: {json.dumps(c)}" for n, c in cases.items()]
    path.write_text('{"ids": %s, "cases": {\n%s\n}}\n' % (json.dumps(IDS), ",\n".join(parts)))
