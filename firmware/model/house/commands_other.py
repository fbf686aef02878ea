"""Grammar: timers, lists, vacuum, weather, state, time, date, never mind."""

from __future__ import annotations

from .commands_switch import FRONT, HERE, IN, THE
from .rules import Rule

RULES: list[Rule] = []


def _add(intent: str, weight: float, *templates: str, slots: dict[str, object] | None = None, polite: bool = True, follow: str = "") -> None:
    RULES.append(Rule(intent, list(templates), slots or {}, weight, polite, bool(follow), follow))


START = "(set|start|create|make|begin|set up|give me|add|start)"
D, S, A = "{duration}", "{startduration}", "{lasting}"
_add("HassStartTimer", 3, f"{START} [a] timer for {D}", f"{START} a {D} timer", f"{D} timer", f"timer {D}", f"timer for {D}", f"{START} [a] {D} timer", f"{START} a timer of {D}", f"count down [from] {D}", f"(wake me|remind me|alert me|beep|ring) in {D}", f"start a countdown of {D}", f"{START} timer [for] {D}", f"i need a timer for {D}", f"let me know (when {D} are over|in {D})", f"time {D}", f"notify me in {D}", f"new timer for {D}")
_add("HassStartTimer", 2, f"{START} [a] {A} timer", f"{A} timer", f"{START} [a] {A} (countdown|timer)", f"i need a {A} timer", f"new {A} timer")
N = "{timername}"
_add("HassStartTimer", 2.5, f"{START} [a] [new] timer for {D} (called|named) {N}", f"{START} [a] {N} timer for {D}", f"{START} a timer (called|named) {N} for {D}", f"{D} timer (for|called|named) [the] {N}", f"{START} a {D} timer (for|called|named) [the|my] {N}", f"{N} timer for {D}", f"{START} a {D} {N} timer", f"{START} a timer for {D} for [the] {N}", f"{START} [a] {D} {N} timer", f"{D} {N} timer", f"{N} timer {D}", f"timer for {D} called {N}", f"{START} a {A} timer (for|called|named) [the|my] {N}", f"{START} [a] {A} {N} timer", f"{A} {N} timer", f"{A} timer (for|called|named) [the] {N}")
C = "{command}"
_add("HassStartTimer", 1.4, f"in {D} {C}", f"{C} in {D}", f"{C} after {D}", f"after {D} {C}", f"{D} from now {C}", f"wait {D} and [then] {C}", f"in {D} from now {C}", f"{C} {D} from now", f"(set|start) a timer for {D} to {C}", f"(set|start) a timer to {C} in {D}")


def _timer(intent: str, verb: str, weight: float) -> None:
    _add(intent, weight, f"{verb} [the|my] timer", f"{verb} timer", f"timer {verb}")
    _add(intent, weight, f"{verb} [the|my] {{sduration}} timer", f"{verb} [the|my] timer for {S}", f"{verb} the timer (of|with) {S}", f"{verb} my {S} timer", f"{verb} [the|my] {S} timer", f"{verb} [the|my] timer that is {S} long")
    _add(intent, weight, f"{verb} [the|my] {N} timer", f"{verb} [the|my] timer (for|called|named) [the] {N}", f"{verb} {N} timer", f"{verb} the timer {N}")
    _add(intent, weight * 0.4, f"{verb} [the|my] {{sduration}} (timer|countdown)", f"{verb} {{sduration}} timer", f"{verb} timer for {S}", f"{verb} timer {S}")
    _add(intent, weight * 0.8, f"{verb} [the|my] timer {IN} {THE} {{area}}", f"{verb} {THE} {{room}} timer", f"{verb} the timer (from|for) {THE} {{room}}")


