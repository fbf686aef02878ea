"""Grammar: switching, covers, valves, locks, scenes, scripts, buttons."""

from __future__ import annotations

from .rules import Rule

ON = "(turn on|switch on|turn on|put on|power on|power up|flip on)"
OFF = "(turn off|switch off|turn off|shut off|put off|power off|power down|kill|cut|flip off)"
IN = "(in|in|in|in|inside|of|at|within|throughout|across|around)"
# Where a sentence begins with the place.
FRONT = "(in|in|in|inside|at)"
THE = "[the|the|my|our]"
# Said for the room that one stands in: the words do not tell which, so they are asked back.
HERE = "(here|in here|in this room|in the room|over here|around here|in this area|right here|in this place)"
LIGHTS = "(lights|lights|lamps|lighting|light)"
ALL = "[all|all [of] the|every one of the]"

RULES: list[Rule] = []


def _add(intent: str, slots: dict[str, object], weight: float, *templates: str, **more: object) -> None:
    RULES.append(Rule(intent, list(templates), slots, weight, **more))  # type: ignore[arg-type]


for intent, verb, word in (("HassTurnOn", ON, "on"), ("HassTurnOff", OFF, "off")):
    split = f"(turn|switch|put|flip) {{}} {word}" if word == "on" else f"(turn|switch|shut|put) {{}} {word}"
    on_state = "(lit|lit up|illuminated|on|turned on|switched on)" if word == "on" else "(dark|off|turned off|switched off)"
    for domain, plural, single in (("light", LIGHTS, "(light|lights)"), ("fan", "(fans|fans|fan|ventilators)", "fan")):
        x, lots = {"domain": domain}, "(lights|lights|lamps|lighting)" if domain == "light" else "(fans|ventilators)"
        many = f"[all [of]] {THE} {{area}} (lights|lighting)" if domain == "light" else f"[all [of]] {THE} {{area}} fans"
        one = f"{THE} {{room}} {single}"
        inside = f"(the|all the|all|all of the|every|each|both|my|] {plural} {IN} {THE} {{area}}".replace("|]", "|)")
        _add(intent, x, 5,
             f"{verb} {many}", f"{verb} {one}", split.format(many), split.format(one),
             f"{{area}} lights {word}" if domain == "light" else f"{{area}} fans {word}",
             f"{{room}} {single} {word}", f"{verb} {inside}", split.format(inside),
             f"{FRONT} {THE} {{area}} {verb} [all] [the] {plural}", f"(make|get) {THE} {{area}} {lots} {word}",
             f"{plural} {word} {IN} {THE} {{area}}", f"{plural} {IN} {THE} {{area}} {word}",
             f"i (want|need|would like|'d like) {inside} {word}",
             f"i (want|need|would like) {THE} {{area}} {lots} [to be] (turned|switched|] {word}".replace("|]", "|)"),
             f"{THE} {{area}} {lots} (should be|must be|need to be|ought to be) {word}",
             f"{{area}} {lots} {word}", f"let's have {THE} {{area}} {lots} {word}")
        _add(intent, x, 2,
             f"{verb} [all] [of] [the] {plural} [that are] (on the|on|on|] {{floor}}".replace("|]", "|)"),
             f"{verb} {THE} {{floor}} {plural}", split.format(f"[all] [the] {{floor}} {plural}"),
             f"{{floor}} {plural} {word}", split.format(f"[all] the {plural} (on the|on the|on|throughout the|across the|] {{floor}}".replace("|]", "|)")),
             f"{verb} every {single} (on the|on the|throughout the|all over the|] {{floor}}".replace("|]", "|)"),
             f"on the {{floor}} {verb} [all] [the] {plural}", f"{plural} {word} (on the|on the|throughout the|all over the|] {{floor}}".replace("|]", "|)"),
             f"{verb} all [of] the {plural} on the {{floor}}")
        _add(intent, x, 0.9,
             f"{verb} [all] [the] {plural}", split.format(f"[all] [the] {plural}"), f"{plural} {word}", f"{verb} the {single}",
             f"{verb} [all] [of] the {plural} (here|in here|in this room|around here|in the room|over here)", split.format(f"the {plural}") + " [in here|here]",
             split.format(f"[all] the {plural}") + " (everywhere|in the whole house|at home|in every room)",
             f"{verb} (a|some) {plural}", f"{verb} (every|each) {single}", f"i want the {plural} {word}", f"{plural} {word} {HERE}", f"{verb} {plural} {HERE}", f"{verb} (this|that) {single}", f"{HERE} {verb} [all] [the] {plural}", ask=True, follow=domain)
    if word == "on":
        _add(intent, {"domain": "light"}, 0.8, f"(light up|illuminate|brighten up|lighten up|light) {THE} {{area}}", f"(make|let there be) light {IN} {THE} {{area}}", f"i need [some] light {IN} {THE} {{area}}", f"it is (too|so|very) dark {IN} {THE} {{area}}", "(light up|illuminate) the {floor}", f"make {THE} {{area}} {on_state}")
    else:
        _add(intent, {"domain": "light"}, 0.8, f"lights out {IN} {THE} {{area}}", f"(darken|black out) {THE} {{area}}", f"make {THE} {{area}} dark", f"(extinguish|douse) the {LIGHTS} {IN} {THE} {{area}}", f"no (more light|lights) {IN} {THE} {{area}}")
    _add(intent, {}, 7,
         f"{verb} {THE} {{device}}", split.format(f"{THE} {{device}}"), f"{{device}} {word}", f"{verb} {{device}}",
         f"i (want|would like|need) {THE} {{device}} [to be] [turned|switched] {word}", f"(make sure|see that) {THE} {{device}} is {word}",
         f"get {THE} {{device}} {'running' if word == 'on' else 'shut off'}", f"{THE} {{device}} (should|must) be {word}",
         f"{verb} {THE} {{light}}", split.format(f"{THE} {{light}}"), f"{verb} {THE} {{appliance}}", f"{verb} {THE} {{light}} light",
         f"{verb} the {{bare}}", split.format("{bare}"), f"{verb} the light[s] {{light}}", f"{verb} {THE} {{fan}}", split.format(f"{THE} {{fan}}"), f"{verb} the (switch|device) {{bare}}")
    _add(intent, {}, 1, *[f"{v} {THE} {{{k}}}" for v in (("start", "activate", "enable", "start up") if word == "on" else ("deactivate", "disable", "shut down")) for k in ("appliance", "light")],
         f"{'activate' if word == 'on' else 'deactivate'} {THE} {{appliance}} {IN} {THE} {{area}}")
    _add(intent, {"domain": "light"}, 0.5, *[f"{v} {x}" for v in (("activate", "enable") if word == "on" else ("deactivate", "disable")) for x in (f"{THE} {{area}} lights", f"the {LIGHTS} {IN} {THE} {{area}}")])
    _add(intent, {}, 3,
         f"{verb} {THE} {{appliance}} {IN} {THE} {{area}}", split.format(f"{THE} {{appliance}} {IN} {THE} {{area}}"),
         split.format(f"{THE} {{light}}") + f" {IN} {THE} {{area}}", f"{verb} {THE} {{light}} {IN} {THE} {{area}}",
         f"{FRONT} {THE} {{area}} {verb} {THE} {{device}}", f"{verb} {THE} {{device}} {IN} {THE} {{area}}", f"{{appliance}} {IN} {THE} {{area}} {word}",
         f"{verb} {THE} {{bare}} {IN} {THE} {{area}}", split.format("the {bare}") + f" {IN} {THE} {{area}}")
    _add(intent, {}, 1.5,
         f"{verb} {THE} {{device}} on the {{floor}}", f"{verb} {THE} {{device}} {{level}}", split.format(f"{THE} {{device}}") + " on the {floor}", split.format(f"{THE} {{device}}") + " {level}",
         f"{verb} {THE} {{appliance}} on the {{floor}}", split.format("the {light}") + " on the {floor}")

