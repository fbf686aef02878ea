"""Grammar: volume and media."""

from __future__ import annotations

from .commands_switch import FRONT, HERE, THE
from .rules import Rule

RULES: list[Rule] = []


def _add(intent: str, weight: float, *templates: str, slots: dict[str, object] | None = None, ask: bool = False) -> None:
    """One rule. `ask`: no room and no player is named, and the house must not guess."""
    RULES.append(Rule(intent, list(templates), slots or {}, weight, ask=ask, follow="media" if ask else ""))


IN = "(in|in|in|inside|at|within|throughout|across|around)"
PLAYERS = "(media players|players|tvs|televisions)"
V = "{pct:volume_level}"
SET = "(set|change|adjust|turn|put|bring)"
VOL = "(volume|sound|volume|audio volume|loudness)"
_add("HassSetVolume", 1.4, f"{SET} {THE} {{media}} {VOL} to {V}", f"{SET} the {VOL} of {THE} {{media}} to {V}", f"{SET} the {VOL} on {THE} {{media}} to {V}", f"{{media}} {VOL} [to] {V}", f"{SET} {VOL} to {V} on {THE} {{media}}", f"{SET} {VOL} for {THE} {{media}} to {V}", f"{SET} {THE} {{media}} to {V} {VOL}", f"(turn up|turn down|raise|lower|increase|decrease|reduce) {THE} {{media}} [{VOL}] to {V}", f"turn {THE} {{media}} (up|down) to {V}", f"(raise|lower|increase|decrease|turn up|turn down) the {VOL} (of|on|for) {THE} {{media}} to {V}", f"{{media}} (up|down) to {V}", f"{{media}} {VOL} (up|down) to {V}")
_add("HassSetVolume", 1.2, f"{SET} the {VOL} {IN} {THE} {{area}} to {V}", f"{SET} {THE} {{room}} {VOL} to {V}", f"{SET} {VOL} to {V} {IN} {THE} {{area}}", f"{{room}} {VOL} [to] {V}", f"{FRONT} {THE} {{area}} set the {VOL} to {V}", f"{VOL} {IN} {THE} {{area}} to {V}", f"(raise|lower|increase|decrease) the {VOL} {IN} {THE} {{area}} to {V}", f"{SET} {VOL} {IN} {THE} {{area}} to {V}", f"(raise|lower|turn up|turn down|increase|decrease|reduce) {THE} {{room}} {VOL} to {V}", f"turn the {VOL} (up|down) to {V} {IN} {THE} {{area}}", f"turn {THE} {{room}} {VOL} (up|down) to {V}", f"{{room}} {VOL} (up|down) to {V}", f"{SET} the {VOL} of the (speakers|media players|tvs) {IN} {THE} {{area}} to {V}")
_add("HassSetVolume", 1.0, f"{SET} [the] {VOL} to {V}", f"{VOL} [to] {V}", f"{VOL} at {V}", f"{SET} [the] {VOL} at {V}", f"make the {VOL} {V}", f"(raise|lower|turn up|turn down) [the] {VOL} to {V}", f"set [the] {VOL} {V}", f"{SET} the {VOL} {HERE} to {V}", f"{SET} [the] {VOL} to {V} {HERE}", f"{VOL} {V} {HERE}", ask=True)
for word, up, verbs, adjective, key in (("up", "up", "(raise|increase|boost|turn up|crank up|pump up)", "louder", "{pct:volume_step}"), ("down", "down", "(lower|decrease|reduce|turn down|drop)", "quieter", "{down:volume_step}")):
    step = {"volume_step": up}
    _add("HassSetVolumeRelative", 0.6, f"{verbs} the {VOL}", f"turn the {VOL} {word}", f"{VOL} {word}", f"turn it {word}", f"make it {adjective}", f"{adjective} [please]", f"{verbs} {VOL}", f"turn {word} the {VOL}", f"turn {VOL} {word}", f"{VOL} {'increase' if word == 'up' else 'decrease'}", f"{VOL} {word} {HERE}", f"turn it {word} {HERE}", f"{verbs} the {VOL} {HERE}", f"make it {adjective} {HERE}", slots=step, ask=True)
    _add("HassSetVolumeRelative", 0.6, f"{verbs} {THE} {{media}} [{VOL}]", f"turn {THE} {{media}} [{VOL}] {word}", f"make {THE} {{media}} {adjective}", f"{verbs} the {VOL} (of|on|for) {THE} {{media}}", f"{{media}} {VOL} {word}", f"{{media}} {adjective}", f"turn {word} {THE} {{media}}", f"{VOL} {word} on {THE} {{media}}", f"turn {word} the {VOL} (of|on) {THE} {{media}}", slots=step)
    _add("HassSetVolumeRelative", 0.6, f"{verbs} the {VOL} {IN} {THE} {{area}}", f"turn the {VOL} {word} {IN} {THE} {{area}}", f"turn it {word} {IN} {THE} {{area}}", f"make it {adjective} {IN} {THE} {{area}}", f"{{room}} {VOL} {word}", f"{verbs} {THE} {{room}} {VOL}", f"{VOL} {word} {IN} {THE} {{area}}", f"turn {word} the {VOL} {IN} {THE} {{area}}", f"turn {word} {THE} {{room}} {VOL}", slots=step)
    _add("HassSetVolumeRelative", 0.5, f"{verbs} the {VOL} (on the|on the|throughout the|all over the|] {{floor}}".replace("|]", "|)"), f"turn the {VOL} {word} (on the|on the|throughout the|all over the|] {{floor}}".replace("|]", "|)"), f"{{floor}} {VOL} {word}", f"turn {word} the {{floor}} {VOL}", f"turn {word} the {VOL} (on the|on the|throughout the|all over the|] {{floor}}".replace("|]", "|)"), slots=step)
    _add("HassSetVolumeRelative", 0.6, f"{verbs} [the] {VOL} by {key}", f"turn the {VOL} {word} by {key}", f"{VOL} {word} [by] {key}", f"turn it {word} [by] {key}", f"turn {word} the {VOL} by {key}", f"{verbs} the {VOL} {HERE} by {key}", f"turn the {VOL} {word} by {key} {HERE}", ask=True)
    _add("HassSetVolumeRelative", 0.6, f"{verbs} {THE} {{media}} [{VOL}] by {key}", f"turn {THE} {{media}} [{VOL}] {word} by {key}", f"{verbs} the {VOL} (of|on) {THE} {{media}} by {key}", f"{{media}} {VOL} {word} [by] {key}", f"turn {word} {THE} {{media}} [{VOL}] by {key}")
    _add("HassSetVolumeRelative", 0.6, f"{verbs} the {VOL} {IN} {THE} {{area}} by {key}", f"turn the {VOL} {word} by {key} {IN} {THE} {{area}}", f"{{room}} {VOL} {word} [by] {key}", f"{verbs} {THE} {{room}} {VOL} by {key}", f"turn {word} {THE} {{room}} {VOL} by {key}", f"{VOL} {word} by {key} {IN} {THE} {{area}}")
    _add("HassSetVolumeRelative", 0.4, f"{verbs} the {VOL} on the {{floor}} by {key}", f"turn the {{floor}} {VOL} {word} by {key}", f"{{floor}} {VOL} {word} by {key}", f"{verbs} [the] {{floor}} {VOL} by {key}")

