/** Words of what a person said and of names: spans, and kinds of devices told by a noun. */

/** A text for comparing: case folded, runs of white space as one space. */
export const folded = (text: string): string =>
  text.normalize('NFC').toUpperCase().toLowerCase().replace(/\s+/g, ' ').trim()

/** Where `value` stands in `text` (both folded) as whole words, from `from`; −1: nowhere. */
const findSpan = (value: string, text: string, from = 0): number => {
  // An apostrophe within a word does not end it, but for a possessive: of "mum's", "mum" is a
  // word and "s" is none.
  const before = /(?:[\p{L}\p{N}\p{M}]|[\p{L}\p{N}\p{M}]['’])$/u
  const after = /^(?!['’]s(?![\p{L}\p{N}\p{M}]))['’]?[\p{L}\p{N}\p{M}]/u
  if (!/[\p{L}\p{N}]/u.test(value)) return -1
  for (let at = text.indexOf(value, from); at >= 0; at = text.indexOf(value, at + 1)) {
    const cutsBefore = before.test(text.slice(0, at)) && /^[\p{L}\p{N}\p{M}'’]/u.test(value)
    const rest = text.slice(at + value.length)
    const cutsAfter = after.test(rest) && /[\p{L}\p{N}\p{M}'’]$/u.test(value)
    if (!cutsBefore && !cutsAfter) return at
  }
  return -1
}

/** Whether `value` stands in `text` letter by letter, as whole words. */
export const isSpan = (value: string, text: string): boolean =>
  findSpan(folded(value), folded(text)) >= 0

/** A text, folded, without the words of a span. */
export const withoutSpan = (text: string, value: string): string => {
  const wanted = folded(value)
  let rest = folded(text)
  for (let at = findSpan(wanted, rest); at >= 0; at = findSpan(wanted, rest, at))
    rest = `${rest.slice(0, at)} ${rest.slice(at + wanted.length)}`
  return rest
}

const words = (text: string): string[] => folded(text).match(/[\p{L}\p{N}\p{M}]+/gu) ?? []

/** Nouns of what keeps people out, in the languages that a home may speak. */
const barriers =
  /^(un)?(lock|deadbolt|padlock|latch|bolt|door|doorway|gate|garage|carport|entrance|entry|hatch|barrier|strike|turnstile)s?$|^(front|back|side|garage|patio)(door|gate)s?$|tür(en)?$|^(garagen|hof|einfahrts?|schiebe|roll|garten|gitter|haupt|eingangs|sektional|schwing)?tore?$|schloss$|schlösser$|garagen?|einfahrt|pforte|^porte?s?$|^portail|^portillon|^serrure|^puertas?$|^portón|^cerradura|^garaje|^cochera|^verja|^cancela|^barrière/u

const nouns = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/** Nouns of devices that keep nobody out, even where their name mentions a door. */
const certain = nouns(
  `fireplace light lights lamp lamps lantern bulb bulbs led leds chandelier spotlight spotlights
   downlight downlights uplighter sconce candle candles fan fans ventilator heater heaters radiator
   radiators boiler thermostat climate heating ac aircon humidifier dehumidifier purifier tv
   television telly radio stereo speaker speakers soundbar
   licht lichter lampe lampen leuchte leuchten ventilator heizung fernseher
   lumière lumières ventilateur chauffage télévision
   luz luces lámpara lámparas ventilador calefacción televisión`,
)

const isCertain = (word: string): boolean =>
  certain.has(word) || /(light|lamp|lampe|leuchte)[ns]?$/u.test(word)

/** Nouns of devices that keep nobody out, but may work what does: a plug, a scene. */
const likely = nouns(
  `strip conditioner amplifier receiver projector console player plug plugs socket sockets
   outlet outlets switch kettle toaster oven stove microwave fridge freezer dishwasher washer
   dryer machine maker printer computer pc monitor router charger pump fountain sprinkler
   sprinklers tree blanket mirror towel vacuum mower iron scene script camera screen
   steckdose schalter prise enchufe`,
)

/** Nouns of covers that keep nobody out. */
const blinds =
  /(blind|curtain|drape|shade|shutter|awning)s?$|^(window|skylight|louver|louvre|screen|canopy)s?$|jalousien?|rollos?|rolll[aä]den|vorh[aä]nge?|fenster|markise|^volets?$|^rideaux?$|^stores?$|^fenêtres?$|^persianas?$|^cortinas?$|^toldos?$|^ventanas?$/u

/** Whether a name is that of a light, a heater and the like, whatever else it mentions. */
export const namesCertain = (name: string): boolean => isCertain(words(name).at(-1) ?? '')

/** Whether a name speaks of a lock, door, gate or garage, and not of a light or the like at one. */
export const namesBarrier = (name: string): boolean =>
  words(name).some((w) => barriers.test(w)) && !namesCertain(name)

/** Whether any word of a text speaks of unlocking. */
export const saysUnlock = (text: string): boolean =>
  words(text).some((w) =>
    /^(unlock|unbolt|unlatch|entriegel|entsperr|aufschlie|déverrouill|desbloque)/u.test(w),
  )

/** Whether any word of a text speaks of opening. */
export const saysOpen = (text: string): boolean =>
  words(text).some((w) =>
    /^(open|opens|opened|opening|unfold|raise|lift|roll|öffne|öffnen|aufmachen|hochfahren|ouvre|ouvrir|ouvrez|abre|abrir|abra)$/u.test(
      w,
    ),
  )

/** Whether any word of a text speaks of a lock, door, gate or garage, or of unlocking. */
export const mentionsBarrier = (text: string): boolean =>
  words(text).some((w) => barriers.test(w)) || saysUnlock(text)

/** Whether a name is that of a device which is no lock, told by one of its nouns. */
export const namesDevice = (name: string): boolean =>
  words(name).some((w) => isCertain(w) || likely.has(w)) && !namesBarrier(name)

/** Whether a name is that of a blind, curtain, window and the like. */
export const namesBlind = (name: string): boolean =>
  words(name).some((w) => blinds.test(w)) && !namesBarrier(name)

/** What Home Assistant would take for a template. */
export const hasTemplate = (text: string): boolean => /\{[{%#]/.test(text)

/** The text with what looks like a template broken up: it is read as it is spoken. */
export const withoutTemplates = (text: string): string => text.replace(/\{(?=[{%#])/g, '{ ')
