"""What training left in its folder."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer

from . import tok
from .model import Config, Model


def load_checkpoint(folder: Path, average: bool = True) -> tuple[Model, Tokenizer]:
    """The averaged weights of the latest checkpoint."""
    state = torch.load(folder / "latest.pt", weights_only=False)
    model = Model(Config(**state["config"]))
    model.load_state_dict(state["average" if average else "model"])
    print("step", state["step"], "tokens", state["seen"])
    return model, tok.load(folder / "tokenizer.json")
