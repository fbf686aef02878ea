"""Writes the corpus as text, and counts how many different utterances it holds."""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

from .corpus import conversations


def main() -> None:
    """Writes conversations as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200000, help="conversations")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--out", type=Path, help="JSON lines; without it only the count is printed")
    args = parser.parse_args()
    told: set[str] = set()
    file = args.out.open("w") if args.out else None
    for c in islice(conversations(args.seed), args.count):
        told.update(m["content"].lower() for m in c if m["role"] == "user")
        if file:
            file.write(json.dumps(c, ensure_ascii=False) + "\n")
    if file:
        file.close()
    print(args.count, "conversations,", len(told), "different utterances")


if __name__ == "__main__":
    main()
