"""The rule that keeps held-out material out of training.

Every room, name, item and phrasing is put in or out by a checksum of its text, so
the split needs no state: what is held out today is held out for ever. Only what nearly
every house has (`words.EVERY_HOUSE`) is never held out, since users say it first.
"""

from __future__ import annotations

import re
from zlib import crc32

from .words import EVERY_HOUSE

VALUE_SHARE = 12
PHRASE_SHARE = 12
UTTERANCE_SHARE = 40
# Slots that copy the same kind of words count as one, so that two rules which can give
# the same sentence always fall on the same side.
_KEYS = {k: k for k in "item command pct down n color kelvin degrees duration startduration sduration classes class fanmode state".split()}
_KEYS.update(area="area", room="area", floor="floor", level="floor", startduration="duration", lasting="duration", down="pct", classes="class", askclass="class")
_KINDS = re.compile(r"\{(\w+)\}")


def _out(kind: str, text: str, share: int) -> bool:
    plain = " ".join(re.findall(r"[\w{}%]+", text.lower()))
    return crc32(f"{kind}:{plain}".encode()) % share == 0


def value_held_out(text: str) -> bool:
    """True for a room, name, floor or item that training never sees: none that nearly every house has."""
    return " ".join(text.lower().split()) not in EVERY_HOUSE and _out("value", text, VALUE_SHARE)


def phrase_held_out(skeleton: str) -> bool:
    """True for a phrasing (an utterance with its slots left open) kept for tests."""
    skeleton = _KINDS.sub(lambda m: "{" + _KEYS.get(m[1], "name") + "}", skeleton)
    return _out("phrase", skeleton, PHRASE_SHARE)


def utterance_held_out(text: str) -> bool:
    """True for a whole utterance kept for tests, whatever it is made of."""
    return _out("utterance", text, UTTERANCE_SHARE)