_add("HassCancelTimer", 0.01, "cancel the timer")
_timer("HassCancelTimer", "(cancel|stop|delete|end|remove|clear|abort|kill|dismiss|turn off|get rid of)", 0.7)
_timer("HassPauseTimer", "(pause|hold|suspend|freeze)", 0.5)
_timer("HassUnpauseTimer", "(resume|unpause|continue|restart|keep going with|carry on with)", 0.5)
HOW = "(how much time is left on|how long is left on|how much longer on|how long until|what's left on|check|what is the status of|how much time remains on|time left on|what's the status of|status of|how many minutes are left on|tell me the time left on|how long does it take for)"
_add("HassTimerStatus", 0.7, f"{HOW} [the|my] timer", "timer status", "how much time is left", "how long is left", "how much [time] longer", "how is the timer doing", "when (does|will) the timer (end|finish|ring|go off)", "is the timer still running", "how (long|much time) (until|till) [the|my] timer (is done|ends|rings|goes off|finishes|is up)", "how much longer [is left] on the timer", "are there any timers", "timer time left", polite=False)
_add("HassTimerStatus", 0.7, f"{HOW} [the|my] {{sduration}} timer", f"{HOW} my {S} timer", f"how much time is left on the timer for {S}", "when does the {sduration} timer (end|finish)", f"{HOW} [the|my] {S} timer", f"{HOW} [the|my] timer for {S}", f"{S} timer status", f"how (long|much time) is left on [the|my] {S} timer", polite=False)
_add("HassTimerStatus", 0.7, f"{HOW} [the|my] {N} timer", f"{HOW} the timer (for|called|named) [the] {N}", f"when (does|will) the {N} timer (end|finish|go off)", f"{N} timer status", f"how long (until|till) the {N} timer (is done|ends|rings)", f"how (long|much time) is left (on|for) [the|my] {N} timer", f"how (long|much longer) for the {N} timer", polite=False)
_add("HassTimerStatus", 0.5, f"{HOW} {THE} {{room}} timer", f"{HOW} the timer {IN} {THE} {{area}}", f"when does the {{room}} timer (end|go off)", f"{{room}} timer status", f"how (long|much time) is left on the timer {IN} {THE} {{area}}", f"how (long|much time) is left on {THE} {{room}} timer", polite=False)
_add("HassCancelAllTimers", 0.7, "(cancel|stop|delete|remove|clear|end|kill|dismiss) (all timers|all the timers|every timer|all of the timers|all my timers|all of my timers|each timer)", "stop every single timer", "cancel all running timers", "no more timers", "(clear|cancel|stop) [the] timers")
_add("HassCancelAllTimers", 0.5, f"(cancel|stop|delete|remove|clear|end) [all] [of] [the] timers {IN} {THE} {{area}}", f"(cancel|stop|clear|delete) all [of] [the] {{room}} timers", f"(cancel|stop) every timer {IN} {THE} {{area}}", f"(cancel|stop) all timers (in|for) {THE} {{area}}")
for intent, forms in (("HassIncreaseTimer", ["add {d} to {t}", "extend {t} by {d}", "increase {t} by {d}", "{d} more on {t}", "make {t} {d} longer", "give {t} {d} more", "put {d} on {t}", "add {d} more to {t}", "add [another] {d} to {t}", "lengthen {t} by {d}", "prolong {t} by {d}"]), ("HassDecreaseTimer", ["take {d} off [of] {t}", "remove {d} from {t}", "reduce {t} by {d}", "shorten {t} by {d}", "decrease {t} by {d}", "subtract {d} from {t}", "make {t} {d} shorter", "cut {d} from {t}", "cut {t} by {d}", "take {d} from {t}", "lower {t} by {d}", "take away {d} from {t}", "drop {d} from {t}"])):
    for target, weight in (("[the|my] timer", 0.8), ("[the|my] {sduration} timer", 0.6), (f"[the|my] {S} timer", 0.6), (f"[the|my] {N} timer", 0.8), (f"{THE} {{room}} timer", 0.4), (f"the timer {IN} {THE} {{area}}", 0.3), (f"[the|my] timer for {S}", 0.4), (f"[the|my] timer (for|called|named) {N}", 0.5)):
        _add(intent, weight, *[f.replace("{d}", D).replace("{t}", target) for f in forms])
_add("HassIncreaseTimer", 0.4, f"add {D}", f"{D} more", f"add [another] {D} please", f"add {D} to it")
_add("HassDecreaseTimer", 0.3, f"{D} less", f"take off {D}")

