/** What the verbs of the cluster's bus do at a coordinator. */
import type { VerbHandlers } from '../api/mqtt/bridge.ts'
import type { Coordinator, CoordinatorEvent, LoadModel } from '../control/coordinator.ts'
import { MdiError } from '../errors.ts'
import { catalogue, findEntry } from '../model/catalogue.ts'
import { manifestReference } from '../model/manifest.ts'
import type { Manifest } from '../model/spec.ts'
import { contextFor } from '../plan/room.ts'
import type { Log, Random, Store } from '../ports.ts'
import type { RequestService } from '../requests/service.ts'
import type { BridgeHealth, Command } from '../wire/control.ts'
import type { VerbData, VerbRequest } from '../wire/verbs.ts'
import type { CoordinatorBus } from './coordinatorbus.ts'
import type { LiveSettings } from './livesettings.ts'

export type CommandParts = {
  coordinator: Coordinator
  /** Has the coordinator handle an event, and its effects done. */
  feed(event: CoordinatorEvent): void
  bus: CoordinatorBus
  requests: RequestService
  live: LiveSettings
  store: Pick<Store, 'listModels'>
  random: Random
  log: Log
  /** A model of the store. @throws MdiError `not-found` */
  findModel(name: string | undefined): Promise<Manifest>
  /** Fetches a model of the catalogue into the store. */
  pull(name: string): Promise<Manifest>
  health(): BridgeHealth
}

export class CoordinatorCommands {
  readonly #parts: CommandParts
  /** Who waits for the outcome of a load or unload. */
  readonly #replies = new Map<string, (outcome: unknown) => void>()
  /** Name of the model that is being fetched. */
  #pulling: string | undefined

  constructor(parts: CommandParts) {
    this.#parts = parts
  }

  all(): VerbHandlers {
    return {
      cancel: ({ id }) => {
        if (this.#parts.requests.cancel(id)) return { id }
        throw new MdiError('not-found', `No request ${id} is running.`)
      },
      load: (request) => this.#load(request),
      plan: async (request) =>
        this.#parts.coordinator.preview(request, await this.#modelOf(request)),
      unload: () => this.#unload(),
      pull: ({ model }) => this.#pull(model),
      status: () => this.#status(),
      models: () => this.#models(),
      'node/rename': ({ id, name }) => {
        this.#command(id, { action: 'rename', name })
        return { id, name }
      },
      'node/remove': ({ id }) => this.#remove(id),
      'node/identify': ({ id }) => this.#command(id, { action: 'identify' }),
      'node/restart': ({ id }) => this.#command(id, { action: 'restart' }),
      'config/get': () => this.#parts.live.get(),
      'config/set': async ({ config }) => {
        const data = await this.#parts.live.set(config)
        this.#parts.bus.tellInfo()
        return data
      },
      log: ({ level, id }) => {
        if (id === undefined) this.#parts.log.setLevel(level)
        else this.#command(id, { action: 'log', level })
        return { level }
      },
    }
  }

  /**
   * Fetches a model of the catalogue, and of nowhere else: who may ask by MQTT may not have
   * this machine read any file or run any installer.
   */
  async #pull(name: string): Promise<VerbData<'pull'>> {
    const entry = findEntry(name)
    if (!entry) {
      const known = catalogue().map((e) => e.name)
      const message = `There is no model ${name.slice(0, 80)} in the catalogue; there are ${known.join(', ')}.`
      throw new MdiError('not-found', message)
    }
    if (this.#pulling)
      throw new MdiError('busy', `${this.#pulling} is being fetched; ask again later.`)
    this.#pulling = entry.name
    const { log } = this.#parts
    log.tell('info', `Fetching ${entry.name}.`)
    try {
      const manifest = await this.#parts.pull(entry.name)
      log.tell('info', `${manifest.name} is here.`)
      return { model: manifest.name, bytes: manifest.records.reduce((sum, r) => sum + r.bytes, 0) }
    } finally {
      this.#pulling = undefined
    }
  }

  /** Tells a node what to do once. @throws MdiError `not-found` where it is not online */
  #command(id: string, command: Command): { id: string } {
    this.#parts.coordinator.online(id)
    this.#parts.bus.command(id, command)
    return { id }
  }

  /** Forgets a node, here and at the broker. */
  #remove(id: string): { id: string } {
    this.#parts.coordinator.checkRemovable(id)
    this.#parts.bus.forget(id)
    this.#parts.feed({ kind: 'remove', id })
    return { id }
  }

  async #modelOf(request: VerbRequest<'load'>): Promise<LoadModel> {
    const manifest = await this.#parts.findModel(request.model)
    return {
      manifest,
      reference: manifestReference(manifest),
      context: contextFor(manifest, request.context),
    }
  }

  async #load(request: VerbRequest<'load'>): Promise<VerbData<'load'>> {
    const model = await this.#modelOf(request)
    return this.#ask((reply) => this.#parts.feed({ kind: 'load', reply, request, model }))
  }

  #unload(): Promise<VerbData<'unload'>> {
    return this.#ask((reply) => this.#parts.feed({ kind: 'unload', reply }))
  }

  #ask<T>(start: (reply: string) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const key = String(this.#parts.random.uint32())
      this.#replies.set(key, (outcome) => {
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome as T)
      })
      start(key)
    })
  }

  #status(): VerbData<'status'> {
    const { info, nodes } = this.#parts.coordinator
    return { info, health: this.#parts.health(), nodes }
  }

  async #models(): Promise<VerbData<'models'>> {
    const loaded = this.#parts.coordinator.plan.model?.name
    const models = (await this.#parts.store.listModels()).map((m) => ({
      name: m.name,
      family: m.spec.family,
      parameters: m.parameters,
      layers: m.spec.layers,
      bytes: m.records.reduce((sum, r) => sum + r.bytes, 0),
      loaded: m.name === loaded,
    }))
    return { models }
  }

  /** The outcome of what was asked under a key. */
  settle(key: string, outcome: unknown): void {
    const reply = this.#replies.get(key)
    this.#replies.delete(key)
    reply?.(outcome)
  }
}
