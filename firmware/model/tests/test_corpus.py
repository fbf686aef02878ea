"""The generator: spans, slots, and the wall between training and tests."""

from __future__ import annotations

import json
import random
import unittest
from itertools import islice
from pathlib import Path
from unittest import mock

from house import corpus, evalsets, grammar, slips, split, words
from house.reply import ORDER, SILENT, ordered, reply
from house.template import expand, parse, skeleton
from house.values import Piece

EVAL = Path(__file__).parent.parent / "eval"


class Grammar(unittest.TestCase):
    def test_every_template_parses(self) -> None:
        for rule in grammar.RULES:
            for template in rule.templates:
                parse(template)

    def test_every_rule_gives_utterances_whose_spans_are_in_the_text(self) -> None:
        rng = random.Random(1)
        for rule in grammar.RULES:
            for _ in range(5):
                u = grammar.training_command(rng, rule)
                meaning = u.meaning()
                for key in ("name", "area", "floor", "item"):
                    if key in meaning:
                        self.assertIn(str(meaning[key]), u.text())
                for key in meaning:
                    self.assertIn(key, ORDER)

    def test_no_switching_of_a_domain_without_a_place(self) -> None:
        rng = random.Random(2)
        for _ in range(5000):
            u = grammar.training_command(rng)
            if u.intent in ("HassTurnOn", "HassTurnOff") and not u.ask:
                self.assertTrue({"name", "area", "floor"} & set(u.meaning()), u.text())

    def test_media_and_volume_without_a_place_ask_and_the_next_turn_completes_it(self) -> None:
        rng = random.Random(4)
        rules = [r for r in grammar.RULES if r.follow == "media"]
        self.assertEqual({r.intent for r in rules}, {"HassSetVolume", "HassSetVolumeRelative", "HassMediaPlayerMute", "HassMediaPlayerUnmute", "HassMediaPause", "HassMediaUnpause", "HassMediaNext", "HassMediaPrevious"})
        for rule in rules:
            for _ in range(50):
                text, intent, slots = corpus.complete(grammar.training_command(rng, rule), rng)
                self.assertEqual(intent, rule.intent)
                keys = {"name", "area", "floor"} & set(slots)
                self.assertEqual(len(keys), 1)
                if intent != "HassSetVolumeRelative":
                    self.assertNotIn("floor", keys)
                self.assertIn(str(slots[keys.pop()]), text)

    def test_same_seed_same_corpus(self) -> None:
        self.assertEqual(list(islice(corpus.conversations(5), 50)), list(islice(corpus.conversations(5), 50)))

    def test_optional_and_choice(self) -> None:
        rng = random.Random(3)
        seen = {skeleton(expand("a [b] (c|d)", rng)) for _ in range(200)}
        self.assertEqual(seen, {"a c", "a d", "a b c", "a b d"})


class OneMeaning(unittest.TestCase):
    def test_no_sentence_means_two_things(self) -> None:
        few = {name: getattr(words, name)[:2] for name in ("ROOMS", "PEOPLE", "ADJECTIVES", "THINGS", "ITEMS", "SCENES", "LISTS", "VACUUM_NAMES")}
        with mock.patch.multiple(words, odd_words=lambda r: r.choice(["zorb", "vax"]), made_up_word=lambda r: r.choice(["zorb", "vax"]), **few), mock.patch("house.values.value_held_out", lambda text: False):
            rng, said = random.Random(3), {}
            for _ in range(40000):
                u = grammar.one(rng, polite=False)
                meaning = "ask" if u.ask else json.dumps([u.intent, ordered(u.meaning())])
                self.assertEqual(said.setdefault(u.text(), meaning), meaning, u.text())


class Split(unittest.TestCase):
    def test_training_never_says_what_the_tests_say(self) -> None:
        held = set()
        for name in ("heldout", "slips", "commands", "smalltalk"):
            for line in (EVAL / f"{name}.jsonl").read_text().splitlines():
                turns = json.loads(line)["messages"]
                if len(turns) == 1:
                    held.add(turns[0]["content"])
        told = {m["content"] for c in islice(corpus.conversations(77), 20000) for m in c if m["role"] == "user"}
        self.assertFalse(told & held)

    def test_training_copies_no_held_out_value(self) -> None:
        rng = random.Random(4)
        for _ in range(3000):
            u = grammar.one(rng)
            for piece in u.pieces:
                if piece.key and piece.key != "conversation_command":
                    self.assertFalse(split.value_held_out(piece.text), piece.text)

    def test_sets_come_again_from_their_seed(self) -> None:
        first = evalsets.distinct(evalsets.commands(random.Random("9 x"), True), 20)
        self.assertEqual(first, evalsets.distinct(evalsets.commands(random.Random("9 x"), True), 20))


class Words(unittest.TestCase):
    def test_slips_keep_slots_in_the_text(self) -> None:
        rng = random.Random(6)
        for _ in range(500):
            u = grammar.one(rng)
            slips.slip(u.pieces, 3, rng)
            for key, value in u.meaning().items():
                if key in ("name", "area", "floor", "item"):
                    self.assertIn(str(value), u.text())

    def test_join_inside_a_name(self) -> None:
        u = grammar.Utterance([Piece("turn on the "), Piece("livingroom", "area"), Piece(" lights")], "HassTurnOn", {"domain": "light"})
        self.assertEqual(u.meaning(), {"domain": "light", "area": "livingroom"})

    def test_reply(self) -> None:
        self.assertEqual(reply("HassTurnOn", {"area": "kitchen", "domain": "light"}), "OK, kitchen lights.")
        self.assertEqual(reply("HassNevermind", {}), "OK.")
        for intent in SILENT:
            self.assertEqual(reply(intent, {}), "")
        self.assertEqual(list(ordered({"domain": "light", "area": "x"})), ["area", "domain"])


if __name__ == "__main__":
    unittest.main()
