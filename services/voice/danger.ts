/**
 * What may unlock or open something that keeps people out: judged by the intent's slots and by
 * what was said, since older releases switch what is not exposed, and a name alone may be that
 * of a lock or a garage door. Pure.
 */
import type { Circumstances, Intent } from './intent.ts'
import {
  isSpan,
  mentionsBarrier,
  namesBarrier,
  namesBlind,
  namesCertain,
  namesDevice,
  saysOpen,
  saysUnlock,
  withoutSpan,
} from './words.ts'

/** Why something is not done without `allow_unlock`; undefined: it does no harm. */
export type Danger = 'unlocking' | 'opening' | 'unclear kind'

const barrierClasses = ['door', 'garage', 'garage_door', 'gate', 'lock']
/** Domains in which a name with a barrier in it is that of a device beside it. */
const harmlessDomains = ['climate', 'fan', 'light', 'media_player']

/**
 * What was said, as far as it bears on this intent: the turn before as well, unless every place
 * and name was said now. A room's or floor's own words tell nothing ("the blinds in the garage").
 */
const context = ({ slots }: Intent, { said, saidBefore }: Circumstances): string => {
  const given = [slots.name, slots.area, slots.floor].filter((v) => typeof v === 'string')
  const whole = given.length > 0 && given.every((value) => isSpan(value, said))
  const places = [slots.area, slots.floor].filter((v) => typeof v === 'string')
  const texts = whole || saidBefore === undefined ? [said] : [said, saidBefore]
  return texts.map((text) => places.reduce(withoutSpan, text)).join('\n')
}

/** Whether the name, or else what was said around it, speaks of a lock, door, gate or garage. */
const meansBarrier = (intent: Intent, heard: string): boolean => {
  const { name } = intent.slots
  if (typeof name !== 'string') return mentionsBarrier(heard)
  if (namesBarrier(name)) return true
  // "garage light" is a light, whatever else was said.
  return !namesCertain(name) && mentionsBarrier(withoutSpan(heard, name))
}

/** Whether carrying it out may unlock something. */
const unlocks = (intent: Intent, heard: string): Danger | undefined => {
  if (intent.name !== 'HassTurnOff' && intent.name !== 'HassToggle') return undefined
  const { name, domain } = intent.slots
  if (domain === 'lock') return 'unlocking'
  // Closing is no danger; a light is none at all.
  if (typeof domain === 'string') {
    if (harmlessDomains.includes(domain) || typeof name !== 'string') return undefined
    if (domain === 'cover' || domain === 'valve') return undefined
    return meansBarrier(intent, heard) ? 'unlocking' : undefined
  }
  if (typeof name !== 'string') return 'unlocking'
  if (meansBarrier(intent, heard) || saysUnlock(heard)) return 'unlocking'
  return namesDevice(name) ? undefined : 'unclear kind'
}

/** Whether carrying it out may open a garage door, a gate or a door. */
const opens = (intent: Intent, heard: string, { recent }: Circumstances): Danger | undefined => {
  const { name, domain, position, device_class: kind } = intent.slots
  const sets = intent.name === 'HassSetPosition' && position !== 0
  if (intent.name !== 'HassTurnOn' && intent.name !== 'HassToggle' && !sets) return undefined
  if (domain === 'lock') return undefined
  if (typeof domain === 'string' && harmlessDomains.includes(domain)) return undefined
  if (typeof kind === 'string' && barrierClasses.includes(kind)) return 'opening'
  if (meansBarrier(intent, heard)) return 'opening'
  const named = typeof name === 'string'
  // Without a class, only the name can tell that it is a blind.
  if (domain === 'cover' || (sets && domain !== 'valve'))
    return kind !== undefined || (named && namesBlind(name)) ? undefined : 'opening'
  if (domain === 'valve' || domain === 'scene' || !named) return undefined
  if (namesDevice(name) || namesBlind(name)) return undefined
  if (saysOpen(heard)) return 'opening'
  return recent || domain !== undefined ? undefined : 'unclear kind'
}

/** What may happen if an intent is carried out; undefined: nothing that keeps people out moves. */
export const dangerOf = (intent: Intent, circumstances: Circumstances): Danger | undefined => {
  const command = intent.slots.conversation_command
  if (typeof command === 'string' && (mentionsBarrier(command) || saysUnlock(command)))
    return 'unlocking'
  const heard = context(intent, circumstances)
  return unlocks(intent, heard) ?? opens(intent, heard, circumstances)
}
