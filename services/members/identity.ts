/** What a node tells of itself, and what of it is kept over restarts. */
import type { LoadedConfig } from '../config.ts'
import type { Identity } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import type { Log, Machine, Store } from '../ports.ts'
import { version } from '../version.ts'
import { type Desired, desiredSchema } from '../wire/control.ts'
import { PROTOCOL } from '../wire/frame.ts'
import { readJson } from '../wire/json.ts'
import { type Remember, rememberIn } from './remember.ts'

/** Keys of the store's configuration. */
const DESIRED = 'desired'
const NAME = 'name'

export type IdentityParts = {
  config: LoadedConfig
  store: Pick<Store, 'getConfig' | 'setConfig'>
  machine: Machine
  log: Log
  /** Made anew at each start. */
  instance: string
  /** The data port. */
  port: number
}

export class NodeIdentity {
  readonly instance: string
  /** What people call it. */
  name: string
  readonly #parts: IdentityParts
  readonly #remember: Remember

  constructor(parts: IdentityParts) {
    this.#parts = parts
    this.#remember = rememberIn(parts.store, (sentence) => parts.log.tell('warning', sentence))
    this.instance = parts.instance
    this.name = parts.config.node
  }

  /** Takes up what was kept. @returns the plan that it followed last */
  async open(): Promise<Desired | undefined> {
    const { store, log } = this.#parts
    this.name = (await store.getConfig(NAME)) ?? this.name
    const text = await store.getConfig(DESIRED)
    if (text === undefined) return undefined
    try {
      return readJson(new TextEncoder().encode(text), desiredSchema, 'the plan that was kept')
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      log.tell('warning', `${error.message} The coordinator is waited for.`)
      return undefined
    }
  }

  keepDesired(desired: Desired): void {
    void this.#remember(DESIRED, JSON.stringify(desired))
  }

  async rename(name: string): Promise<void> {
    this.name = name
    await this.#remember(NAME, name)
  }

  /** Where it can be reached now: a lease may end, a cable be plugged in. */
  get addresses(): string[] {
    return this.#parts.machine.addresses(this.#parts.config.ports.host)
  }

  /**
   * Bytes that weights and caches may take.
   * @param loadedBytes what weights take already
   */
  memory(loadedBytes: number): number {
    const here = this.#parts.machine.availableMemory() + loadedBytes
    return Math.min(here, this.#parts.config.engine.memory ?? here)
  }

  /**
   * @param speed of each runtime form, in bytes of weights a second
   * @param held which layers of which models are in the store
   * @param loadedBytes memory that weights take already
   */
  identity(speed: Record<string, number>, held: Identity['held'], loadedBytes: number): Identity {
    const { config, machine, port } = this.#parts
    const { name, cores } = machine.processor()
    return {
      id: config.node,
      name: this.name,
      cluster: config.cluster,
      version,
      protocol: PROTOCOL,
      instance: this.instance,
      addresses: this.addresses,
      port,
      profile: {
        memoryBytes: this.memory(loadedBytes),
        hostBytes: machine.availableMemory() + loadedBytes,
        cpu: name,
        cores,
        speed,
        host: machine.host(),
      },
      held,
    }
  }
}
