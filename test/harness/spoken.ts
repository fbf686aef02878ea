/** What each sentence of the speech grammar means: the intent and slots that are right. */

export type Meaning = { intent: string; slots: Record<string, string | number> }
/** A question back is right, too, where a command names no place. */
export type Expected = Meaning | 'Which room?'

const tens = ['ten', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety']
const small =
  'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty'.split(
    ' ',
  )

/** A number in words, as the grammar has them. */
export const numberOf = (words: string): number => {
  const [first = '', second] = words.split(' ')
  const ten = tens.indexOf(first)
  if (second !== undefined) return (ten + 1) * 10 + small.indexOf(second) + 1
  return ten >= 0 ? (ten + 1) * 10 : small.indexOf(first) + 1
}

const singular = (cover: string): string => cover.replace(/s$/, '')
const onOff = (word: string): string => (word === 'on' ? 'HassTurnOn' : 'HassTurnOff')
const openClose = (word: string): string => (word === 'open' ? 'HassTurnOn' : 'HassTurnOff')

type Rule = [RegExp, (...captured: string[]) => Expected]

const thing = (intent: string, what: string): Expected => {
  const room = /^(.+) lights$/.exec(what)?.[1]
  if (what === 'lights') return 'Which room?'
  return room
    ? { intent, slots: { area: room, domain: 'light' } }
    : { intent, slots: { name: what } }
}
const plain = (intent: string, slots: Meaning['slots'] = {}): Meaning => ({ intent, slots })

const rules: readonly Rule[] = [
  [/^turn (on|off) the (.+)$/, (way = '', what = '') => thing(onOff(way), what)],
  [/^turn the (.+) (on|off)$/, (what = '', way = '') => thing(onOff(way), what)],
  [
    /^switch (on|off) the lights in the (.+)$/,
    (way = '', room = '') => thing(onOff(way), `${room} lights`),
  ],
  [
    /^set the (.+) lights to (\w+) percent$/,
    (area = '', n = '') =>
      plain('HassLightSet', { area, domain: 'light', brightness: numberOf(n) }),
  ],
  // Without a room or a player all of the house would be meant.
  [/^(?:set the volume to \w+ percent|turn the volume (?:up|down))$/, () => 'Which room?'],
  [/^(?:pause the music|next song|previous song)$/, () => 'Which room?'],
  [
    /^(?:dim|set the brightness of) the (.+) to (\w+) percent$/,
    (name = '', n = '') => plain('HassLightSet', { name, brightness: numberOf(n) }),
  ],
  [
    /^set the temperature in the (.+) to (.+) degrees$/,
    (area = '', n = '') => plain('HassClimateSetTemperature', { area, temperature: numberOf(n) }),
  ],
  [/^set the (.+) to (\w+)$/, (name = '', color = '') => plain('HassLightSet', { name, color })],
  [
    /^turn the (.+) lights (\w+)$/,
    (area = '', color = '') => plain('HassLightSet', { area, domain: 'light', color }),
  ],
  [
    /^(open|close) the (blinds|curtains|shutters) in the (.+)$/,
    (way = '', cover = '', area = '') =>
      plain(openClose(way), { area, domain: 'cover', device_class: singular(cover) }),
  ],
  [
    /^(open|close) the (.+) (blinds|curtains|shutters)$/,
    (way = '', area = '', cover = '') =>
      plain(openClose(way), { area, domain: 'cover', device_class: singular(cover) }),
  ],
  [
    /^(un)?lock the (.+)$/,
    (un = '', name = '') => plain(un ? 'HassTurnOff' : 'HassTurnOn', { name, domain: 'lock' }),
  ],
  [
    /^(?:set a timer for (\w+) minutes|start a (\w+) minute timer)$/,
    (a = '', b = '') => plain('HassStartTimer', { minutes: numberOf(a || b) }),
  ],
  [/^cancel the timer$/, () => plain('HassCancelTimer')],
  [/^pause the timer$/, () => plain('HassPauseTimer')],
  [/^how much time is left/, () => plain('HassTimerStatus')],
  [/^mute the (.+)$/, (name = '') => plain('HassMediaPlayerMute', { name })],
  [/^add (\w+) to the (.+)$/, (item = '', name = '') => plain('HassListAddItem', { name, item })],
  [
    /^remove (\w+) from the (.+)$/,
    (item = '', name = '') => plain('HassListRemoveItem', { name, item }),
  ],
  [/^how warm is it in the (.+)$/, (area = '') => plain('HassClimateGetTemperature', { area })],
  [/^what time is it$/, () => plain('HassGetCurrentTime')],
  [/^what day is it$/, () => plain('HassGetCurrentDate')],
  [/^what is the weather$/, () => plain('HassGetWeather')],
  [/^never mind$/, () => plain('HassNevermind')],
  [/^start the vacuum$/, () => plain('HassVacuumStart')],
  [/^send the vacuum home$/, () => plain('HassVacuumReturnToBase')],
  [/^activate the (.+) scene$/, (name = '') => plain('HassTurnOn', { name, domain: 'scene' })],
  [
    /^are the lights on in the (.+)$/,
    (area = '') => plain('HassGetState', { area, domain: 'light', state: 'on' }),
  ],
  [
    /^is the (.+) locked$/,
    (name = '') => plain('HassGetState', { name, domain: 'lock', state: 'locked' }),
  ],
]

/** What is right for a sentence; undefined where it means nothing by itself ("the kitchen"). */
export const expectedOf = (sentence: string): Expected | undefined => {
  const text = sentence.replace(/^please | please$/g, '')
  for (const [rule, make] of rules) {
    const found = rule.exec(text)
    if (found) return make(...found.slice(1).map((s) => s ?? ''))
  }
  return undefined
}
