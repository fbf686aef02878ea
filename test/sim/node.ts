/** A simulated node: the stage that runs on boards, over simulated engine, network and disk. */
import { isOlder } from '../../services/control/epoch.ts'
import { MdiError } from '../../services/errors.ts'
import { LinkReceivers } from '../../services/members/linkreceivers.ts'
import { StageRole } from '../../services/members/stage.ts'
import type {
  Engine,
  EngineAssignment,
  FetchFrom,
  Store,
  WeightFetch,
} from '../../services/ports.ts'
import type { NodeState } from '../../services/wire/control.ts'
import { buildTopic } from '../../services/wire/topics.ts'
import type { Broker } from './bus.ts'
import type { Cluster } from './cluster.ts'
import { type Disk, SimStore, toyManifest } from './disk.ts'
import { FakeEngine } from './engine.ts'
import { simBus, simConfig, simLog, simMachine } from './member.ts'
import { Process, Violation } from './world.ts'

export class SimNode {
  readonly id: string
  readonly process: Process
  readonly engine: FakeEngine
  readonly stage: StageRole
  readonly disk: Disk
  readonly bornAt: number
  /** It ended by itself. */
  gaveUp = false
  /** What it told last of its state. */
  told = ''
  /** A planted bug: one that gives up says nothing. */
  static leavesSilently = false
  readonly #cluster: Cluster
  /** When the last load that was asked for is done. */
  #loadedAt = 0

  /** @param host where it is: its address in the simulated network */
  constructor(cluster: Cluster, broker: Broker, id: string, host: string, disk: Disk) {
    this.#cluster = cluster
    this.id = id
    this.disk = disk
    const { world, network, options } = cluster
    this.bornAt = world.now
    this.process = new Process(world, host)
    const { process } = this
    this.engine = new FakeEngine(process, options.speed, options.context)
    const receivers = new LinkReceivers(network.join(id, process, host), id)
    this.stage = new StageRole({
      config: simConfig(id),
      store: new SimStore(disk, process) as unknown as Store,
      engine: this.#port(),
      links: receivers.stage(),
      port: 1,
      openBus: simBus(broker, process, (topic, payload) => this.#told(topic, payload)),
      weights: this.#weights(),
      clock: process.clock,
      random: process.randomness,
      log: simLog(process),
      machine: simMachine(host),
      chunkRows: options.chunkRows,
      withRoom: (_, work) => work(),
      onEnd: () => this.#giveUp(),
    })
    void this.stage.start().catch((error: unknown) => {
      world.failure = error
    })
  }

  /** What a node has told, it never goes back from. */
  #told(topic: string, payload: string): boolean {
    if (topic !== this.topic) return true
    if (this.gaveUp && SimNode.leavesSilently) return false
    this.told = payload
    const state = JSON.parse(payload) as NodeState
    if (state.state !== 'online') return true
    const { highest } = this.disk
    if (isOlder(state.epoch, highest))
      throw new Violation('epoch', `${this.id} goes back from plan ${highest} to ${state.epoch}`)
    this.disk.highest = state.epoch
    return true
  }

  get topic(): string {
    return buildTopic('state', { node: this.id })
  }

  #giveUp(): void {
    this.gaveUp = true
    void this.stage.stop()
    this.process.soon(() => this.process.kill('kill'), 100)
  }

  /** Resolves after some simulated time, unless the process ends before. */
  #after<T>(ms: number, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.process.soon(() => {
        try {
          resolve(work())
        } catch (error) {
          reject(error as Error)
        }
      }, ms)
    })
  }

  #port(): Engine {
    const { world } = this.process
    return {
      measure: () => this.#after(1, () => ({ q4: 1e9 })),
      load: ({ first, end }: EngineAssignment) => {
        // One after the other, as an engine does its jobs.
        this.#loadedAt = Math.max(this.#loadedAt, world.now) + world.between(20, 300)
        return this.#after(this.#loadedAt - world.now, () => {
          this.engine.load(first, end)
          return { layers: end - first, forms: {}, weightBytes: 0 }
        })
      },
      run: (job, onResults) => this.engine.run(job, onResults),
      unload: async () => {
        this.engine.load(0, 0)
      },
      close: async () => {},
    }
  }

  /** From whichever source can be reached, what is not here yet. */
  #weights(): WeightFetch {
    const { network, world, options } = this.#cluster
    const reachable = ({ sources, signal }: FetchFrom) => {
      if (signal?.aborted) throw new MdiError('cancelled', 'Fetching the weights was given up.')
      const some = sources.some(
        (s) => network.find(s) !== undefined && !network.isCut(this.id, s.id),
      )
      if (!some) throw new MdiError('node-lost', 'No source of the weights can be reached.')
    }
    return {
      manifest: (_, from) =>
        this.#after(world.between(1, 20), () => {
          reachable(from)
          return toyManifest(options.layers, options.context)
        }),
      records: (wanted, from) => {
        const { records } = this.disk
        const lacking = wanted.filter(({ sha256 }) => !records.has(sha256))
        return this.#after(5 + lacking.length * world.between(20, 100), () => {
          if (lacking.length > 0) reachable(from)
          for (const { sha256 } of lacking) records.add(sha256)
        })
      },
    }
  }
}
