/** A simulated gateway: the role that runs on boards, with no callers but the checker. */
import { GatewayRole } from '../../services/members/gateway.ts'
import { LinkReceivers } from '../../services/members/linkreceivers.ts'
import { RequestService } from '../../services/requests/service.ts'
import { fakeModel } from '../fakes/starter.ts'
import type { Broker } from './bus.ts'
import type { Cluster } from './cluster.ts'
import { toyManifest } from './disk.ts'
import { simBus, simConfig, simLog } from './member.ts'
import { Process } from './world.ts'

export class SimGateway {
  readonly process: Process
  readonly requests: RequestService
  readonly role: GatewayRole

  constructor(cluster: Cluster, broker: Broker, name: string) {
    const { world, network, options } = cluster
    this.process = new Process(world, name)
    const { process } = this
    const receivers = new LinkReceivers(network.join(name, process, name), name)
    const manifest = toyManifest(options.layers, options.context)
    this.requests = new RequestService({ links: receivers.owner(), clock: process.clock })
    this.role = new GatewayRole({
      ...{ config: simConfig(name), id: name, requests: this.requests },
      ...{ clock: process.clock, random: process.randomness, log: simLog(process) },
      openBus: simBus(broker, process),
      openHomeBus: simBus(broker, process),
      openDoorway: () => ({ start: async () => 1, close: async () => {} }),
      announce: () => async () => {},
      wallClock: { now: () => undefined },
      manifest: async () => manifest,
      openText: () => ({ model: fakeModel(), close: async () => {} }),
      coordinatorSettings: () => undefined,
    })
    void this.role.start()
  }

  /** Whom it would ask, and what it knows against asking. */
  get knows(): { starter: string | undefined; notReady: string | undefined } {
    const guide = this.role.ring
    return { starter: guide.ring?.starter.id, notReady: guide.notReady() }
  }
}
