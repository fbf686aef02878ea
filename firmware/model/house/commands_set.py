"""Grammar: light settings, positions, climate, fans, volume and media."""

from __future__ import annotations

from .commands_switch import FRONT, HERE, LIGHTS, THE
from .rules import Rule

RULES: list[Rule] = []


def _add(intent: str, slots: dict[str, object], weight: float, *templates: str, **more: object) -> None:
    RULES.append(Rule(intent, list(templates), slots, weight, **more))  # type: ignore[arg-type]


IN = "(in|in|in|inside|at|within|throughout|across|around)"
SET = "(set|set|change|adjust|turn|put|bring|make)"
TURN = "(set|change|turn|make|switch)"
LEVEL = "(brightness|brightness level|light level|light intensity|luminosity|brightness)"
DIM = "(dim|brighten|dim down|turn up|turn down|raise|lower|increase|decrease|reduce|brighten up)"
LSET = {"domain": "light"}


def _bright(place: str, end: str) -> list[str]:
    return [f"{SET} {place} to {end}", f"{SET} the {LEVEL} of {place} to {end}", f"{SET} {place} {LEVEL} to {end}", f"{DIM} {place} to {end}",
            f"{DIM} the {LEVEL} of {place} to {end}", f"{place} to {end}", f"{place} at {end}", f"{place} {LEVEL} {end}", f"{SET} {place} to {end} {LEVEL}",
            f"{DIM} {place} {LEVEL} to {end}", f"{LEVEL} of {place} to {end}", f"{place} {LEVEL} to {end}", f"i want {place} at {end} [{LEVEL}]", f"{LEVEL} {end} for {place}", f"set {place} at {end}"]


_AREA = [f"{THE} {{area}} lights", f"{THE} {{room}} light", f"the {LIGHTS} {IN} {THE} {{area}}", f"all [the] lights {IN} {THE} {{area}}"]
_END = "{pct:brightness}"
for place in _AREA:
    _add("HassLightSet", LSET, 1.3, *_bright(place, _END))
_add("HassLightSet", LSET, 1.2, f"{SET} {THE} {{room}} {LEVEL} to {_END}", f"{SET} the {LEVEL} {IN} {THE} {{area}} to {_END}", f"{SET} the {LEVEL} to {_END} {IN} {THE} {{area}}", f"{{room}} {LEVEL} {_END}", f"{DIM} {THE} {{room}} to {_END}", f"{SET} the {LEVEL} {IN} {THE} {{area}} [lights] to {_END}", f"{FRONT} {THE} {{area}} set the [lights] {LEVEL} to {_END}", f"{SET} {THE} {{room}} to {_END} {LEVEL}", f"{{room}} {_END} {LEVEL}")
_add("HassLightSet", LSET, 1.2, *_bright("[all] [the] {floor} lights", _END), f"{SET} the {LEVEL} (on the|of the|] {{floor}} to {_END}".replace("|]", "|)"), f"set {THE} {{floor}} {LEVEL} to {_END}", f"set the lights (on the|on the|throughout the|all over the|] {{floor}} to {_END}".replace("|]", "|)"), f"{SET} {THE} {{floor}} {LEVEL} to {_END}")
_add("HassLightSet", {}, 3, *_bright(f"{THE} {{light}}", _END), f"{SET} {THE} {{anylight}} {LEVEL} to {_END}", f"{SET} the {LEVEL} of {THE} {{anylight}} to {_END}", f"{DIM} {THE} {{anylight}} {LEVEL} to {_END}", f"{{anylight}} {LEVEL} to {_END}", f"dim {{anylight}} to {_END}", f"set {THE} {{anylight}} to {_END} {LEVEL}")
_add("HassLightSet", {}, 0.8, f"set {THE} {{light}} {IN} {THE} {{area}} to {_END}", f"dim {THE} {{light}} {IN} {THE} {{area}} to {_END}")
MAX, MIN = "(max|maximum|full|the maximum|highest|the highest)", "(min|minimum|the minimum|lowest|the lowest)"
for word, n in ((MAX, 100), (MIN, 1), ("(half|half brightness|50 percent)", 50)):
    for place, slots in ((f"{THE} {{area}} lights", LSET), (f"the lights {IN} {THE} {{area}}", LSET), (f"{THE} {{light}}", {}), (f"{THE} {{anylight}} {LEVEL}", {}), (f"{THE} {{room}} {LEVEL}", LSET), (f"the {LEVEL} {IN} {THE} {{area}}", LSET)):
        _add("HassLightSet", {**slots, "brightness": n}, 0.3, f"{SET} {place} to {word}", f"{DIM} {place} to {word}", f"{place} to {word}", *([f"{SET} {place} to {word} brightness", f"{SET} {LEVEL} of {place} to {word}", f"(maximize|max out) {place}" if n == 100 else f"set {place} to {word}"] if "brightness" not in place else [f"{place} {word}"]))
