"""The shape of a grammar rule."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Rule:
    """Templates that all mean one intent with the same constant slots.

    `polite` allows "please" and the like around it; `ask` names what a follow-up
    may complete: the answer is then "Which room?" and not an intent.
    """

    intent: str
    templates: list[str]
    slots: dict[str, object] = field(default_factory=dict)
    weight: float = 1.0
    polite: bool = True
    ask: bool = False
    follow: str = ""
