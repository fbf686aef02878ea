/** A cluster of real processes on 127.0.0.1: broker, coordinator, nodes, and a client. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { RemoteRing } from '../../services/cli/remote.ts'
import { loadConfig } from '../../services/io/config.ts'
import { MqttBus } from '../../services/io/mqtt/client.ts'
import type { NodeState } from '../../services/wire/control.ts'
import { filterOf, matchTopic, type Payload, readMessage } from '../../services/wire/topics.ts'
import type { VerbData, VerbRequest } from '../../services/wire/verbs.ts'
import { freePort, type Place, type Service } from './processes.ts'

export type ClusterOptions = {
  nodes: number
  /** Of an MQTT broker that runs; absent: the coordinator is the broker too. */
  broker?: string
  threads?: number
  /** More words for `mdi node`. */
  nodeWords?: readonly string[]
  /** Data folder of the coordinator, with the model in it. */
  models: string
  name?: string
  /** What node `i` is called. */
  nodeName?: (i: number) => string
}

type Health = Payload<'bridgeHealth'>

/** What retained topics say, with a way to wait for what they are to say. */
export class Watch {
  readonly states = new Map<string, NodeState>()
  health: Health | undefined
  readonly #bus: MqttBus
  readonly #waiting = new Set<() => void>()

  constructor(url: string) {
    this.#bus = new MqttBus({ url, clientId: `watch-${randomUUID().slice(0, 13)}` })
    this.#bus.subscribe(filterOf('state'), ({ topic, payload }) => {
      const id = matchTopic(topic)?.parameters.node ?? ''
      try {
        this.states.set(id, readMessage('state', topic, payload))
      } catch {
        return
      }
      this.#told()
    })
    this.#bus.subscribe(filterOf('bridgeHealth'), ({ topic, payload }) => {
      try {
        this.health = readMessage('bridgeHealth', topic, payload)
      } catch {
        return
      }
      this.#told()
    })
    this.#bus.start()
  }

  get bus(): MqttBus {
    return this.#bus
  }

  #told(): void {
    for (const check of this.#waiting) check()
  }

  /** Resolves when what is known fits. */
  until(fits: () => boolean): Promise<void> {
    if (fits()) return Promise.resolve()
    return new Promise((resolve) => {
      const check = () => {
        if (!fits()) return
        this.#waiting.delete(check)
        resolve()
      }
      this.#waiting.add(check)
    })
  }

  ready(): Promise<void> {
    return this.until(() => this.health?.ring === 'ready')
  }

  close(): Promise<void> {
    return this.#bus.close()
  }
}

export type Ask = Omit<VerbRequest<'generate'>, 'transaction' | 'id'> & { id?: string }
type LoadWords = Omit<VerbRequest<'load'>, 'transaction' | 'model'>

export class Cluster {
  readonly coordinator: Service
  readonly nodes: Service[]
  readonly watch: Watch
  readonly ring: RemoteRing
  readonly url: string
  /** The cluster's name. */
  readonly name: string

  private constructor(
    coordinator: Service,
    nodes: Service[],
    watch: Watch,
    ring: RemoteRing,
    url: string,
    name: string,
  ) {
    this.coordinator = coordinator
    this.nodes = nodes
    this.watch = watch
    this.ring = ring
    this.url = url
    this.name = name
  }

  /** Starts everything; resolves when every node has shown itself. */
  static async start(place: Place, options: ClusterOptions): Promise<Cluster> {
    const { nodes: count, threads = 1, name = 'test', models } = options
    const port = options.broker === undefined ? await freePort() : 0
    const url = options.broker ?? `mqtt://127.0.0.1:${port}`
    const shared = ['--host', '127.0.0.1', '--cluster', name]
    const coordinator = place.mdi('coordinator', [
      ...['--data', models, 'coordinator', ...shared, '--name', `${name}-c`],
      ...(options.broker === undefined ? ['--embedded-broker', String(port)] : ['--broker', url]),
    ])
    coordinator.start()
    if (options.broker === undefined) await coordinator.line(/^Connected to the broker/)
    const nodes = Array.from({ length: count }, (_, i) => {
      const id = options.nodeName?.(i) ?? `n${i + 1}`
      return place.mdi(id, [
        ...['--data', join(place.folder, `${name}-${id}`), 'node', ...shared, '--name', id],
        ...['--broker', url, '--threads', String(threads), ...(options.nodeWords ?? [])],
      ])
    })
    for (const node of nodes) node.start()
    const watch = new Watch(url)
    const ring = await RemoteRing.connect(settingsFor(url))
    const cluster = new Cluster(coordinator, nodes, watch, ring, url, name)
    await watch.until(() => nodes.every((n) => watch.states.get(n.name)?.state === 'online'))
    return cluster
  }

  /** Starts processes that have ended again, and connects anew: they know what to do. */
  async restart(): Promise<Cluster> {
    const { coordinator, nodes, url, name } = this
    const since = coordinator.lines.length
    for (const service of [coordinator, ...nodes]) service.start()
    await coordinator.line(/^Connected to the broker/, since)
    const ring = await RemoteRing.connect(settingsFor(url))
    return new Cluster(coordinator, nodes, new Watch(url), ring, url, name)
  }

  node(id: string): Service {
    const found = this.nodes.find((n) => n.name === id)
    if (!found) throw new Error(`there is no node ${id}`)
    return found
  }

  /** Loads a model over the nodes in their order, and waits until the ring is ready. */
  async load(model: string, words: LoadWords = {}): Promise<VerbData<'load'>> {
    const nodes = this.nodes.map((n) => n.name)
    const data = await this.ring.ask('load', { model, nodes, ...words })
    await this.watch.ready()
    return data
  }

  /** Asks for text. @throws MdiError */
  generate(ask: Ask, onText: (text: string) => void = () => {}): Promise<VerbData<'generate'>> {
    return this.ring.stream('generate', { id: randomUUID(), ...ask }, onText)
  }

  /** Leaves; the processes end with their place. */
  async close(): Promise<void> {
    await this.ring.close()
    await this.watch.close()
  }
}

/** Settings of a client of a broker, whatever a person has set. */
export const settingsFor = (url: string) =>
  loadConfig({ overrides: { 'broker.url': url }, environment: { HOME: '/nonexistent' } })
