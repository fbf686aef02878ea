/** Python's `strftime` in the locale C: English, whatever the machine's. */

/** A moment as a wall clock shows it. */
export type WallTime = {
  year: number
  /** From 1. */
  month: number
  day: number
  hour: number
  minute: number
  second: number
  microsecond: number
}

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  ...['January', 'February', 'March', 'April', 'May', 'June'],
  ...['July', 'August', 'September', 'October', 'November', 'December'],
]
const short = (name: string | undefined): string => (name ?? '').slice(0, 3)

/** Days since 1970-01-01, by the Gregorian calendar. */
const dayNumber = (year: number, month: number, day: number): number => {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const ofEra = y - era * 400
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const days = ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear
  return era * 146_097 + days - 719_468
}

const weekday = (number: number): number => (((number + 4) % 7) + 7) % 7

/** Year and week by ISO 8601: the week belongs to the year of its Thursday. */
const isoWeek = (number: number, year: number): [number, number] => {
  const thursday = number + 4 - (weekday(number) || 7)
  let of = year
  while (thursday < dayNumber(of, 1, 1)) of -= 1
  while (thursday >= dayNumber(of + 1, 1, 1)) of += 1
  return [of, Math.floor((thursday - dayNumber(of, 1, 1)) / 7) + 1]
}

type Field = { text: string; pad?: [width: number, fill: string] }

const number = (n: number, width: number, fill = '0'): Field => ({
  text: String(n),
  pad: [width, fill],
})

const fieldOf = (code: string, t: WallTime): Field | undefined => {
  const day = dayNumber(t.year, t.month, t.day)
  const of = weekday(day)
  const yearDay = day - dayNumber(t.year, 1, 1)
  const hour12 = t.hour % 12 || 12
  const whole = (format: string): Field => ({ text: strftime(format, t) })
  const table: Readonly<Record<string, () => Field>> = {
    a: () => ({ text: short(days[of]) }),
    A: () => ({ text: days[of] ?? '' }),
    b: () => ({ text: short(months[t.month - 1]) }),
    B: () => ({ text: months[t.month - 1] ?? '' }),
    c: () => whole('%a %b %e %H:%M:%S %Y'),
    C: () => number(Math.floor(t.year / 100), 2),
    d: () => number(t.day, 2),
    D: () => whole('%m/%d/%y'),
    e: () => number(t.day, 2, ' '),
    f: () => number(t.microsecond, 6),
    F: () => whole('%Y-%m-%d'),
    g: () => number(isoWeek(day, t.year)[0] % 100, 2),
    G: () => number(isoWeek(day, t.year)[0], 4),
    h: () => ({ text: short(months[t.month - 1]) }),
    H: () => number(t.hour, 2),
    I: () => number(hour12, 2),
    j: () => number(yearDay + 1, 3),
    k: () => number(t.hour, 2, ' '),
    l: () => number(hour12, 2, ' '),
    m: () => number(t.month, 2),
    M: () => number(t.minute, 2),
    n: () => ({ text: '\n' }),
    p: () => ({ text: t.hour < 12 ? 'AM' : 'PM' }),
    P: () => ({ text: t.hour < 12 ? 'am' : 'pm' }),
    r: () => whole('%I:%M:%S %p'),
    R: () => whole('%H:%M'),
    S: () => number(t.second, 2),
    t: () => ({ text: '\t' }),
    T: () => whole('%H:%M:%S'),
    u: () => number(of || 7, 1),
    U: () => number(Math.floor((yearDay + 7 - of) / 7), 2),
    V: () => number(isoWeek(day, t.year)[1], 2),
    w: () => number(of, 1),
    W: () => number(Math.floor((yearDay + 7 - ((of + 6) % 7)) / 7), 2),
    x: () => whole('%m/%d/%y'),
    X: () => whole('%H:%M:%S'),
    y: () => number(t.year % 100, 2),
    Y: () => number(t.year, 1),
    // Python's `now()` knows no zone, so these are empty.
    z: () => ({ text: '' }),
    Z: () => ({ text: '' }),
    '%': () => ({ text: '%' }),
  }
  return Object.hasOwn(table, code) ? table[code]?.() : undefined
}

/** A wall clock's time by a format; codes that mean nothing stay as they are. */
export function strftime(format: string, t: WallTime): string {
  return format.replace(
    /%([-_0^#]*)(\d{0,3})([EO]?)([A-Za-z%])/g,
    (whole, flags: string, width: string, _modifier, code: string) => {
      const field = fieldOf(code, t)
      if (!field) return whole
      const [usual, fill] = field.pad ?? [0, ' ']
      let text = field.text
      const flag = [...flags].filter((f) => '-_0'.includes(f)).at(-1)
      const by = flag === '_' ? ' ' : flag === '0' ? '0' : fill
      if (flag !== '-') text = text.padStart(width === '' ? usual : Number(width), by)
      if (flags.includes('^')) text = text.toUpperCase()
      if (flags.includes('#')) text = code === 'p' ? text.toLowerCase() : text.toUpperCase()
      return text
    },
  )
}
