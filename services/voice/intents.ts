/**
 * The table of intents that may go out to Home Assistant: slots, their types, and which of
 * them may come together. What is not here is not sent. It is checked against the package
 * `home-assistant-intents` in test/gateway/intents.test.ts.
 *
 * Combinations that hold only with the speaker's area are left out: no release adds it, so they
 * would reach the whole home.
 *
 * In a combination `duration` stands for hours, minutes and seconds (at least one of them) and
 * `started` for start_hours, start_minutes and start_seconds. Where there is a name, `domain`
 * and `device_class` may be left out or given: Home Assistant itself takes them from the
 * entity, and as slots they only narrow it down.
 */

/** How a slot's value is checked. */
export type SlotKind =
  /** Letter by letter what the person said, in this turn or the one before. */
  | { kind: 'said' }
  /** One of these words. */
  | { kind: 'word'; words: readonly string[] }
  /** One of these words, or what the person said. */
  | { kind: 'word or said'; words: readonly string[] }
  | { kind: 'integer'; low: number; high: number }
  | { kind: 'number'; low: number; high: number }
  /** One of these words, or an integer. */
  | { kind: 'word or integer'; words: readonly string[]; low: number; high: number }

const said: SlotKind = { kind: 'said' }
const integer = (low: number, high: number): SlotKind => ({ kind: 'integer', low, high })
const list = (text: string): string[] => text.trim().split(/\s+/)

/** CSS's names of colours, which Home Assistant wants in every language. */
const colors = list(`aliceblue antiquewhite aqua aquamarine azure beige bisque black
  blanchedalmond blue blueviolet brown burlywood cadetblue chartreuse chocolate coral
  cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod darkgray darkgreen
  darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon
  darkseagreen darkslateblue darkslategray darkslategrey darkturquoise darkviolet deeppink
  deepskyblue dimgray dimgrey dodgerblue firebrick floralwhite forestgreen fuchsia gainsboro
  ghostwhite gold goldenrod gray green greenyellow grey homeassistant honeydew hotpink indianred
  indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon lightblue lightcoral lightcyan
  lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon lightseagreen
  lightskyblue lightslategray lightslategrey lightsteelblue lightyellow lime limegreen linen
  magenta maroon mediumaquamarine mediumblue mediumorchid mediumpurple mediumseagreen
  mediumslateblue mediumspringgreen mediumturquoise mediumvioletred midnightblue mintcream
  mistyrose moccasin navajowhite navy oldlace olive olivedrab orange orangered orchid
  palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff peru pink plum
  powderblue purple rebeccapurple red rosybrown royalblue saddlebrown salmon sandybrown seagreen seashell
  sienna silver skyblue slateblue slategray slategrey snow springgreen steelblue tan teal
  thistle tomato turquoise violet wheat white whitesmoke yellow yellowgreen`)

const domains = list(`binary_sensor button climate cover fan humidifier input_boolean
  input_button lawn_mower light lock media_player person scene script sensor switch todo
  vacuum valve water_heater weather`)

const deviceClasses = list(`awning battery blind carbon_monoxide cold connectivity curtain damper
  door garage garage_door gas gate heat humidity light lock moisture motion moving occupancy
  opening outlet plug power presence problem receiver running safety shade shutter smoke sound
  speaker switch tamper temperature tv update vibration water window`)

const states = list(`on off open opened opening closed closing locked unlocked home not_home
  away playing paused idle standby heat cool auto dry fan_only cleaning docked returning wet
  dry detected clear low normal charging connected disconnected`)

/** Every slot's type, whatever the intent. */
export const slots: Readonly<Record<string, SlotKind>> = {
  name: said,
  area: said,
  floor: said,
  item: said,
  message: said,
  search_query: said,
  conversation_command: said,
  mode: said,
  domain: { kind: 'word', words: domains },
  device_class: { kind: 'word', words: deviceClasses },
  media_class: {
    kind: 'word',
    words: list(`album app artist channel composer directory episode game genre image movie music
      playlist podcast season track tv_show url video`),
  },
  state: { kind: 'word or said', words: states },
  fan_mode: {
    kind: 'word or said',
    words: list('on off auto low medium middle high top quiet focus diffuse turbo eco'),
  },
  brightness: integer(0, 100),
  position: integer(0, 100),
  percentage: integer(0, 100),
  volume_level: integer(0, 100),
  humidity: integer(0, 100),
  volume_step: { kind: 'word or integer', words: ['up', 'down'], low: -100, high: 100 },
  color: { kind: 'word', words: colors },
  temperature: { kind: 'number', low: -60, high: 20_000 },
  hours: integer(0, 999),
  minutes: integer(0, 9_999),
  seconds: integer(0, 99_999),
  start_hours: integer(0, 999),
  start_minutes: integer(0, 9_999),
  start_seconds: integer(0, 99_999),
}

/** Domains by combination. */
type DomainsOf = Readonly<Record<string, readonly string[]>>

