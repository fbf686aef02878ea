/** What a node tells of itself, and what of it is kept over restarts. */

import type { LoadedConfig } from '../config.ts'
import type { Identity } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import { availableMemory, hostKey, ownAddresses, processor } from '../io/board/system.ts'
import type { TcpLinks } from '../io/links/tcp.ts'
import type { SqliteStore } from '../io/store/client.ts'
import { type Remember, rememberIn } from '../members/remember.ts'
import { version } from '../version.ts'
import { type Desired, desiredSchema } from '../wire/control.ts'
import { PROTOCOL } from '../wire/frame.ts'
import { readJson } from '../wire/json.ts'
import { log } from './log.ts'

const DESIRED = 'desired'
const PORT = 'port'
const NAME = 'name'

export class Self {
  readonly instance: string
  /** What people call it. */
  name: string
  port = 0
  readonly #config: LoadedConfig
  readonly #store: SqliteStore
  readonly #remember: Remember

  constructor(config: LoadedConfig, store: SqliteStore, instance: string) {
    this.#config = config
    this.#store = store
    this.#remember = rememberIn(store, (sentence) => log(sentence, 'warning'))
    this.instance = instance
    this.name = config.node
  }

  /** Takes up what was kept. @returns the plan that it followed last */
  async open(): Promise<Desired | undefined> {
    this.name = (await this.#store.getConfig(NAME)) ?? this.name
    const text = await this.#store.getConfig(DESIRED)
    if (text === undefined) return undefined
    try {
      return readJson(Buffer.from(text), desiredSchema, 'the plan that was kept')
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      log(`${error.message} The coordinator is waited for.`, 'warning')
      return undefined
    }
  }

  /**
   * Opens the data port. Where any will do it is the one of last time, if that is free: so a
   * node that comes back is found where it was, and nobody needs a new plan.
   */
  async listen(links: TcpLinks): Promise<number> {
    const { data, host } = this.#config.ports
    const last = data === 0 ? Number(await this.#store.getConfig(PORT)) : 0
    if (Number.isInteger(last) && last > 0) {
      try {
        this.port = await links.start(last, host)
        return this.port
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
      }
    }
    this.port = await links.start(data, host)
    await this.#remember(PORT, String(this.port))
    return this.port
  }

  keepDesired(desired: Desired): void {
    void this.#remember(DESIRED, JSON.stringify(desired))
  }

  async rename(name: string): Promise<void> {
    this.name = name
    await this.#remember(NAME, name)
  }

  /** Where it can be reached: a lease may end, a cable be plugged in. */
  get addresses(): string[] {
    return ownAddresses(this.#config.ports.host)
  }

  /** Memory that weights and caches may take. @param loadedBytes what weights take already */
  memory(loadedBytes: number): number {
    const here = availableMemory() + loadedBytes
    return Math.min(here, this.#config.engine.memory ?? here)
  }

  /** @param loadedBytes memory that weights take already */
  identity(speed: Record<string, number>, held: Identity['held'], loadedBytes: number): Identity {
    const { node, cluster } = this.#config
    const { name, cores } = processor()
    return {
      id: node,
      name: this.name,
      cluster,
      version,
      protocol: PROTOCOL,
      instance: this.instance,
      addresses: this.addresses,
      port: this.port,
      profile: {
        memoryBytes: this.memory(loadedBytes),
        hostBytes: availableMemory() + loadedBytes,
        cpu: name,
        cores,
        speed,
        host: hostKey(),
      },
      held,
    }
  }
}