I, L = "{item}", "{list}"
_add("HassListAddItem", 3, f"(add|put|place|write) {I} (to|on|onto) (the|my|our) {L}", f"(add|put|place) {I} (to|on|onto) {L}", f"put {I} (on|to|down on|onto) (the|my) {L}", f"(add|include) {I} in (the|my) {L}", f"write {I} on (the|my) {L}", f"(the|my) {L} needs {I}", f"add to (the|my) {L} {I}", f"i need {I} on (the|my) {L}", f"append {I} to {THE} {L}", f"new item {I} on {THE} {L}")
_add("HassListCompleteItem", 2, f"(check off|tick off|mark off|cross off|complete|mark|finish) {I} (on|from|off|in) {THE} {L}", f"(mark|set) {I} as (done|complete|completed|finished|bought|checked) (on|in|from) {THE} {L}", f"(check|tick|cross|mark) {I} off [of] {THE} {L}", f"{I} is (done|complete|finished) on {THE} {L}", f"check {I} on {THE} {L}", f"i (got|bought|did|finished|completed) {I} (from|on) {THE} {L}", f"mark {I} (completed|complete|done) on {THE} {L}", f"(check|cross) {I} from {THE} {L}", f"complete {I} on {THE} {L}")
_add("HassListRemoveItem", 2, f"(remove|delete|take|erase|drop|clear|scratch) {I} (from|off|off of|out of) {THE} {L}", f"(delete|remove|take) {I} (on|in|from) {THE} {L}", f"take {I} off {THE} {L}", f"(remove|delete) from {THE} {L} {I}", f"get {I} off {THE} {L}")

