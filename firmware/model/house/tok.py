"""The tokenizer: byte-level BPE, single digits, trained so that a name is cut the same
way wherever it stands.

While merges are learned a space is a token of its own; afterwards a space is joined to
the commonest words that are not parts of names. So "zorblax" gives the same tokens after
a space as after a quotation mark, and copying it is a matter of repeating tokens.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from itertools import islice
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .corpus import Message, conversations

PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
SPECIALS = [PAD, START, END]
CHAT_TEMPLATE = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
# Words that may carry their space: frequent in commands, rare inside names.
SPACED = """the in to of on off at and is for my our all please can you set turn what are by from a it with be
percent degrees minutes hours seconds minute hour second brightness volume timer lights light temperature i how
lamp have that do does know put want would switch up down now me there down day color an speed this OK
list scene which many much is fan position thanks will open close""".split()


def render(messages: list[Message], prompt: bool = False) -> str:
    """The chat template, in Python."""
    text = "".join(f"{START}{m['role']}\n{m['content']}{END}\n" for m in messages)
    return text + (f"{START}assistant\n" if prompt else "")


def _byte_level() -> list[pre_tokenizers.PreTokenizer]:
    return [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]


def build(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """A tokenizer from its vocabulary and merges."""
    out = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    out.pre_tokenizer = pre_tokenizers.Sequence(_byte_level())
    out.decoder = decoders.ByteLevel()
    out.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    return out


def train(size: int, samples: int, seed: int) -> Tokenizer:
    """Learns merges on the corpus."""
    texts = [render(c).replace(START, "\n").replace(END, "\n") for c in islice(conversations(seed), samples)]
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.Sequence([*_byte_level(), pre_tokenizers.Split(Regex("Ġ"), "isolated")])
    spaced = [w for w in dict.fromkeys(SPACED)]
    trainer = trainers.BpeTrainer(vocab_size=size - len(spaced), special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    plain.train_from_iterator(texts, trainer)
    state = json.loads(plain.to_str())["model"]
    vocab, merges = state["vocab"], [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in state["merges"]]
    for word in spaced:
        if word in vocab and "Ġ" + word not in vocab:
            vocab["Ġ" + word] = len(vocab)
            merges.append(("Ġ", word))
    return build(vocab, merges)


def load(path: Path) -> Tokenizer:
    """Reads the tokenizer that training wrote."""
    state = json.loads(path.read_text())
    return build(state["vocab"], [tuple(m) for m in state["merges"]])


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Writes vocabulary and merges."""
    state = json.loads(tokenizer.to_str())["model"]
    merges = [m if isinstance(m, list) else m.split(" ") for m in state["merges"]]
    path.write_text(json.dumps({"vocab": state["vocab"], "merges": merges}, ensure_ascii=False))


def main() -> None:
    """Trains and writes the tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--samples", type=int, default=60000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tokenizer = train(args.size, args.samples, args.seed)
    save(tokenizer, args.out)
    lengths = Counter()
    for c in islice(conversations(args.seed + 1), 2000):
        lengths[len(tokenizer.encode(render(c)).ids)] += 1
    print(tokenizer.get_vocab_size(), "tokens; mean length", sum(k * v for k, v in lengths.items()) / 2000, "longest", max(lengths))


if __name__ == "__main__":
    main()
