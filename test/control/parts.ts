/** Nodes, plans and a coordinator, as the tests of the control plane need them. */
import type { Identity } from '../../services/control/agent.ts'
import { Coordinator } from '../../services/control/coordinator.ts'
import type { Plan } from '../../services/control/plan.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { Desired, Online } from '../../services/wire/control.ts'

export const identity = (instance: string, address = 'here'): Identity => ({
  id: 'pi1',
  name: 'pi1',
  cluster: 'home',
  version: '1',
  protocol: 1,
  instance,
  addresses: [address],
  port: 4711,
  profile: { memoryBytes: 1e9, cpu: 'x', cores: 4, speed: {}, host: address },
  held: [],
})
export const desired = (epoch: number, source = 'coordinator'): Desired => ({
  epoch,
  cluster: 'home',
  assignment: {
    model: { name: 'tiny', manifest: 'a'.repeat(64), bytes: 10 },
    first: 0,
    end: 2,
    stage: 0,
    stages: 1,
    starter: true,
    next: null,
    previous: null,
    sources: [{ id: source, addresses: [source], port: 1 }],
    arithmetic: 'fast',
    wire: 'fp16',
    context: 64,
  },
})
export const kinds = (effects: { kind: string }[]) => effects.map((e) => e.kind)

export const online = (instance: string, address: string, epoch = 0): Online => ({
  ...identity(instance, address),
  state: 'online',
  epoch,
  assignment: { phase: 'idle' },
  links: [],
})

export const coordinatorOf = (epoch: number): Coordinator => {
  const coordinator = new Coordinator({
    version: '1',
    protocol: 1,
    cluster: 'home',
    peer: { id: 'c', addresses: ['c'], port: 1 },
  })
  coordinator.handle({ kind: 'start', kept: plan(epoch) })
  return coordinator
}

/** The model tiny on pi1. */
export const plan = (epoch: number): Plan => ({
  epoch,
  model: { name: 'tiny', manifest: 'a'.repeat(64), bytes: 10 },
  stages: [{ peer: { id: 'pi1', addresses: ['here'], port: 4711 }, first: 0, end: 2 }],
  arithmetic: 'fast',
  wire: 'fp16',
  context: 64,
})

/** Another node than pi1. */
export const other = (id: string, epoch = 0, change: Partial<Online> = {}): Online => ({
  ...online(id, id, epoch),
  id,
  ...change,
})

/** A model of so many layers of 1 MB, to be loaded. */
export const modelOf = (layers: number) => ({
  manifest: {
    name: 'tiny',
    spec: { layers, hidden: 8, heads: 1, kvHeads: 1, headDim: 8, feedForward: 8, tiedHead: false },
    records: Array.from({ length: layers }, (_, layer) => ({
      kind: 'layer',
      layer,
      runtimeBytes: 1_000_000,
    })),
  } as unknown as Manifest,
  reference: { name: 'tiny', manifest: 'a'.repeat(64), bytes: 10 },
  context: 64,
})
