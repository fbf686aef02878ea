/** Fixed sentences that are spoken, and our own templates for what only Home Assistant knows. */
import type { Reason } from './guard.ts'
import type { Intent } from './intent.ts'

export const sentences = {
  whichRoom: 'Which room?',
  whichOne: 'Which one?',
  notUnderstood: 'Sorry, I did not get that.',
  tooLong: 'That was too long for me. Please say it in fewer words.',
  tooLate: 'Sorry, that took too long. Please try again.',
  notReady: 'I am not ready yet. Please try again in a moment.',
  noModel: 'No model is loaded yet.',
  broken: 'Sorry, something is wrong here, and it will not go away by itself.',
  noCommands: 'I am not allowed to switch things in this house.',
  cannotTell: 'Sorry, I cannot tell; this Home Assistant does not let me look it up.',
  noClock: 'Sorry, my clock is not set, so I cannot tell the time.',
  garbled: 'Sorry, that message was garbled.',
  crowded: 'Too many callers at once. Please try again in a moment.',
  done: 'OK.',
} as const

/** Why an intent was not carried out, for the person. */
export const reasonSentence = (reason: Reason): string => {
  switch (reason) {
    case 'no place':
      return sentences.whichRoom
    case 'unlocking':
      return 'Sorry, I am not allowed to unlock anything.'
    case 'opening':
      return 'Sorry, I am not allowed to open doors, gates or garages.'
    case 'unclear kind':
      return 'Sorry, its name does not tell me what it is, so I leave it as it is.'
    case 'release':
      return 'Sorry, this Home Assistant is too old for that.'
    case 'not said':
    case 'cut short':
      return 'Sorry, I am not sure which one you mean.'
    case 'unsure':
      return 'Sorry, I am not sure what you mean. Please say it another way.'
    case 'slot value':
      return 'Sorry, I did not get the value.'
    case 'template':
    case 'unknown intent':
    case 'unknown slot':
    case 'slot combination':
      return 'Sorry, I cannot do that.'
  }
}

/**
 * Spoken texts that Home Assistant 2026.11 renders with what its handler found. Nothing of
 * the model's or the person's goes into them.
 */
const templates: Readonly<Record<string, string>> = {
  HassGetState: '{{ state.state }}.',
  HassGetCurrentTime: "It is {{ now().strftime('%H:%M') }}.",
  HassGetCurrentDate: "It is {{ now().strftime('%A, %-d %B %Y') }}.",
  HassGetWeather:
    "{{ state.state | replace('-', ' ') }}{% if state.attributes.temperature is defined %}, {{ state.attributes.temperature }} degrees{% endif %}.",
  HassClimateGetTemperature:
    "{% set measured = state_attr(state.entity_id, 'current_temperature') %}{{ state.state if measured is none else measured }} degrees.",
  HassTimerStatus:
    '{% set timers = slots.timers | default([]) %}{% if not timers %}No timer is set.{% else %}{% for timer in timers %}{{ timer.total_seconds_left // 60 }} minutes and {{ timer.total_seconds_left % 60 }} seconds{% if not timer.is_active %}, paused{% endif %}{% if not loop.last %}; {% endif %}{% endfor %}.{% endif %}',
}

/** A question about one or several devices' state: yes, no, or which. */
const stateQuery =
  "{% if query is not defined %}{{ state.state }}{% elif query.matched %}Yes: {{ query.matched | map(attribute='name') | sort | join(', ') }}{% else %}No{% endif %}."

/** The template of an intent that asks; undefined where it asks nothing. */
export const templateOf = (intent: Intent): string | undefined =>
  intent.name === 'HassGetState' && 'state' in intent.slots ? stateQuery : templates[intent.name]

const two = (n: number): string => String(n).padStart(2, '0')
const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months =
  'January February March April May June July August September October November December'.split(' ')

/** Time or date from our own clock, in the local time zone. */
export const clockSentence = (intent: string, now: Date | undefined): string | undefined => {
  if (intent !== 'HassGetCurrentTime' && intent !== 'HassGetCurrentDate') return undefined
  if (!now) return sentences.noClock
  if (intent === 'HassGetCurrentTime') return `It is ${now.getHours()}:${two(now.getMinutes())}.`
  return `It is ${days[now.getDay()]}, ${now.getDate()} ${months[now.getMonth()]} ${now.getFullYear()}.`
}