OPEN = "(open|open|open up|raise|lift|pull up|roll up|draw up|put up|unfold)"
CLOSE = "(close|close|shut|lower|pull down|roll down|put down|draw|bring down|drop)"
for intent, verb, simple, done in (("HassTurnOn", OPEN, "open", "(open|opened|up|raised)"), ("HassTurnOff", CLOSE, "(close|shut)", "(closed|shut|down|lowered)")):
    _add(intent, {"domain": "cover"}, 4,
         f"{verb} {THE} {{area}} {{classes}}", f"{verb} [all] [the] {{classes}} {IN} {THE} {{area}}", f"{verb} {THE} {{room}} {{class}}",
         f"{verb} the {{class}} {IN} {THE} {{area}}", f"{simple} {THE} {{area}} {{classes}}", f"{FRONT} {THE} {{area}} {verb} the {{classes}}",
         f"i want {THE} {{area}} {{classes}} {done}", f"{verb} (every|each) {{class}} {IN} {THE} {{area}}", f"{{area}} {{classes}} {done}",
         f"{simple} the {{class}} {IN} {THE} {{area}}", f"get {THE} {{area}} {{classes}} {done}", f"{simple} [all] [the|my] {{classes}} {IN} {THE} {{area}}")
    _add(intent, {"domain": "cover"}, 1.5,
         f"{verb} [all] [the] {{classes}} (on the|on the|on|throughout the|across the|] {{floor}}".replace("|]", "|)"), f"{verb} {THE} {{floor}} {{classes}}", f"{simple} all [of] the {{classes}} on the {{floor}}", f"{simple} [all] [the] {{floor}} {{classes}}")
    _add(intent, {"domain": "cover"}, 4,
         f"{verb} {THE} {{cover}}", f"{simple} {THE} {{cover}}", f"{simple} {{cover}}", f"i want {THE} {{cover}} {done}", f"{THE} {{cover}} (should|must) be {done}", f"{simple} the {{bare}}", f"{simple} {{bare}}", f"{{cover}} {done}")
    _add(intent, {"domain": "cover"}, 1.2, f"{verb} {THE} {{placedcover}} {IN} {THE} {{area}}", f"{simple} {THE} {{placedcover}} {IN} {THE} {{area}}", f"{FRONT} {THE} {{area}} {verb} {THE} {{placedcover}}", f"{simple} the {{bare}} {IN} {THE} {{area}}")
    _add(intent, {"domain": "cover"}, 0.8, f"{simple} {THE} {{placedcover}} on the {{floor}}", f"{simple} {THE} {{placedcover}} {{level}}", f"{verb} {THE} {{placedcover}} on the {{floor}}")
    _add(intent, {"domain": "cover"}, 0.7, f"{verb} [all] [the|my] {{classes}} [here|in here|in this room|in the room|over here]", f"{simple} the {{askclass}}", f"{simple} (this|that) {{class}}", f"{{classes}} {done}", f"{simple} the {{classes}} {HERE}", f"{simple} all [of] the {{classes}}", f"{simple} (every|each) {{class}}", ask=True, follow="cover")
    _add(intent, {"domain": "valve"}, 1.2, f"{simple} {THE} {{valve}}", f"{simple} {{valve}}", f"{simple} {THE} {{valve}} please", f"i want {THE} {{valve}} {'open' if simple == 'open' else 'closed'}")
    _add(intent, {"domain": "valve"}, 0.7, f"{simple} {THE} {{valve}} {IN} {THE} {{area}}", f"{simple} {THE} {{valve}} on the {{floor}}")

