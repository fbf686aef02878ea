"""Numbers as people say and speech recognisers write them."""

from __future__ import annotations

import random

_ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen""".split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()


def words(n: int) -> str:
    """0 to 9999 in English words, without hyphens."""
    if n < 0:
        return "minus " + words(-n)
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10] + (" " + _ONES[n % 10] if n % 10 else "")
    if n < 1000:
        rest = n % 100
        return _ONES[n // 100] + " hundred" + (" " + words(rest) if rest else "")
    rest = n % 1000
    return words(n // 1000) + " thousand" + (" " + words(rest) if rest else "")


def say(n: int, rng: random.Random) -> str:
    """Digits or words."""
    if rng.random() < 0.5:
        return str(n)
    text = words(n)
    if n < 100 and rng.random() < 0.3:
        text = text.replace(" ", "-") if n > 0 else text
    return text


def percent(rng: random.Random) -> int:
    """A percentage, round ones more often."""
    return rng.choice((rng.randint(0, 100), rng.randrange(0, 101, 5), rng.randrange(0, 101, 10)))
