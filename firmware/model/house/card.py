"""Writes the measured figures into the model card, between its two marks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
COLUMNS = {"right": "right", "seen": "seen names", "unseen": "unseen names", "wrongPlace": "wrong place", "wrongPlaceSent": "wrong place, sent on by the gateway", "rightWithheld": "right, but withheld"}
TARGETS = {"heldout": "≥ 97 right", "slips": "≥ 90 right", "smalltalk": "≥ 90 right", "ood": "≥ 90 right", "outside": "≥ 85 right", "commands": "≤ 0.5 wrong place"}


def table(results: dict[str, dict[str, float]]) -> str:
    """The figures as a table."""
    lines = ["| set | " + " | ".join(COLUMNS.values()) + " | wanted |", "|" + "---|" * (len(COLUMNS) + 2)]
    for name, figures in results.items():
        if name in TARGETS:
            cells = [f"{figures[c]:.1f}" if c in figures else "–" for c in COLUMNS]
            lines.append(f"| {name} ({figures['count']}) | " + " | ".join(cells) + f" | {TARGETS[name]} |")
    return "\n".join(lines)


def main() -> None:
    """Rewrites the card."""
    here = Path(__file__).parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", type=Path, default=here / "README.md")
    parser.add_argument("--results", type=Path, default=here / "eval" / "results.json")
    args = parser.parse_args()
    text = args.card.read_text()
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    args.card.write_text(head + BEGIN + "\n" + table(json.loads(args.results.read_text())) + "\n" + END + tail)


if __name__ == "__main__":
    main()