DOCK = "(charging station|docking station|charging dock|base station|home base|charging base|charger|dock|base)"
VAC, BOT = "(the vacuum|vacuum|the vacuum cleaner|the robot vacuum|the hoover|the vacuum robot|the robot|vacuuming|the cleaner)", "{vacuum}"
CLEAN = "(vacuum|clean|hoover|sweep|mop|vacuum clean|clean up|tidy up)"
_add("HassVacuumStart", 0.9, f"(start|run|launch|turn on|begin|start up|activate|send out) {VAC}", "(vacuum|hoover|start cleaning|start vacuuming|do the vacuuming)", "(vacuum|clean|hoover) the [whole] house", "let the (vacuum|robot) run", "run the vacuum")
_add("HassVacuumStart", 1.0, f"(start|launch) {THE} {BOT}", f"start {BOT}", f"(let|have|make|tell|ask) {BOT} [to] (clean|vacuum|start|run|start cleaning)", f"send {BOT} (out|to clean)", f"start cleaning with {BOT}", f"start {THE} {BOT} vacuum", f"start [the] vacuum {BOT}", f"(begin|start up|kick off|send out) {THE} {BOT}", f"{BOT} (start|clean|vacuum|start cleaning|begin cleaning|go clean|get going)", f"(vacuum|clean|clean the house|clean up|hoover) with {THE} {BOT}", f"(begin|start) (cleaning|vacuuming) with {THE} {BOT}", f"{BOT} should (start|clean|vacuum)", f"use {BOT} to (clean|vacuum) [the house]", f"(start|launch) {THE} {BOT} (vacuum|cleaner)")
_add("HassVacuumStart", 0.8, f"{CLEAN} [the|all of the] {{floor}}", f"(start|run) the vacuum (on the|on the|throughout the|all over the|] {{floor}}".replace("|]", "|)"), "do the vacuuming (on the|on the|throughout the|all over the|] {floor}".replace("|]", "|)"), f"{CLEAN} [the] {{floor}}")
_add("HassVacuumReturnToBase", 0.8, f"(send|return|bring|take) {VAC} (home|back|to its base|to the base|to its dock|to the dock|back to base|to the charger|to charge|back home)", f"dock {VAC}", f"{VAC} go home", f"stop {VAC} and send it home", "vacuum back to base", "return the vacuum to its dock", f"stop {VAC}")
_add("HassVacuumReturnToBase", 1.2, f"(send|return|bring|take|get|call|order|direct|guide|drive) {THE} {BOT} (home|back|back home|to [its|the] {DOCK}|back to [its|the] {DOCK})", f"(dock|park|recharge|charge|recall) {THE} {BOT} [now]", f"{BOT} (home|base|dock|charge|recharge|go back|go back home|return home|come home|come back|back to (base|the dock)|return to (your|the|its) {DOCK}|go to (your|the|its) {DOCK})", f"(tell|make|let|have|ask|order|command) {BOT} [to] (charge|recharge|dock|park|return|come back|come home|go to (its|the) {DOCK}|return to (its|the) {DOCK})", f"stop {THE} {BOT} and (send it (home|back)|dock it|return it to (its|the) {DOCK})", f"{BOT} (stop|stop cleaning) and go (home|back)", f"(dock|return|send back|send home|call back|call home|bring home) {THE} {BOT} vacuum", f"(dock|return|park) [the] vacuum {BOT}", f"{THE} {BOT} (should|must|needs to|has to|can) (go home|go back|return home|charge|return to (its|the) {DOCK})")
_add("HassVacuumReturnToBase", 1.2, f"(send|return|bring|take) {THE} {BOT} (home|back|to [its|the] base|to [its|the] dock|back to [the|its] base|to [its|the] charger|to charge|back home|back to [its|the] dock|to (its|the) [charging] station)", f"dock {THE} {BOT}", f"{BOT} (go home|go back to your base|return to base|go to your dock|go charge)", f"(tell|make|let|have) {BOT} [to] (go home|return home|go back|return to base|dock)", f"return {THE} {BOT} to base", f"{BOT} return to base")
_add("HassVacuumCleanArea", 1.5, f"{CLEAN} {THE} {{area}}", f"{CLEAN} the floor {IN} {THE} {{area}}", f"(start|run) the vacuum {IN} {THE} {{area}}", f"send the vacuum to {THE} {{area}}", f"{THE} {{area}} needs (vacuuming|cleaning|a clean)", f"do the vacuuming {IN} {THE} {{area}}", f"start (cleaning|vacuuming) {THE} {{area}}", f"{CLEAN} {{area}}")
_add("HassVacuumCleanArea", 1.0, f"(have|let|make) {BOT} {CLEAN} {THE} {{area}}", f"(tell|ask) {BOT} to {CLEAN} {THE} {{area}}", f"{CLEAN} {THE} {{area}} with {THE} {BOT}", f"send {BOT} to {THE} {{area}}", f"{BOT} {CLEAN} {THE} {{area}}", f"use {BOT} to {CLEAN} {THE} {{area}}", f"start {BOT} {IN} {THE} {{area}}", f"(run|start) {THE} {BOT} {IN} {THE} {{area}}", f"{CLEAN} {IN} {THE} {{area}} with {THE} {BOT}", f"{BOT} should {CLEAN} {THE} {{area}}", f"(send|order|direct) {THE} {BOT} to {CLEAN} {THE} {{area}}", f"start (cleaning|vacuuming) {THE} {{area}} with {THE} {BOT}", f"{CLEAN} {THE} {{area}} (using|by) {THE} {BOT}", f"(get|have|let) {BOT} [to] {CLEAN} {IN} {THE} {{area}}", f"{FRONT} {THE} {{area}} (start|run) {THE} {BOT}")

_add("HassVacuumCleanArea", 0.5, f"{CLEAN} {HERE}", f"{CLEAN} (this|the) room", f"{CLEAN} this (area|place)", f"{CLEAN} the floor {HERE}", f"(start|run) the vacuum {HERE}", f"do the vacuuming {HERE}", "this room needs (vacuuming|cleaning|a clean)", f"have {BOT} {CLEAN} {HERE}", f"{CLEAN} {HERE} with {THE} {BOT}", follow="room")