export type IntentRow = {
  /** Slots that the intent has. */
  slots: readonly string[]
  /** Which slots may come together; each in alphabetical order. */
  combinations: readonly string[]
  /**
   * Combinations that Home Assistant's sentences lack and its handlers take (INTENTS, and what
   * its own code does): said here, so that the comparison with its table stays exact.
   */
  beyond?: readonly string[]
  /**
   * What `domain` may be in a combination, where it is given; where a combination is not named
   * here, it is not given.
   */
  domains?: DomainsOf
  /** Domains that Home Assistant's sentences lack and its handlers take, likewise. */
  domainsBeyond?: DomainsOf
  /** Needs a name, an area or a floor: without, it would reach the whole home. */
  place?: true
  /** Handled by releases that send a language only (2026.11). */
  recent?: true
  /** Its answer is made by Home Assistant: the spoken text is a template of ours (`speech.ts`). */
  asks?: true
}

const places = ['name', 'area', 'floor'] as const
const target = [...places, 'domain', 'device_class']
const started = ['start_hours', 'start_minutes', 'start_seconds']
const duration = ['hours', 'minutes', 'seconds']

/** How switches are addressed. */
const switched = [
  'name',
  'area name',
  'floor name',
  'area domain',
  'domain floor',
  'area device_class domain',
  'device_class domain floor',
]
/** The same with a further slot, in alphabetical order. */
const withSlot = (slot: string, combinations: readonly string[]): string[] =>
  combinations.map((c) => [...c.split(' ').filter((s) => s !== ''), slot].sort().join(' '))
const lightSlots = ['brightness', 'color', 'temperature']
const timers = ['', 'area', 'name', 'started']
const changes = withSlot('duration', timers)
const timer = { slots: [...started, 'name', 'area'], combinations: timers }
const change = { slots: [...duration, ...started, 'name', 'area'], combinations: changes }
const player: IntentRow = {
  slots: ['name', 'area'],
  combinations: ['area', 'name'],
  place: true,
}
const mute: IntentRow = {
  slots: ['name', 'area'],
  combinations: ['name'],
  beyond: ['area'],
  place: true,
}
const mower: IntentRow = { slots: ['name'], combinations: ['name'], place: true }

/** The same domains in several combinations. */
const domainsIn = (combinations: readonly string[], domains: string): DomainsOf =>
  Object.fromEntries(combinations.map((c) => [c, list(domains)]))

const appliances = 'climate cover fan input_boolean light media_player switch valve'
const ofRoom = ['area domain', 'domain floor']
const covers = ['area device_class domain', 'device_class domain floor']
const switchedDomains: DomainsOf = {
  ...domainsIn(['name', 'area name'], `${appliances} lock`),
  ...domainsIn(['floor name'], appliances),
  ...domainsIn(ofRoom, 'fan light'),
  ...domainsIn(covers, 'cover'),
}
const locks = domainsIn([...ofRoom, 'floor name'], 'lock')

