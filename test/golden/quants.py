"""Makes quants.json: SHA-256 of what the library gguf dequantizes from blocks that a test
can make again. Needs gguf and numpy."""

import hashlib
import json
import pathlib
import zlib

import gguf
import numpy as np

BLOCKS = 64
# Where blocks have binary16 numbers; their exponents are kept small enough to be finite.
HALVES = {"Q2_K": [80, 82], "Q3_K": [108], "Q6_K": [208], "Q4_K": [0, 2], "Q5_K": [0, 2],
          "Q4_1": [0, 2], "Q5_1": [0, 2]}
NAMES = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL".split()


def blocks(name: str, size: int) -> np.ndarray:
    """Upper bytes of a linear congruential generator."""
    state = zlib.crc32(name.encode())
    out = np.zeros(BLOCKS * size, dtype=np.uint8)
    for i in range(len(out)):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = state >> 24
    out = out.reshape(BLOCKS, size)
    for at in HALVES.get(name, [0]):
        out[:, at + 1] &= 0xBB
    return out.reshape(1, -1)


def digest(name: str) -> str:
    kind = gguf.GGMLQuantizationType[name]
    data = blocks(name, gguf.GGML_QUANT_SIZES[kind][1])
    # Adding zero makes −0 into 0.
    values = gguf.quants.dequantize(data, kind).astype(np.float32) + np.float32(0)
    return hashlib.sha256(values.tobytes()).hexdigest()


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({name: digest(name) for name in NAMES}, indent=2) + "\n")
