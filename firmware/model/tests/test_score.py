"""The scoring rules."""

from __future__ import annotations

import json
import math
import unittest

from house import score

RECORD = {"messages": [{"role": "user", "content": "turn on the Kitchen lights"}], "expect": {"intent": "HassTurnOn", "slots": {"area": "Kitchen", "domain": "light"}}}


class Score(unittest.TestCase):
    def test_case_does_not_count(self) -> None:
        self.assertTrue(score.right(RECORD, '{"intent":"HassTurnOn","slots":{"area":"kitchen","domain":"light"}}\nOK, kitchen lights.'))

    def test_extra_slot_is_wrong(self) -> None:
        self.assertFalse(score.right(RECORD, '{"intent":"HassTurnOn","slots":{"area":"kitchen","domain":"light","state":"on"}}'))

    def test_domain_that_hassil_infers_is_allowed(self) -> None:
        record = {"messages": RECORD["messages"], "expect": {"intent": "HassTurnOn", "slots": {"name": "front door"}}, "domains": ["lock"]}
        self.assertTrue(score.right(record, '{"intent":"HassTurnOn","slots":{"name":"front door","domain":"lock"}}'))
        self.assertFalse(score.right(record, '{"intent":"HassTurnOn","slots":{"name":"front door","domain":"cover"}}'))

    def test_wrong_place(self) -> None:
        self.assertTrue(score.wrong_place(RECORD, '{"intent":"HassTurnOn","slots":{"area":"bedroom","domain":"light"}}'))
        self.assertTrue(score.wrong_place(RECORD, '{"intent":"HassTurnOn","slots":{"domain":"light"}}'))
        self.assertFalse(score.wrong_place(RECORD, "Which room?"))

    def test_withheld(self) -> None:
        def area(name: str, said: str) -> bool:
            return score.withheld({"messages": [{"role": "user", "content": said}]}, json.dumps({"intent": "HassTurnOn", "slots": {"area": name, "domain": "light"}}))

        self.assertTrue(area("bedroom", "turn on the Kitchen lights"))
        self.assertTrue(area("bathroom", "turn on the Kids bathroom lights"))
        self.assertTrue(area("kitchen", "turn on the kitchenette lights"))
        self.assertFalse(area("kids bathroom", "turn on the Kids bathroom lights"))
        self.assertFalse(area("kitchen", "turn on the Kitchen ligthts, Jarvis"))
        self.assertFalse(score.withheld({"messages": []}, "Which room?"))

    def test_what_the_model_is_not_sure_of_is_withheld(self) -> None:
        record = {"messages": [{"role": "user", "content": "kitchen lights on"}]}
        line = json.dumps({"intent": "HassTurnOn", "slots": {"area": "kitchen", "domain": "light"}})
        self.assertFalse(score.withheld(record, line, math.log(score.PROBABILITY + 0.01)))
        self.assertTrue(score.withheld(record, line, math.log(score.PROBABILITY - 0.01)))

    def test_refusal_and_question(self) -> None:
        self.assertTrue(score.right({"refuse": True}, "Sorry, I don't know that."))
        self.assertFalse(score.right({"refuse": True}, "Paris."))
        self.assertTrue(score.right({"ask": True}, "Which room?"))


if __name__ == "__main__":
    unittest.main()