/** Every intent that may be sent. */
export const intents: Readonly<Record<string, IntentRow>> = {
  HassTurnOn: {
    slots: target,
    combinations: switched,
    domains: {
      ...switchedDomains,
      name: list(`${appliances} lock button input_button scene script`),
      'area name': list(`${appliances} lock scene`),
    },
    domainsBeyond: locks,
    place: true,
  },
  HassTurnOff: {
    slots: target,
    combinations: switched,
    domains: switchedDomains,
    domainsBeyond: locks,
    place: true,
  },
  HassToggle: {
    slots: target,
    combinations: [],
    beyond: switched,
    domainsBeyond: {
      ...switchedDomains,
      ...domainsIn(ofRoom, 'fan light lock'),
      'floor name': list(`${appliances} lock`),
    },
    place: true,
  },
  HassLightSet: {
    slots: [...places, 'domain', ...lightSlots],
    combinations: lightSlots.flatMap((slot) =>
      withSlot(slot, ['name', 'area domain', 'domain floor']),
    ),
    beyond: lightSlots.flatMap((slot) => withSlot(slot, ['area name', 'floor name'])),
    domains: domainsIn(
      lightSlots.flatMap((slot) => withSlot(slot, ['name', ...ofRoom])),
      'light',
    ),
    domainsBeyond: domainsIn(
      lightSlots.flatMap((slot) => withSlot(slot, ['area name', 'floor name'])),
      'light',
    ),
    place: true,
  },
  HassSetPosition: {
    slots: [...target, 'position'],
    combinations: withSlot('position', ['name', 'area name', 'floor name', ...covers]),
    domains: {
      'name position': list('cover valve'),
      ...domainsIn(withSlot('position', ['area name', 'floor name', ...covers]), 'cover'),
    },
    domainsBeyond: domainsIn(withSlot('position', ['area name', 'floor name']), 'valve'),
    place: true,
  },
  HassStopMoving: {
    slots: target,
    combinations: [],
    beyond: ['name', 'area name', 'floor name', ...covers],
    domainsBeyond: {
      ...domainsIn(['name', 'area name', 'floor name'], 'cover valve'),
      ...domainsIn(covers, 'cover'),
    },
    place: true,
  },
  HassGetState: {
    slots: [...target, 'state'],
    combinations: [
      'name',
      'name state',
      'area name state',
      'floor name state',
      'domain state',
      'area domain state',
      'domain floor state',
      'device_class domain state',
      'area device_class domain state',
      'device_class domain floor state',
    ],
    domains: {
      name: list('climate cover fan light lock media_player person sensor switch valve'),
      'name state': list('binary_sensor cover fan light lock person switch valve'),
      ...domainsIn(['area name state', 'floor name state'], 'binary_sensor cover lock'),
      'domain state': list('fan light lock person switch'),
      ...domainsIn(['area domain state', 'domain floor state'], 'fan light lock switch'),
      ...domainsIn(withSlot('state', ['device_class domain', ...covers]), 'cover'),
    },
    asks: true,
  },
  HassGetCurrentTime: { slots: [], combinations: [''], asks: true },
  HassGetCurrentDate: { slots: [], combinations: [''], asks: true },
  HassGetWeather: { slots: ['name'], combinations: ['', 'name'], asks: true },
  HassNevermind: { slots: [], combinations: [''] },
  HassBroadcast: { slots: ['message'], combinations: ['message'] },
  HassStartTimer: {
    slots: [...duration, 'name', 'conversation_command'],
    combinations: ['duration', 'duration name', 'conversation_command duration'],
    recent: true,
  },
  HassCancelTimer: timer,
  HassPauseTimer: timer,
  HassUnpauseTimer: timer,
  HassTimerStatus: { ...timer, asks: true },
  HassIncreaseTimer: change,
  HassDecreaseTimer: change,
  HassCancelAllTimers: { slots: ['area'], combinations: ['', 'area'] },
  HassSetVolume: {
    slots: ['name', 'area', 'volume_level'],
    combinations: withSlot('volume_level', ['name', 'area']),
    place: true,
  },
  HassSetVolumeRelative: {
    slots: [...places, 'volume_step'],
    combinations: withSlot('volume_step', ['name', 'area', 'floor']),
    place: true,
  },
  HassMediaPlayerMute: mute,
  HassMediaPlayerUnmute: mute,
  HassMediaPause: player,
  HassMediaUnpause: player,
  HassMediaNext: player,
  HassMediaPrevious: player,
  HassMediaSearchAndPlay: {
    slots: ['name', 'area', 'search_query', 'media_class'],
    combinations: ['name', 'area', 'area name'].flatMap((place) => {
      const plain = withSlot('search_query', [place])
      return [...plain, ...withSlot('media_class', plain)]
    }),
    place: true,
  },
  HassListAddItem: { slots: ['item', 'name'], combinations: ['item name'] },
  HassListCompleteItem: { slots: ['item', 'name'], combinations: ['item name'] },
  HassListRemoveItem: { slots: ['item', 'name'], combinations: ['item name'], recent: true },
  // Home Assistant's own table has none without a place: it would start every vacuum.
  HassVacuumStart: { slots: [...places], combinations: ['name', 'area', 'floor'], place: true },
  HassVacuumReturnToBase: { slots: ['name', 'area'], combinations: ['name', 'area'], place: true },
  HassVacuumCleanArea: {
    slots: ['name', 'area'],
    combinations: ['area', 'area name'],
    recent: true,
  },
  HassClimateSetTemperature: {
    slots: [...places, 'temperature'],
    combinations: withSlot('temperature', [...places]),
    place: true,
  },
  HassClimateGetTemperature: {
    slots: [...places],
    combinations: [...places],
    // A question does no harm: some thermostat of the home answers.
    beyond: [''],
    asks: true,
  },
  HassClimateSetFanMode: {
    slots: [...places, 'fan_mode'],
    combinations: withSlot('fan_mode', [...places]),
    place: true,
    recent: true,
  },
  HassFanSetSpeed: {
    slots: [...places, 'percentage'],
    combinations: withSlot('percentage', [...places]),
    place: true,
  },
  HassLawnMowerStartMowing: mower,
  HassLawnMowerDock: mower,
  HassHumidifierSetpoint: {
    slots: ['name', 'humidity'],
    combinations: [],
    beyond: ['humidity name'],
  },
  HassHumidifierMode: { slots: ['name', 'mode'], combinations: [], beyond: ['mode name'] },
}

/** Whether `domain` may be given in a combination. */
export const takesDomain = (row: IntentRow, combination: string, domain: string): boolean =>
  [row.domains, row.domainsBeyond].some((d) => d?.[combination]?.includes(domain))

/** Slots as a combination of the table: sorted, durations as one, what a name makes needless gone. */
export const combinationOf = (given: readonly string[]): string => {
  const named = given.includes('name')
  const reduced = given.flatMap((slot) => {
    if (duration.includes(slot)) return ['duration']
    if (started.includes(slot)) return ['started']
    if (named && (slot === 'domain' || slot === 'device_class')) return []
    return [slot]
  })
  return [...new Set(reduced)].sort().join(' ')
}