_add("HassLightSet", LSET, 0.7, f"{SET} [the] {LEVEL} to {_END}", f"{SET} the lights to {_END}", f"dim the lights to {_END}", f"{LEVEL} {_END}", f"set the {LEVEL} to {_END} {HERE}", f"set the [lights] {LEVEL} {HERE} to {_END}", f"{DIM} the lights {HERE} to {_END}", f"{DIM} [the] {LEVEL} to {_END}", f"{_END} {LEVEL}", ask=True, follow="light")

for end, w in (("{color}", 1.0), ("{kelvin}", 0.8)):
    temp = end == "{kelvin}"
    kind = "(color temperature|colour temperature|white temperature|temperature|white balance)" if temp else "(color|colour)"
    for place in _AREA:
        _add("HassLightSet", LSET, 0.8 * w, f"{TURN} {place} [to] {end}", f"{TURN} the {kind} of {place} to {end}", f"{TURN} {place} {kind} to {end}", f"{place} {end}", f"i want {place} [to be] [in] {end}", f"{place} {kind} {end}", f"{place} to {end}", *([] if temp else [f"(color|paint|colour) {place} {end}"]))
    _add("HassLightSet", LSET, 1 * w, *([f"{TURN} [the] light {kind} {IN} {THE} {{area}} to {end}", f"{TURN} {THE} {{room}} light {kind} to {end}", f"{TURN} the light {kind} to {end} {IN} {THE} {{area}}", f"set {THE} {{room}} to {end}"] if temp else [f"{TURN} {THE} {{room}} [to] {end}", f"{TURN} {THE} {{room}} {kind} to {end}", f"(paint|color) {THE} {{room}} {end}", f"{end} lights {IN} {THE} {{area}}", f"give {THE} {{room}} [a] {end} [light]"]),
         f"{TURN} the {kind} {IN} {THE} {{area}} to {end}", f"{FRONT} {THE} {{area}} {TURN} the lights to {end}", f"{TURN} {THE} {{room}} [light] {kind} to {end}", f"{TURN} {THE} {{area}} lights {kind} to {end}")
    _add("HassLightSet", LSET, 0.7 * w, f"{TURN} the {{floor}} lights [to] {end}", f"{TURN} [all] the lights on the {{floor}} [to] {end}", f"{TURN} the {{floor}} [light] {kind} to {end}", f"{TURN} {THE} {{floor}} [to] {end}", f"set the {kind} of the {{floor}} [lights] to {end}", f"set the {kind} on the {{floor}} to {end}")
    _add("HassLightSet", {}, 2 * w, f"{TURN} {THE} {{anylight}} [to] {end}" if not temp else f"{TURN} {THE} {{light}} to {end}", f"{TURN} {THE} {{anylight}} {kind} to {end}", f"{TURN} the {kind} of {THE} {{anylight}} to {end}", f"{{light}} {end}", f"{{anylight}} {kind} {end}", f"{TURN} {THE} {{light}} [to] {end}", f"i want {THE} {{light}} {end}")
    _add("HassLightSet", LSET, 0.4 * w, f"{TURN} [all] [of] the lights [to] {end}", f"{TURN} the [light] {kind} to {end}", f"{TURN} the lights {HERE} [to] {end}", f"{TURN} (this|the) room [to] {end}", f"{TURN} the lights [to] {end} {HERE}", f"{kind} {end}", f"make it {end}", f"make the light[s] {end}", ask=True, follow="light")

