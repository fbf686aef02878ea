/**
 * The gateway: the interfaces by which a house reaches the ring, in front of a desk. A
 * coordinator may have one in its process; any board may run one of its own (`mdi gateway`).
 */

import type { OwnLoad } from '../api/homeassistant/announcer.ts'
import { wyomingCrowded, wyomingVisits } from '../api/wyoming/service.ts'
import { RequestClient } from '../client/ask.ts'
import { ClusterView, type ViewChange } from '../client/view.ts'
import type { LoadedConfig } from '../config.ts'
import { advertise, type Zeroconf } from '../io/board/zeroconf.ts'
import { realClock, realRandom, realWallClock } from '../io/clock.ts'
import { TcpDoorway } from '../io/links/listener.ts'
import { limits } from '../limits.ts'
import type { Bus } from '../ports.ts'
import { Conversations } from '../requests/conversations.ts'
import type { RequestService } from '../requests/service.ts'
import { version } from '../version.ts'
import { Assistant } from '../voice/assistant.ts'
import { trustOf } from '../voice/intent.ts'
import { HomeBroker } from './house.ts'
import { audit, changes, log } from './log.ts'

export type GatewayParts = {
  /** Asked when it matters: some settings change while it runs. */
  config(): LoadedConfig
  desk: RequestService
  /** The ring's own. */
  bus: Bus
  /** What the desk does, where a coordinator does not tell of it. */
  own?(): OwnLoad
  /** The ring has changed. */
  onChange?(change: ViewChange): void
}

const isLoopback = (host: string): boolean => /^(127\.|::1$|localhost$)/.test(host)

export class Gateway {
  readonly watch: ClusterView
  readonly #parts: GatewayParts
  readonly #assistant: Assistant
  readonly #listener: TcpDoorway
  readonly #house: HomeBroker | undefined
  #zeroconf: Zeroconf | undefined

  /** @throws MdiError `bad-value` */
  constructor(parts: GatewayParts) {
    this.#parts = parts
    const { desk, bus } = parts
    const config = parts.config()
    this.watch = new ClusterView(bus, config.cluster, (change) => {
      parts.onChange?.(change)
      this.#house?.changed(change)
    })
    this.#assistant = new Assistant({
      core: desk,
      conversations: new Conversations(realClock),
      clock: realClock,
      wallClock: realWallClock(),
      random: realRandom,
      settings: () => {
        const { intents, allow_unlock, prompt, seconds } = parts.config().voice
        return { intents, allowUnlock: allow_unlock, prompt, seconds }
      },
      trust: () => trustOf(desk.loadedText),
      audit,
    })
    this.#listener = new TcpDoorway({
      what: 'The voice service',
      visit: wyomingVisits({
        assistant: this.#assistant,
        clock: realClock,
        about: () => ({
          cluster: config.cluster,
          version,
          model: desk.model,
          languages: ['en'],
        }),
      }),
      crowded: wyomingCrowded,
      most: limits.voiceCallers,
    })
    if (config.house_mqtt.host !== undefined)
      this.#house = new HomeBroker({
        config,
        desk,
        bus,
        watch: this.watch,
        own: () => parts.own?.() ?? { running: 0, queued: 0, tokensPerSecond: 0 },
        forward: new RequestClient(bus, realClock, realRandom),
        assistant: this.#assistant,
      })
  }

  /** Opens the doors. @throws MdiError `bad-value` where a port is taken */
  async start(): Promise<void> {
    const { voice, cluster } = this.#parts.config()
    this.watch.start()
    this.#house?.start()
    if (!voice.enabled) return
    const port = await this.#listener.start(voice.port, voice.host)
    log(`Voice (Wyoming) is answered at ${voice.host} port ${port}.`)
    if (!voice.zeroconf) return
    const address = isLoopback(voice.host) ? { address: '127.0.0.1' } : {}
    this.#zeroconf = advertise({ name: cluster, type: 'wyoming', port, ...address }, changes(log))
  }

  /** What the gateway does itself has changed. */
  tellLoad(): void {
    this.#house?.changed({ kind: 'health' })
  }

  async stop(): Promise<void> {
    await this.#zeroconf?.close()
    await this.#listener.close()
    await this.#house?.stop()
  }
}
