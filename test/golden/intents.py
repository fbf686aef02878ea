"""Writes intents.json: the intents' slots and slot combinations as Home Assistant has them.

    pip install home-assistant-intents==2026.10.27
    python test/golden/intents.py > test/golden/intents.json

Facts taken from the package's own intents.json; combinations of the speaker's area are marked
(`here`), and each has the domains that Home Assistant's sentences give it or its name's entity.
"""

import json
from importlib.metadata import version
from importlib.resources import files



def domains(combination):
    levels = combination.get("inferred_domains") or combination.get("name_domains") or {}
    return sorted({domain for level in levels.values() for domain in level})


table = json.loads(files("home_assistant_intents").joinpath("intents.json").read_text())
rows = {
    name: {
        "slots": {slot: bool(about.get("required")) for slot, about in (row.get("slots") or {}).items()},
        "combinations": [
            {"slots": sorted(c["slots"]), "here": bool(c.get("context_area")), "domains": domains(c)}
            for c in (row.get("slot_combinations") or {}).values()
        ],
    }
    for name, row in table.items()
}
lines = ",\n".join(f"    {json.dumps(n)}: {json.dumps(r)}" for n, r in sorted(rows.items()))
print(f'{{\n  "package": "home-assistant-intents {version("home-assistant-intents")}",\n  "intents": {{\n{lines}\n  }}\n}}')