POS = "{pct:position}"
MOVE = "(set|open|close|move|raise|lower|adjust|put|bring|shut|change)"
_add("HassSetPosition", {"domain": "cover"}, 1.8, f"{MOVE} {THE} {{cover}} to {POS}", f"{MOVE} {THE} {{cover}} to {POS} open", f"set the position of {THE} {{cover}} to {POS}", f"{MOVE} {THE} {{cover}} position to {POS}", f"{{cover}} to {POS}", f"open the {{bare}} to {POS}", f"(close|open|shut) {{bare}} to {POS}", f"{MOVE} {THE} {{cover}} {POS}", f"set [the] {{bare}} position to {POS}")
_add("HassSetPosition", {"domain": "valve"}, 0.6, f"{MOVE} {THE} {{valve}} to {POS}", f"set the position of {THE} {{valve}} to {POS}", f"open {THE} {{valve}} to {POS}", f"set {THE} {{valve}} position to {POS}")
_add("HassSetPosition", {"domain": "cover"}, 1.6, f"{MOVE} {THE} {{area}} {{classes}} to {POS}", f"{MOVE} {THE} {{room}} {{class}} to {POS}", f"{MOVE} [all] [the] {{classes}} {IN} {THE} {{area}} to {POS}", f"{MOVE} the {{classes}} {IN} {THE} {{area}} to {POS} open", f"set the position of the {{classes}} {IN} {THE} {{area}} to {POS}", f"{{area}} {{classes}} to {POS}", f"{FRONT} {THE} {{area}} {MOVE} the {{classes}} to {POS}", f"{MOVE} {THE} {{room}} {{class}} position to {POS}", f"{MOVE} the {{class}} position {IN} {THE} {{area}} to {POS}", f"set the position of the {{class}} {IN} {THE} {{area}} to {POS}", f"{{room}} {{class}} position {POS}", f"{MOVE} the {{class}} {IN} {THE} {{area}} to {POS}", f"set {THE} {{area}} {{classes}} position to {POS}")
_add("HassSetPosition", {"domain": "cover", "position": 50}, 0.5, f"(open|close) {THE} {{cover}} (halfway|half way)", f"(open|close) the {{classes}} {IN} {THE} {{area}} (halfway|half way)", f"half (open|close) {THE} {{area}} {{classes}}")
_add("HassSetPosition", {"domain": "cover"}, 0.4, f"{MOVE} [all] [the] {{classes}} to {POS}", f"{MOVE} the {{askclass}} to {POS}", f"{MOVE} the {{classes}} {HERE} to {POS}", f"{MOVE} the {{classes}} to {POS} {HERE}", f"{MOVE} this {{class}} to {POS}", f"set [the] {{askclass}} position to {POS}", ask=True, follow="cover")
STOP = "(stop|halt|hold|freeze)"
_add("HassStopMoving", {"domain": "cover"}, 1, f"{STOP} {THE} {{cover}}", f"{STOP} {THE} {{area}} {{classes}}", f"{STOP} [all] the {{classes}} {IN} {THE} {{area}}", f"{STOP} moving {THE} {{cover}}", f"{STOP} {THE} {{room}} {{class}}", f"{STOP} {THE} {{cover}} (where it is|there|right there)", f"{STOP} the {{classes}} {IN} {THE} {{area}} [from moving]")
_add("HassStopMoving", {"domain": "valve"}, 0.3, f"{STOP} {THE} {{valve}}", f"{STOP} moving {THE} {{valve}}")
_add("HassStopMoving", {"domain": "cover"}, 0.2, f"{STOP} [all] the {{classes}} [moving|here]", ask=True, follow="cover")

