/**
 * The gateway's role on a board: the interfaces by which a home reaches the ring. It follows
 * what the bus tells of the ring, so coordinator and broker may be away meanwhile.
 */
import { HomeBroker } from '../api/homeassistant/homebroker.ts'
import { wyomingCrowded, wyomingVisits } from '../api/wyoming/service.ts'
import { patience, RequestClient } from '../client/ask.ts'
import { ClusterView, type ViewChange } from '../client/view.ts'
import type { LoadedConfig } from '../config.ts'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Manifest } from '../model/spec.ts'
import type {
  BusConnection,
  Clock,
  Log,
  OpenBus,
  OpenDoorway,
  OpenHomeBus,
  Random,
  WallClock,
  WeightFetch,
} from '../ports.ts'
import { Conversations } from '../requests/conversations.ts'
import type { RequestService, TextSide } from '../requests/service.ts'
import { version } from '../version.ts'
import { Assistant } from '../voice/assistant.ts'
import { trustOf } from '../voice/intent.ts'
import { newInstance } from './instance.ts'
import { withChanges } from './livesettings.ts'
import { changesTo } from './log.ts'
import { RingView } from './ringview.ts'

const LOAD_MS = 5_000
/** What reads of the ring on the bus; a coordinator knows more. */
const RANK = 0

/** Tells the network that a service is here, until it is called off. */
export type Announce = (service: {
  name: string
  type: string
  port: number
  host: string
}) => () => Promise<void>

export type GatewayPorts = {
  config: LoadedConfig
  /** Its name among the cluster's. */
  id: string
  openBus: OpenBus
  openHomeBus: OpenHomeBus
  openDoorway: OpenDoorway
  announce: Announce
  clock: Clock
  wallClock: WallClock
  random: Random
  log: Log
  /** The board's own requests. */
  requests: RequestService
  manifest: WeightFetch['manifest']
  /** What a model needs beside its weights to speak. */
  openText(manifest: Manifest, context: number): TextSide
  /** The settings as this board's coordinator has them now, where it is at work. */
  coordinatorSettings(): LoadedConfig | undefined
}

export class GatewayRole {
  readonly view: ClusterView
  readonly #ports: GatewayPorts
  readonly #bus: BusConnection
  readonly #ring: RingView
  readonly #assistant: Assistant
  readonly #doorway: ReturnType<OpenDoorway>
  readonly #home: HomeBroker | undefined
  readonly #tellSettings: (sentence: string) => void
  /** The settings, with what was changed at the coordinator. */
  #live: LoadedConfig
  #stopLoad: () => void = () => {}
  #stopGuiding: () => void = () => {}
  #stopAnnouncing: () => Promise<void> = async () => {}

  /** @throws MdiError `bad-value` where the settings cannot be used */
  constructor(ports: GatewayPorts) {
    this.#ports = ports
    const { config, clock, random, requests, log, wallClock } = ports
    this.#live = config
    this.#tellSettings = changesTo(log)
    this.#bus = ports.openBus(`mdi-${ports.id}-${newInstance(random).slice(0, 8)}`)
    this.view = new ClusterView(this.#bus, config.cluster, (change) => this.#changed(change))
    this.#ring = new RingView({ ...ports, view: this.view })
    this.#assistant = new Assistant({
      core: requests,
      conversations: new Conversations(clock),
      clock,
      wallClock,
      random,
      settings: () => {
        const { intents, allow_unlock, prompt, seconds } = this.#settings.voice
        return { intents, allowUnlock: allow_unlock, prompt, seconds }
      },
      trust: () => trustOf(requests.loadedText),
      audit: (line) => log.audit(line),
    })
    this.#doorway = ports.openDoorway({
      what: 'The voice service',
      visit: wyomingVisits({
        assistant: this.#assistant,
        clock,
        about: () => ({
          cluster: config.cluster,
          version,
          model: requests.model,
          languages: ['en'],
        }),
      }),
      crowded: wyomingCrowded,
      most: limits.voiceCallers,
    })
    if (config.house_mqtt.host !== undefined)
      this.#home = new HomeBroker({
        ...{ config, requests, clock, random, log },
        openBus: ports.openHomeBus,
        bus: this.#bus,
        view: this.view,
        own: () => this.#ownLoad(),
        client: new RequestClient(this.#bus, clock, random, patience),
        assistant: this.#assistant,
      })
  }

  /** The ring as this gateway reads it. */
  get ring(): RingView {
    return this.#ring
  }

  get #settings(): LoadedConfig {
    return this.#ports.coordinatorSettings() ?? this.#live
  }

  /** What this board's requests come to, where its coordinator does not tell of them. */
  #ownLoad() {
    const { requests, coordinatorSettings } = this.#ports
    if (coordinatorSettings()) return { running: 0, queued: 0, tokensPerSecond: 0 }
    return { ...requests.load, tokensPerSecond: requests.tokensPerSecond }
  }

  /** Opens the doors. @throws MdiError `bad-value` where a port is taken */
  async start(): Promise<void> {
    const { config, requests, log } = this.#ports
    this.#stopGuiding = requests.follow(this.#ring, RANK)
    this.view.start()
    this.#home?.start()
    const told = changesTo(log)
    this.#bus.onConnection((c) => told(c.up ? 'Connected to the broker.' : c.reason))
    this.#bus.start()
    this.#tellLoad()
    await this.#openVoice(config)
  }

  async #openVoice({ voice, cluster }: LoadedConfig): Promise<void> {
    if (!voice.enabled) return
    const port = await this.#doorway.start(voice.port, voice.host)
    this.#ports.log.tell('info', `Voice (Wyoming) is answered at ${voice.host} port ${port}.`)
    if (!voice.zeroconf) return
    const service = { name: cluster, type: 'wyoming', port, host: voice.host }
    this.#stopAnnouncing = this.#ports.announce(service)
  }

  #changed(change: ViewChange): void {
    const { kind } = change
    if (kind === 'info') this.#followSettings()
    if (kind === 'info' || kind === 'node') {
      this.#ring.follow()
      this.#ports.requests.refresh()
    }
    this.#home?.changed(change)
  }

  /** What was changed by `config/set`, over our own file's settings. */
  #followSettings(): void {
    try {
      const changed = this.view.info?.changed ?? {}
      this.#live = withChanges(this.#ports.config, changed)
      const names = Object.entries(changed).flatMap(([section, values]) =>
        Object.keys(Object(values)).map((key) => `${section}.${key}`),
      )
      if (names.length > 0)
        this.#tellSettings(`Settings changed at the coordinator hold here: ${names.join(', ')}.`)
    } catch (error) {
      // A coordinator of another version: our own settings hold.
      if (!(error instanceof MdiError)) throw error
    }
  }

  /** What this gateway does itself, now and then. */
  #tellLoad(): void {
    this.#stopLoad = this.#ports.clock.after(LOAD_MS, () => {
      this.#home?.changed({ kind: 'health' })
      this.#tellLoad()
    })
  }

  async stop(): Promise<void> {
    this.#stopLoad()
    await this.#stopAnnouncing()
    await this.#doorway.close()
    await this.#home?.stop()
    this.#stopGuiding()
    await this.#bus.close()
  }
}