for intent, verb, adjective in (("HassTurnOn", "(lock|lock up|secure|bolt)", "locked"), ("HassTurnOff", "(unlock|unbolt)", "unlocked")):
    word = "lock" if adjective == "locked" else "unlock"
    _add(intent, {"domain": "lock"}, 3, f"{verb} {THE} {{lock}}", f"{word} {{lock}}", f"i want {THE} {{lock}} {adjective}", f"make sure {THE} {{lock}} is {adjective}", f"{word} the {{bare}}", f"{word} {{bare}}", f"keep {THE} {{lock}} {adjective}")
    _add(intent, {"domain": "lock"}, 1, f"{word} {THE} {{lock}} {IN} {THE} {{area}}", f"{verb} {THE} {{lock}} {IN} {THE} {{area}}", f"{word} the {{bare}} {IN} {THE} {{area}}", f"{word} {THE} {{lock}} on the {{floor}}")
    _add(intent, {"domain": "lock"}, 0.6, f"{verb} [all] the (doors|locks) {IN} {THE} {{area}}", f"{word} all the (doors|locks) on the {{floor}}")
    _add(intent, {"domain": "lock"}, 0.4, f"{verb} (the door|the doors|all the doors|all doors|the locks|up|it|everything)", ask=True, follow="lock")

_add("HassTurnOn", {"domain": "scene"}, 2.5,
     "(activate|start|run|set|turn on|enable|switch to|apply|launch|trigger|begin|load) [the] {scene} scene", "(activate|start|set|turn on|enable|switch to|run) [the] scene {scene}",
     "set [the] scene to {scene}", "(change|switch) to [the] {scene} scene", "{scene} scene [please]", "scene {scene}", "put on the {scene} scene", "i want the {scene} scene", "turn {scene} scene on", "change the scene to {scene}", "make it [the] {scene} scene", "turn the {scene} scene on", "activate {scene}", "activate [the] {scene}")
_add("HassTurnOn", {"domain": "scene"}, 1.2,
     f"(activate|start|set|turn on|run|apply) [the] {{scene}} scene {IN} {THE} {{area}}", f"(activate|set|start) [the] scene {{scene}} {IN} {THE} {{area}}", f"set {THE} {{area}} to [the] {{scene}} scene", f"{FRONT} {THE} {{area}} (activate|start|set) [the] {{scene}} scene")
_add("HassTurnOn", {"domain": "script"}, 0.9, "(run|start|execute|launch|trigger) [the|my] {scene} script", "(run|start|execute) [the] script {scene}", "(run|execute) {scene}", "run the script called {scene}", "execute the {scene}")
_add("HassTurnOn", {"domain": "button"}, 0.6, "(press|push|hit|tap|click) [the] {bare} button", "(press|push|hit|click) [the] {bare}", "(press|push) the button {bare}", "(press|push) {appliance}", "(press|push|hit) [the] {appliance} button")