TEMP = "(temperature|temp|heat|temperature)"
CSET = "(set|change|adjust|turn|put|raise|lower|increase|decrease|make|bring)"
D = "{degrees}"
_add("HassClimateSetTemperature", {}, 3, f"{CSET} [the] {TEMP} {IN} {THE} {{area}} to {D}", f"{CSET} {THE} {{area}} {TEMP} to {D}", f"{CSET} {TEMP} to {D} {IN} {THE} {{area}}", f"{CSET} {THE} {{area}} to {D}", f"(heat|cool|warm|heat up|cool down|warm up) {THE} {{area}} to {D}", f"{{area}} {TEMP} {D}", f"make it {D} {IN} {THE} {{area}}", f"i want it {D} {IN} {THE} {{area}}", f"{FRONT} {THE} {{area}} set [the] {TEMP} to {D}", f"{{area}} to {D}", f"keep {THE} {{area}} at {D}", f"{{area}} {TEMP} to {D}", f"set the thermostat {IN} {THE} {{area}} to {D}", f"{CSET} the {TEMP} {IN} {{area}} {D}")
_add("HassClimateSetTemperature", {}, 1.2, f"{CSET} [the] {TEMP} (on the|of the|for the|] {{floor}} to {D}".replace("|]", "|)"), f"{CSET} [the] {{floor}} {TEMP} to {D}", f"{CSET} {TEMP} to {D} (on the|on the|throughout the|all over the|] {{floor}}".replace("|]", "|)"), f"(heat|cool) the {{floor}} to {D}", f"{{floor}} {TEMP} to {D}", f"set the {{floor}} to {D}")
_add("HassClimateSetTemperature", {}, 1.8, f"{CSET} {THE} {{climate}} to {D}", f"{CSET} the {TEMP} of {THE} {{climate}} to {D}", f"{CSET} {THE} {{climate}} {TEMP} to {D}", f"{{climate}} to {D}", f"set {{climate}} {D}", f"{CSET} {{climate}} {TEMP} to {D}", f"{CSET} [the] {TEMP} on {THE} {{climate}} to {D}")
_add("HassClimateSetTemperature", {}, 0.8, f"{CSET} [the] {TEMP} to {D}", f"make it {D} [in here|here]", f"i want it {D}", f"{CSET} [the] {TEMP} to {D} (here|in here)", f"{TEMP} {D}", f"{TEMP} to {D}", f"{CSET} {TEMP} {D}", ask=True, follow="temp")
_add("HassClimateGetTemperature", {}, 1.8, f"(what is|what's|whats|tell me) the [current] (temperature|temp) {IN} {THE} {{area}}", f"how (warm|hot|cold|cool) is it {IN} {THE} {{area}}", f"how (warm|hot|cold) is {THE} {{area}}", f"(what is|what's) {THE} {{area}} (temperature|temp)", f"{{area}} temperature", f"temperature {IN} {THE} {{area}}", f"what temperature is it {IN} {THE} {{area}}", f"is it (warm|cold|hot) {IN} {THE} {{area}}", f"how (warm|hot|cold|cool) is {THE} {{area}} [right now]", f"how many degrees is it {IN} {THE} {{area}}", f"give me the {{area}} temperature", polite=False)
_add("HassClimateGetTemperature", {}, 0.8, f"(what is|what's|tell me) the (temperature|temp) (of|on|at) {THE} {{climate}}", f"(what is|what's) {THE} {{climate}} (temperature|temp)", f"{{climate}} temperature", f"how (hot|warm|cold|cool) is {THE} {{climate}}", f"what temperature is {THE} {{climate}} set to", f"what is {THE} {{climate}} set to", polite=False)
_add("HassClimateGetTemperature", {}, 0.8, "(what is|what's|whats|tell me) the [current] (temperature|temp) [here|in here|inside|in the house|in this room|now]", "how (warm|hot|cold|cool|chilly) is it [here|in here|inside|indoors|right now]", "what temperature is it [in here|inside]", "[current|room|indoor|inside] temperature", "is it (warm|cold) (inside|in here)", "how many degrees is it (inside|in here)", polite=False)
FM = "(fan mode|fan|fan setting|fan mode)"
_add("HassClimateSetFanMode", {}, 0.8, f"{CSET} {THE} {{climate}} fan mode to {{fanmode}}", f"{CSET} the fan mode (of|on|for) {THE} {{climate}} to {{fanmode}}", f"set {THE} {{climate}} to fan mode {{fanmode}}", f"{{climate}} fan mode {{fanmode}}", f"{TURN} {THE} {{climate}} fan to {{fanmode}} mode", f"switch {THE} {{climate}} fan mode to {{fanmode}}", f"{TURN} {THE} {{climate}} fan to {{fanmode}}", f"{TURN} the fan of {THE} {{climate}} to {{fanmode}}", f"set the fan mode {{fanmode}} for {THE} {{climate}}")
_add("HassClimateSetFanMode", {}, 0.8, f"{CSET} [the] fan mode {IN} {THE} {{area}} to {{fanmode}}", f"{CSET} {THE} {{area}} fan mode to {{fanmode}}", f"{CSET} [the] fan mode to {{fanmode}} {IN} {THE} {{area}}", f"{{area}} fan mode {{fanmode}}", f"{TURN} the fan {IN} {THE} {{area}} to {{fanmode}}", f"{TURN} {THE} {{room}} fan to {{fanmode}}", f"{TURN} {THE} {{floor}} fan to {{fanmode}}", f"{TURN} the climate fan {IN} {THE} {{area}} to {{fanmode}} [mode]", f"set [the] {{floor}} fan mode to {{fanmode}}", f"set [the] fan mode [on the|for the] {{floor}} to {{fanmode}}", f"set [the] fan mode to {{fanmode}} on the {{floor}}", f"{CSET} [the] fan mode (on the|throughout the|across the) {{floor}} to {{fanmode}}", "set the {level} floor fan mode to {fanmode}")
_add("HassClimateSetFanMode", {}, 0.2, f"{CSET} [the] fan mode to {{fanmode}} [here|in here|in this room|in the room]", "fan mode {fanmode}", ask=True, follow="fanmode")