Q = "(what is|what's|whats|how is|how's|tell me)"
_add("HassGetWeather", 1.2, f"{Q} the weather", f"{Q} the weather (like|today|now|outside|right now|like today|like outside)", "weather", "weather (forecast|report|today|now|please)", "is it (raining|sunny|snowing|windy|cloudy|cold outside|warm outside|hot outside|going to rain)", "do i need an umbrella", "will it (rain|snow) [today|tomorrow]", "how is it outside", "give me the (weather|forecast)", "what's the forecast", "what is the weather going to be", "how warm is it outside", "show me the weather", polite=False)
_add("HassGetWeather", 1.2, f"{Q} the weather (in|at|for|like in|like at) {{city}}", "weather (in|for|at) {city}", "is it (raining|sunny|snowing) in {city}", "how is {city} weather", "what is {city}'s weather", f"{Q} the {{city}} weather", "will it rain in {city}", "{city} weather", "weather forecast for {city}", f"{Q} the weather [like] (in|at) {{city}}", "how (warm|cold|hot) is it in {city} outside", polite=False)
_add("HassGetCurrentTime", 1.5, "what time is it [now|right now|please]", "what is the [current] time [now]", "what's the [current] time", "tell me the [current] time", "time [please]", "current time", "do you (know|have) [what] the time [is]", "how late is it", "give me the time", "what time it is", "can you tell me the time", "what does the clock say", "what hour is it", "got the time", polite=False)
_add("HassGetCurrentDate", 1.5, "what (date|day) is it [today|now]", "what is (the date|today's date|today|the day today|the current date)", "what's (the date|today's date|the date today|the day)", "tell me (the date|today's date|what day it is)", "what day of the week is it [today]", "which day is (it|today)", "today's date", "date [please]", "what is the (date|day) today", "what (month|year) is it", "what's the day today", "current date", "give me the date", polite=False)
_add("HassNevermind", 1.5, "never mind", "nevermind", "forget it", "forget [about] (it|that)", "cancel", "cancel that", "ignore that", "drop it", "nothing", "no never mind", "never mind [that]", "it's (ok|okay|nothing|fine)", "oh never mind", "stop it", "scratch that", "don't bother", "leave it", "no thanks", "abort", "oops", polite=False)

IS = "(is|is|was)"


def _state(weight: float, *templates: str, slots: dict[str, object] | None = None) -> None:
    _add("HassGetState", weight, *templates, slots=slots, polite=False)


