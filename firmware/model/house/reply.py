"""The short, neutral words after an intent. They are a function of the intent alone."""

from __future__ import annotations

SILENT = {"HassGetState", "HassGetCurrentTime", "HassGetCurrentDate", "HassGetWeather", "HassTimerStatus", "HassClimateGetTemperature"}
ORDER = ["name", "item", "area", "floor", "domain", "device_class", "state", "brightness", "color", "temperature", "position", "percentage", "fan_mode", "volume_level", "volume_step", "hours", "minutes", "seconds", "start_hours", "start_minutes", "start_seconds", "conversation_command"]
REFUSAL = "Sorry, I don't know that."
ASK = "Which room?"
_FIXED = {"HassSetVolume": "volume", "HassSetVolumeRelative": "volume", "HassMediaPlayerMute": "mute", "HassMediaPlayerUnmute": "sound on", "HassMediaPause": "pause", "HassMediaUnpause": "play", "HassMediaNext": "next", "HassMediaPrevious": "previous", "HassVacuumStart": "vacuum", "HassVacuumCleanArea": "vacuum", "HassVacuumReturnToBase": "vacuum back to base", "HassCancelAllTimers": "all timers", "HassStartTimer": "timer", "HassCancelTimer": "timer cancelled", "HassPauseTimer": "timer paused", "HassUnpauseTimer": "timer on", "HassIncreaseTimer": "more time", "HassDecreaseTimer": "less time", "HassStopMoving": "stop"}
_FIXED.update({"HassCancelTimer": "cancel timer", "HassPauseTimer": "pause timer", "HassUnpauseTimer": "resume timer", "HassCancelAllTimers": "cancel all timers"})
_NOUN = {"light": "lights", "fan": "fan", "lock": "lock", "blind": "blinds", "curtain": "curtains", "shutter": "shutters", "awning": "awning", "shade": "shades", "garage": "garage door", "gate": "gate", "door": "door", "window": "window"}


def ordered(slots: dict[str, object]) -> dict[str, object]:
    """Slots in the one order in which they are written."""
    return {key: slots[key] for key in sorted(slots, key=ORDER.index)}


def reply(intent: str, slots: dict[str, object]) -> str:
    """What is said after the intent's line; empty where the house itself answers."""
    if intent in SILENT:
        return ""
    parts: list[str] = []
    if "item" in slots:
        parts = [str(slots["item"]), str(slots["name"])]
    elif intent in _FIXED:
        parts = [_FIXED[intent]]
        if "name" in slots or "area" in slots or "floor" in slots:
            parts.append(str(slots.get("name") or slots.get("area") or slots.get("floor")))
    elif "name" in slots:
        parts = [str(slots["name"])]
    elif "area" in slots or "floor" in slots:
        noun = _NOUN.get(str(slots.get("device_class", slots.get("domain"))), "")
        if intent == "HassFanSetSpeed":
            noun = "fan"
        parts = [f"{slots.get('area', slots.get('floor'))} {noun}".strip()]
    for key, unit in (("brightness", "percent"), ("position", "percent"), ("percentage", "percent")):
        if key in slots:
            parts.append(f"{slots[key]} {unit}")
    if "volume_level" in slots or "volume_step" in slots:
        parts[0] += f" {slots.get('volume_level', slots.get('volume_step'))}"
    if "color" in slots:
        parts.append(str(slots["color"]))
    if "temperature" in slots:
        parts.append(f"{slots['temperature']} {'kelvin' if intent == 'HassLightSet' else 'degrees'}")
    if "fan_mode" in slots:
        parts.append(f"fan {slots['fan_mode']}")
    return "OK" + "".join(", " + p for p in parts) + "."
