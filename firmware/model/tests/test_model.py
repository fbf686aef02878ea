"""Tokenizer, network and the exported file."""

from __future__ import annotations

import json
import unittest
from pathlib import Path

import torch

from house import beside, heldout, score, tok
from house.batches import hardest
from house.model import Config, Model
from house.muon import orthogonal
from house.reference import Reference, load_gguf
from house.train import losses

HERE = Path(__file__).parent.parent


class File(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.ref = Reference(HERE / "house.gguf")
        cls.golden = json.loads((HERE / "eval" / "golden.json").read_text())

    def test_size(self) -> None:
        self.assertLessEqual((HERE / "house.gguf").stat().st_size, 6_000_000)
        self.assertGreaterEqual(self.ref.layers, 8)
        self.assertLess(self.ref.kv, self.ref.heads)

    def test_the_file_tells_which_words_stand_beside_names(self) -> None:
        self.assertEqual(self.ref.meta["mdi.beside_names"], beside.words())
        self.assertAlmostEqual(self.ref.meta["mdi.intent_probability"], score.PROBABILITY, places=6)

    def test_template_is_the_one_of_training(self) -> None:
        messages = [{"role": "user", "content": "hello"}]
        self.assertEqual(self.ref.render(messages), tok.render(messages, prompt=True))

    def test_a_name_is_cut_alike_after_a_space_and_a_quote(self) -> None:
        t = self.ref.tokenizer
        for name in ("zorblax", "scirktweil", "qxvelt"):
            self.assertEqual(t.encode(" " + name).tokens[1:], t.encode(name).tokens)

    def test_round_trip(self) -> None:
        text = '{"intent":"HassLightSet","slots":{"name":"Émile\'s lamp","brightness":45}}\nOK.'
        self.assertEqual(self.ref.tokenizer.decode(self.ref.tokenizer.encode(text).ids), text)

    def test_golden_answers_by_both_forward_passes(self) -> None:
        model, tokenizer = load_gguf(HERE / "house.gguf")
        self.assertEqual(self.golden["tokens"], sum(len(p["greedy"]) for p in self.golden["prompts"]))
        for p in self.golden["prompts"]:
            self.assertEqual(tokenizer.encode(p["text"]).ids, p["ids"])
            with torch.no_grad():
                best = model.logits(torch.tensor([p["ids"] + p["greedy"][:-1]]))[0, len(p["ids"]) - 1:].argmax(-1)
            self.assertEqual(best.tolist(), p["greedy"])
        p = self.golden["prompts"][0]
        self.assertEqual(self.ref.greedy(p["ids"])[0], p["greedy"])


class Network(unittest.TestCase):
    def test_cache_gives_what_the_whole_text_gives(self) -> None:
        torch.manual_seed(0)
        model = Model(Config(vocab=64, hidden=64, layers=2, heads=2, kv_heads=1, ff=64, context=64))
        for layer in model.layers:
            torch.nn.init.normal_(layer.o, std=0.1)
            torch.nn.init.normal_(layer.down, std=0.1)
        ids = torch.randint(0, 64, (3, 9))
        told: list[list[float]] = []
        rows = model.greedy(ids, stop=-1, limit=5, logprobs=told)
        for i, row in enumerate(rows):
            text = ids[i].tolist()
            for token, logprob in zip(row, told[i], strict=True):
                last = model.logits(torch.tensor([text]))[0, -1].detach().log_softmax(-1)
                self.assertEqual(int(last.argmax()), token)
                self.assertAlmostEqual(float(last[token]), logprob, places=4)
                text.append(token)

    def test_only_what_is_not_known_is_learned_and_the_losses_are_each_rows_own(self) -> None:
        torch.manual_seed(0)
        model = Model(Config(vocab=50, hidden=64, layers=2, heads=2, kv_heads=1, ff=64))
        rows = [([1 + i, 2, 3 + i, 4] + [5] * i, [0, 0, 1, 1] + [1] * i) for i in range(7)]
        told = losses(model.hidden, model.embed, rows, 12)
        for (ids, mine), loss in zip(rows, told):
            logits = model.logits(torch.tensor([ids]))[0, :-1].log_softmax(-1)
            own = -sum(float(logits[t - 1, ids[t]]) for t in range(1, len(ids)) if mine[t])
            self.assertAlmostEqual(loss, own, places=3)
        self.assertEqual(hardest(rows, [0.0, 5.0, 0.1, 3.0, 0.0, 0.01, 4.0], 0.5), [rows[1], rows[6], rows[3]])
        self.assertEqual(hardest(rows, [0.0] * 6 + [1.0], 0.5), [rows[6]])

    def test_one_pass_finds_the_greedy_answers_that_are_right(self) -> None:
        torch.manual_seed(0)
        model = Model(Config(vocab=64, hidden=64, layers=2, heads=2, kv_heads=1, ff=64, context=64))
        for layer in model.layers:
            torch.nn.init.normal_(layer.o, std=0.1)
        rows = []
        for i in range(4):
            asked = torch.randint(0, 64, (1, 5 + i))
            said = model.greedy(asked, stop=-1, limit=6)[0]
            # One token of the second is another.
            said[3] = (said[3] + 1) % 64 if i == 1 else said[3]
            rows.append((asked[0].tolist() + said, [0] * asked.shape[1] + [1] * len(said)))
        self.assertEqual(heldout.right(model.hidden, model.embed, rows, width=2), 0.75)

    def test_held_out_rows_are_the_last_answers_only(self) -> None:
        _, tokenizer = load_gguf(HERE / "house.gguf")
        for ids, mine in heldout.rows_of(tokenizer, HERE / "eval" / "heldout.jsonl", 50):
            first = mine.index(1)
            self.assertEqual(set(mine[first:-1]), {1})
            self.assertTrue(tokenizer.decode(ids[:first]).rstrip().endswith("assistant"))

    def test_orthogonal(self) -> None:
        made = orthogonal(torch.randn(2, 32, 64))
        values = torch.linalg.svdvals(made)
        self.assertTrue(bool((values > 0.6).all() and (values < 1.3).all()))


if __name__ == "__main__":
    unittest.main()