F, SP = "{pct:percentage}", "(fan speed|fan|fan speed|speed of the fan|fans speed|fan's speed)"
_add("HassFanSetSpeed", {}, 1.6, f"{CSET} {THE} {{fan}} to {F}", f"{CSET} {THE} {{fan}} speed to {F}", f"{CSET} the speed of {THE} {{fan}} to {F}", f"{{fan}} to {F}", f"{{fan}} at {F}", f"run {THE} {{fan}} at {F}", f"{{fan}} speed {F}", f"{CSET} {THE} {{bare}} speed to {F}", f"{CSET} the speed of {THE} {{bare}} to {F}", f"set {{bare}} speed to {F}", f"{CSET} {THE} {{fan}} to {F} speed", f"{{fan}} speed to {F}", f"{CSET} {THE} {{fan}} speed {F}")
_add("HassFanSetSpeed", {}, 1.2, f"{CSET} {THE} {{room}} {SP} to {F}", f"{CSET} {THE} {{area}} fans [speed] to {F}", f"{CSET} the {SP} {IN} {THE} {{area}} to {F}", f"{CSET} the {SP} to {F} {IN} {THE} {{area}}", f"{FRONT} {THE} {{area}} set the {SP} to {F}", f"{{room}} {SP} {F}", f"run the fan {IN} {THE} {{area}} at {F}", f"set fan {IN} {THE} {{area}} to {F} speed", f"set the speed of the fan[s] {IN} {THE} {{area}} to {F}", f"{CSET} {THE} {{room}} fan speed {F}", f"{{area}} fans [speed] [at|to] {F}")
_add("HassFanSetSpeed", {}, 0.7, f"{CSET} the {{floor}} {SP} to {F}", f"{CSET} the {SP} on the {{floor}} to {F}", f"set the fans (on the|on the|throughout the|all over the|] {{floor}} to {F}".replace("|]", "|)"), f"set the speed of the fans on the {{floor}} to {F}", f"{CSET} the {{level}} floor {SP} to {F}")
_add("HassFanSetSpeed", {}, 0.3, f"{CSET} [the] {SP} to {F}", f"fan speed {F}", f"set the speed of the fan to {F}", f"{CSET} [the] {SP} to {F} {HERE}", f"{CSET} the fan[s] {HERE} to {F}", f"{CSET} the {SP} {HERE} to {F}", ask=True, follow="fanspeed")
