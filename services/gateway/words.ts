/** Words of what a person said and of names: spans, and kinds of devices told by a noun. */

/** A text for comparing: case folded, runs of white space as one space. */
export const folded = (text: string): string =>
  text.normalize('NFC').toUpperCase().toLowerCase().replace(/\s+/g, ' ').trim()

const isLetter = (character: string | undefined): boolean =>
  character !== undefined && /[\p{L}\p{N}\p{M}]/u.test(character)

/** Whether `value` stands in `text` letter by letter, as whole words. */
export const isSpan = (value: string, text: string): boolean => {
  const wanted = folded(value)
  const within = folded(text)
  if (wanted === '') return false
  for (let at = within.indexOf(wanted); at >= 0; at = within.indexOf(wanted, at + 1)) {
    const before = Array.from(within.slice(0, at)).at(-1)
    const after = Array.from(within.slice(at + wanted.length))[0]
    const first = Array.from(wanted)[0]
    const last = Array.from(wanted).at(-1)
    if (!(isLetter(before) && isLetter(first)) && !(isLetter(after) && isLetter(last))) return true
  }
  return false
}

const words = (text: string): string[] => folded(text).match(/[\p{L}\p{N}\p{M}]+/gu) ?? []

/** Nouns of what keeps people out, in the languages that a house may speak. */
const barriers =
  /^(un)?(lock|deadbolt|latch|bolt|door|doorway|gate|garage|entrance|entry|hatch|barrier)s?$|^(front|back|side|garage|patio)(door|gate)s?$|tür(en)?$|tore?$|schloss$|schlösser$|garagen?|pforte|^porte?s?$|^portail|^portillon|^serrure|^puertas?$|^portón|^cerradura|^garaje|^cochera|^verja|^cancela|^barrière/u

/** Nouns of devices that keep nobody out. */
const harmless = new Set(
  `light lights lamp lamps lantern bulb bulbs led leds strip chandelier spotlight spotlights
   downlight downlights uplighter sconce candle candles fan fans ventilator heater heaters radiator
   radiators boiler thermostat climate conditioner ac aircon humidifier dehumidifier purifier tv
   television telly radio stereo speaker speakers soundbar amplifier receiver projector console
   music player plug plugs socket sockets outlet outlets switch strip kettle toaster oven stove
   microwave fridge freezer dishwasher washer dryer coffee machine maker printer computer pc
   monitor router charger pump fountain sprinkler sprinklers tree blanket mirror towel vacuum
   mower iron scene script camera screen
   licht lichter lampe lampen leuchte ventilator heizung fernseher steckdose schalter radio
   lumière lumières lampe lampes ventilateur chauffage télévision prise
   luz luces lámpara lámparas ventilador calefacción televisión enchufe`
    .trim()
    .split(/\s+/),
)

/** Nouns of covers that keep nobody out. */
const blinds =
  /^(blind|curtain|drape|shade|shutter|awning|window|skylight|louver|louvre|screen|canopy)s?$|jalousien?|rollos?|rolll[aä]den|vorh[aä]nge?|fenster|markise|^volets?$|^rideaux?$|^stores?$|^fenêtres?$|^persianas?$|^cortinas?$|^toldos?$|^ventanas?$/u

/** Whether a name speaks of a lock, door, gate or garage, and not of a device at one. */
export const namesBarrier = (name: string): boolean => {
  const all = words(name)
  return all.some((w) => barriers.test(w)) && !harmless.has(all.at(-1) ?? '')
}

/** Whether any word of a text speaks of a lock, door, gate or garage, or of unlocking. */
export const mentionsBarrier = (text: string): boolean =>
  words(text).some(
    (w) =>
      barriers.test(w) || /^(unlock|entriegel|entsperr|aufschlie|déverrouill|desbloque)/u.test(w),
  )

/** Whether a name is that of a device which is no lock, told by one of its nouns. */
export const namesDevice = (name: string): boolean =>
  words(name).some((w) => harmless.has(w)) && !namesBarrier(name)

/** Whether a name is that of a blind, curtain, window and the like. */
export const namesBlind = (name: string): boolean =>
  words(name).some((w) => blinds.test(w)) && !namesBarrier(name)

/** What Home Assistant would take for a template. */
export const hasTemplate = (text: string): boolean => /\{[{%#]/.test(text)

/** The text with what looks like a template broken up: it is read as it is spoken. */
export const withoutTemplates = (text: string): string => text.replace(/\{(?=[{%#])/g, '{ ')