MEDIA = "(music|music|song|song|track|track|video|movie|media|playback|show|tv show|podcast|album|songs|tracks|tunes|videos|movies|tv shows|playlist|audiobook|episode)"
for intent, verb, bare in (
    ("HassMediaPlayerMute", "(mute|silence)", ["mute", "mute it", "mute the (sound|volume|music|audio)", "be quiet", "silence", "sound off", "mute [the] {m} [here]"]),
    ("HassMediaPlayerUnmute", "(unmute)", ["unmute", "unmute it", "unmute the (sound|volume|music|audio)", "sound on", "sound back on", "unmute [the] {m} [here]", "turn the sound back on"]),
    ("HassMediaPause", "(pause|pause|hold)", ["pause", "pause it", "pause [the|this] {m}", "pause that", "hold the music", "pause playback", "stop playing", "stop the {m}"]),
    ("HassMediaUnpause", "(play|resume|unpause|continue|play)", ["play", "resume", "unpause", "resume [the|this] {m}", "continue [playing] [the] {m}", "play [the] {m}", "keep playing", "unpause the {m}", "play some music", "continue"]),
    ("HassMediaNext", "(next|skip)", ["next", "skip", "next {m}", "skip [this|the] {m}", "skip to [the] next {m}", "play the next {m}", "go to the next {m}", "skip it", "skip that one", "forward", "next one", "next (chapter|episode)"]),
    ("HassMediaPrevious", "(previous)", ["previous", "go back", "previous {m}", "play the (previous|last) {m}", "go back to the (previous|last) {m}", "last {m}", "one {m} back", "back to the previous {m}", "go to the previous {m}", "replay the {m}", "previous one"]),
):
    bare = [b.replace("{m}", MEDIA) for b in bare] + ([f"{verb} (everything|it all|here|in here|this room)", f"{verb} the {MEDIA} {HERE}", f"{verb} {MEDIA} {HERE}", f"{verb} (this|the) room", f"{verb} {HERE}"] if intent not in ("HassMediaNext", "HassMediaPrevious") else [f"{verb} {MEDIA} (here|in here|please)", f"{verb} {MEDIA} {HERE}", f"{verb} the {MEDIA} {HERE}"])
    _add(intent, 1.2, *bare, ask=True)
    if intent in ("HassMediaNext", "HassMediaPrevious"):
        which = "next" if intent.endswith("Next") else "(previous|last)"
        go = ["skip [to] [the] next", "skip", "next", "go to the next", "play [the] next", "jump to the next", "skip ahead to the next", "advance to the next", "switch to the next"] if which == "next" else ["previous", "go back to the previous", "play the previous", "back to the last", "replay the last", "go to the previous", "skip to the previous", "skip back to the previous"]
        g2 = f"{which} {MEDIA} on" if which == "next" else f"(previous|last) {MEDIA} on"
        _add(intent, 0.9, *[f"{g} on {THE} {{media}}" for g in go], *[f"{g} {MEDIA} on {THE} {{media}}" for g in go], f"{which} on {THE} {{media}}", f"{which} {MEDIA} on {{media}}", f"{{media}} {which} [{MEDIA}]")
        _add(intent, 0.9, *[f"{g} {MEDIA} {IN} {THE} {{area}}" for g in go], *[f"{g} {IN} {THE} {{area}}" for g in go], f"{which} {IN} {THE} {{area}}", f"{g2} {THE} {{area}} {PLAYERS}", f"{THE} {{room}} {which} {MEDIA}", f"{which} {MEDIA} {IN} {THE} {{area}}", f"{FRONT} {THE} {{area}} {which} {MEDIA}", f"{{room}} {which} {MEDIA}", f"skip {MEDIA} {IN} {THE} {{area}}" if which == "next" else f"previous {MEDIA} {IN} {THE} {{area}}")
        continue
    _add(intent, 1, f"{verb} {THE} {{media}}", f"{verb} {{media}}", *([f"{verb} {MEDIA} on {THE} {{media}}", f"{verb} {THE} {{media}} [please]", f"{verb} (playing|playback) on {THE} {{media}}"] if "Media" in intent and "mute" not in intent.lower() else [f"{verb} the (sound|volume|audio) (of|on) {THE} {{media}}"]))
    _add(intent, 0.9, f"{verb} [the] {MEDIA} {IN} {THE} {{area}}", f"{FRONT} {THE} {{area}} {verb} the {MEDIA}", f"{verb} {THE} {{area}} {MEDIA}", f"{verb} {THE} {{area}} {PLAYERS}", f"{verb} [all] [the] {PLAYERS} {IN} {THE} {{area}}", f"{verb} (everything|it all|all|playback) {IN} {THE} {{area}}", f"{verb} what is playing {IN} {THE} {{area}}", *([f"{verb} the (sound|volume|audio) {IN} {THE} {{area}}"] if "ute" in intent else [f"{verb} {IN} {THE} {{area}}"]))