_state(1.8, f"is {THE} {{device}} {{state:onoff}}", "is {device} {state:onoff} [right now|now]", f"is {THE} {{appliance}} [turned|switched] {{state:onoff}}", f"{THE} {{device}} is {{state:onoff}} right", "is the {bare} {state:onoff}", "is {light} {state:onoff}")
NOW = "(currently|still|already|really|actually|right now|now|again)"
_state(0.9, f"is {THE} {{appliance}} {NOW} {{state:onoff}}", f"is {THE} {{light}} {NOW} {{state:onoff}}", f"is {THE} {{shutcover}} {NOW} {{state:open}}", f"is {THE} {{shutcover}} (fully|completely|entirely|properly) {{state:open}}", f"is {THE} {{opensensor}} {NOW} {{state:sensor}}", f"was {THE} {{appliance}} left {{state:onoff}}")
_state(0.5, f"is {THE} {{appliance}} {{state:onoff}} {IN} {THE} {{area}}", f"is {THE} {{light}} {IN} {THE} {{area}} {{state:onoff}}")
_state(1.2, f"is {THE} {{shutcover}} {{state:open}}", "is {shutcover} {state:open}", f"is {THE} {{valve}} {{state:open}}", "is {bare} {state:open}", f"is {THE} {{shutcover}} {{state:open}} [right now|now]")
_state(0.6, f"is {THE} {{shutcover}} {{state:open}} {IN} {THE} {{area}}", f"is {THE} {{shutcover}} {IN} {THE} {{area}} {{state:open}}", f"is {THE} {{shutcover}} on the {{floor}} {{state:open}}", "is the {shutcover} {state:open} on the {floor}")
_state(1.1, f"is {THE} {{opensensor}} {{state:sensor}}", "is {opensensor} {state:sensor}", f"is {THE} {{opensensor}} {{state:sensor}} {IN} {THE} {{area}}", f"is {THE} {{opensensor}} {IN} {THE} {{area}} {{state:sensor}}", "is the {opensensor} {state:sensor} on the {floor}", f"is {THE} {{opensensor}} {{state:sensor}} [right now|now]")
_state(0.9, f"is {THE} {{lock}} {{state:lock}}", "is {lock} {state:lock}", f"(did i|have i) (locked|lock) {THE} {{lock}}".replace("{state:lock}", ""), slots={"domain": "lock"})
RULES[-1].templates = RULES[-1].templates[:2] + ["is the {bare} {state:lock}", f"is {THE} {{lock}} {{state:lock}} [right now|now]"]
_state(0.6, f"is {THE} {{lock}} {IN} {THE} {{area}} {{state:lock}}", f"is {THE} {{lock}} {{state:lock}} {IN} {THE} {{area}}", f"is {THE} {{lock}} on the {{floor}} {{state:lock}}", f"is {THE} {{lock}} (securely|properly|currently|still|already|really) {{state:lock}}", slots={"domain": "lock"})
_state(0.9, f"is {THE} {{busysensor}} {{state:busy}}", "is {busysensor} {state:busy}", f"is {THE} {{busysensor}} {{state:busy}} {IN} {THE} {{area}}", f"is {THE} {{busysensor}} {IN} {THE} {{area}} {{state:busy}}", "is the {busysensor} {state:busy} on the {floor}")
for domain, plural, state in (("light", "(lights|lights|lamps)", "onoff"), ("fan", "fans", "onoff"), ("switch", "switches", "onoff"), ("lock", "(locks|doors)", "lock"), ("cover", "{classes}", "open")):
    s = f"{{state:{state}}}"
    one = {"light": "(light|lamp)", "fan": "fan", "switch": "switch", "lock": "(lock|door)", "cover": "{class}"}[domain]
    asks = [f"are (any|all|all the|all of the|the|some of the|there any) {plural} {s}", f"any {plural} {s}", f"is there (any|a) {plural} {s}", f"(which|what) {plural} (is|are currently|are still) {s}", f"(which|what) {plural} are {s}", f"how many {plural} are {s}", f"are (any|all|the) {plural} (currently|still|really|securely|properly|fully) {s}", f"(have|were) (any|all|the) {plural} been {s}", f"is (a single|even one|at least one) {one} {s}", f"(do i have|do we have|have we got) any {plural} {s}", f"did (i|we|someone|anyone) leave any {plural} {s}", f"are (some|a few|several) {plural} {s}", f"are {{p}} {plural} {s}", f"(is any|is every) {plural[1:-1].split('|')[0].rstrip('s') if plural[0] == '(' else plural.rstrip('s')} {s}" if domain != "cover" else f"(is any|is every) {{class}} {s}"]
    asks = [a for a in asks if "{p}" not in a]
    for where, weight in (("", 0.35), (f" {IN} {THE} {{area}}", 0.6), (" (on the|on the|on|throughout the|across the|] {floor}".replace("|]", "|)"), 0.4)):
        extra = [f"are (any|all|all the|the) {plural}{where} {s}", f"which {plural}{where} are {s}", f"how many {plural}{where} are {s}", f"how many {plural} are {s}{where}", f"any {plural}{where} {s}", f"(what|which) {plural} are {s}{where}"] if where else []
        if "area" in where:
            extra += [f"(does|has) {THE} {{area}} (have|got) any {plural} {s}", f"(is|has) any {{area}} {one} [been] [left] {s}", f"are {THE} {{area}} {plural} (currently|still|all|properly|securely) {s}", f"are {THE} {{area}} {plural} {s}", f"are (any|all) [of] the {{area}} {plural} {s}"]
        _state(weight, *[a + where for a in asks], *extra, slots={"domain": domain})
_state(1, f"(what is|what's|tell me|give me) the (state|status) of {THE} {{device}}", f"(what is|what's) {THE} {{device}} (state|status)", "{device} (state|status)", f"(what is|what's) the value of {THE} {{device}}", f"how is {THE} {{appliance}} doing", f"what does {THE} {{bare}} sensor say", f"(what is|what's) the (state|status) of {{device}}", f"what is {{bare}}")
RULES[-1].templates = [t for t in RULES[-1].templates if "sensor say" not in t and t != "what is {bare}"]
_state(0.4, "where is {person}", "where's {person}", "do you know where {person} is", "locate {person}", "where is {person} (now|right now|at)")
_state(0.4, "is {person} (in|at) [the] {bare:state}", "is {person} at [the] {bare:state}")
_state(0.3, "is {person} [at] home", "is {person} home [yet|now]", slots={"state": "home"})
_state(0.3, "(is anyone|is anybody|who is|is everyone|is everybody|how many people are) (in|at) [the] {bare:state}", slots={"domain": "person"})
_state(0.2, "(is anyone|is anybody|who is|is everyone|is everybody|how many people are) [at] home", slots={"domain": "person", "state": "home"})
