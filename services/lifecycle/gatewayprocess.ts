/**
 * A gateway in a process of its own, on any board: it learns from the retained `bridge/info`
 * who starts the ring and with which model, fetches what that model needs to speak from a
 * peer, and asks the starter itself. Coordinator and broker may be away meanwhile.
 */

import type { LoadedConfig } from '../config.ts'
import { MdiError } from '../errors.ts'
import { realClock, realRandom } from '../io/clock.ts'
import { fetchManifest } from '../io/fetch/transfer.ts'
import { TcpLinks } from '../io/links/tcp.ts'
import { MqttBus } from '../io/mqtt/client.ts'
import { withChanges } from '../members/livesettings.ts'
import type { Manifest } from '../model/spec.ts'
import { type LoadedRing, RequestService, type TextSide } from '../requests/service.ts'
import { version } from '../version.ts'
import type { Peer } from '../wire/values.ts'
import { Gateway } from './gateway.ts'
import { textSide, type WorkerEntry } from './local.ts'
import { changes, log } from './log.ts'

const RATE_MS = 5_000

export type GatewayService = { stop(): Promise<void> }

/** Starts a gateway. Errors: `bad-value`; a broker or ring that is away is waited for. */
export const startGateway = async (
  entry: WorkerEntry,
  config: LoadedConfig,
  brokerUrl: string,
): Promise<GatewayService> => {
  const process = new GatewayProcess(entry, config, brokerUrl)
  await process.start()
  return { stop: () => process.stop() }
}

class GatewayProcess {
  readonly #entry: WorkerEntry
  readonly #config: LoadedConfig
  readonly #links: TcpLinks
  readonly #bus: MqttBus
  readonly #desk: RequestService
  readonly #gateway: Gateway
  /** The settings, with what was changed at the coordinator. */
  #live: LoadedConfig
  readonly #tellSettings = changes(log)
  #rate = 0
  #stopRate: () => void = () => {}
  #manifest: { sha256: string; manifest: Manifest } | undefined

  constructor(entry: WorkerEntry, config: LoadedConfig, url: string) {
    this.#entry = entry
    this.#config = config
    this.#live = config
    const id = `gateway-${config.node}`.slice(0, 63)
    this.#links = new TcpLinks({
      node: id,
      cluster: config.cluster,
      version,
      onTrouble: changes(log),
    })
    this.#links.onHello(() => ({ code: 'purpose', reason: 'A gateway is no stage of a ring.' }))
    const { user, password } = config.broker
    this.#bus = new MqttBus({
      url,
      clientId: `mdi-${id}-${realRandom.uint32().toString(16)}`,
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      onTrouble: changes(log),
    })
    this.#desk = new RequestService({
      links: this.#links,
      clock: realClock,
      openText: (ring) => this.#openText(ring),
      notReady: () => {
        const { health } = this.#gateway.watch
        if (!health) return 'Nothing is known of the ring yet.'
        return health.ring === 'ready' ? undefined : (health.reason ?? '')
      },
    })
    this.#gateway = new Gateway({
      config: () => this.#live,
      desk: this.#desk,
      bus: this.#bus,
      own: () => ({ ...this.#desk.core.load, tokensPerSecond: this.#rate }),
      onChange: ({ kind }) => {
        if (kind === 'info') this.#followSettings()
        if (kind === 'info' || kind === 'node') this.#follow()
      },
    })
  }

  async start(): Promise<void> {
    await this.#links.start(0, '127.0.0.1')
    await this.#gateway.start()
    const told = changes(log)
    this.#bus.onConnection((c) => told(c.up ? 'Connected to the broker.' : c.reason))
    this.#bus.start()
    this.#measure()
    log(`Gateway of cluster ${this.#config.cluster}.`)
  }

  async stop(): Promise<void> {
    this.#stopRate()
    await this.#gateway.stop()
    await this.#desk.close()
    await this.#bus.close()
    await this.#links.close()
  }

  /** What this gateway's own requests make of the ring, now and then. */
  #measure(): void {
    this.#stopRate = realClock.after(RATE_MS, () => {
      this.#rate = (this.#desk.tokens * 1000) / RATE_MS
      this.#desk.tokens = 0
      this.#gateway.tellLoad()
      this.#measure()
    })
  }

  /** What was changed by `config/set`, over our own file's settings. */
  #followSettings(): void {
    try {
      const changed = this.#gateway.watch.info?.changed ?? {}
      this.#live = withChanges(this.#config, changed)
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

  /** Who starts the ring, and with which model. */
  #follow(): void {
    const { info, nodes } = this.#gateway.watch
    const first = info?.stages[0]
    const starter = first && nodes.get(first.node)
    if (!info?.model || !first) {
      this.#desk.setRing(undefined)
      return
    }
    // A starter that is offline for the moment is still the ring's.
    if (starter?.state !== 'online') return
    const { id, addresses, port } = starter
    this.#desk.setRing({
      model: info.model.name,
      starter: { id, addresses, port },
      stages: info.stages.length,
      key: `${info.model.manifest} ${info.context ?? 0}`,
    })
  }

  async #openText(_ring: LoadedRing): Promise<TextSide> {
    const { info, nodes } = this.#gateway.watch
    const model = info?.model
    if (!info || !model) throw new Error('a ring without its info')
    if (this.#manifest?.sha256 !== model.manifest) {
      const others = [...nodes.values()].flatMap((n): Peer[] =>
        n.state === 'online' ? [{ id: n.id, addresses: n.addresses, port: n.port }] : [],
      )
      const manifest = await fetchManifest(model, {
        sources: [info.coordinator, ...others],
        dial: (peer, signal) => this.#links.dial(peer, 'weights', signal),
      })
      this.#manifest = { sha256: model.manifest, manifest }
    }
    const { manifest } = this.#manifest
    return textSide(this.#entry, manifest, info.context ?? manifest.spec.context)
  }
}
