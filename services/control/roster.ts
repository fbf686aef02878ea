/**
 * The nodes that the coordinator knows, by what they tell of themselves: which of them can be in
 * a ring, and which messages on a node's topic are that node's own. Pure.
 */
import { MdiError } from '../errors.ts'
import type { NodeState, Online } from '../wire/control.ts'
import type { VerbData } from '../wire/verbs.ts'
import { misfitOf } from './health.ts'
import { peerOf, samePeer } from './plan.ts'

/** The cluster and the software that a node must have. */
type Fitting = Parameters<typeof misfitOf>[1]

export class Roster {
  readonly #fitting: Fitting
  readonly #nodes = new Map<string, NodeState>()
  /** Nodes that may have been replaced while the broker was away. */
  #unsure = new Set<string>()

  constructor(fitting: Fitting) {
    this.#fitting = fitting
  }

  /** What was last told of each node that was ever seen. */
  get states(): ReadonlyMap<string, NodeState> {
    return this.#nodes
  }

  /** Nodes that can be in a ring: online, of our cluster and software. */
  get usable(): Online[] {
    return [...this.#nodes.values()].filter(
      (n): n is Online => n.state === 'online' && this.misfit(n) === undefined,
    )
  }

  /** Every node that was ever seen, for `status`. */
  get list(): VerbData<'status'>['nodes'] {
    return [...this.#nodes.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, n]) => (n.state === 'online' ? n : { id, state: 'offline' as const }))
  }

  /** Why a node cannot be in a ring of ours, in a sentence. */
  misfit(node: Online): string | undefined {
    return misfitOf(node, this.#fitting)
  }

  /**
   * Hears what stands on a node's topic.
   * @returns whether the node itself said it, so that it was noted; else perhaps a warning
   */
  hear(id: string, state: NodeState): { noted: boolean; warning?: string } {
    if (state.state === 'online' && state.id !== id) {
      const warning = `On the topic of node ${id} stands a state of ${state.id}: it is not read.`
      return { noted: false, warning }
    }
    const twin = this.#twin(id, state)
    if (twin !== undefined) return { noted: false, warning: twin }
    if (this.#isOfAnother(id, state)) return { noted: false }
    this.#unsure.delete(id)
    this.#nodes.set(id, state)
    return { noted: true }
  }

  forget(id: string): void {
    this.#nodes.delete(id)
  }

  /** The broker was away: any node may have been replaced meanwhile. */
  away(): void {
    this.#unsure = new Set(this.#nodes.keys())
  }

  /** Another process that had this id has ended. The one that we know is still there. */
  #isOfAnother(id: string, state: NodeState): boolean {
    const known = this.#nodes.get(id)
    if (known?.state !== 'online' || state.state !== 'offline') return false
    return state.instance !== undefined && state.instance !== known.instance
  }

  /**
   * Whether a second node has the id of one that is online elsewhere. One of the two will give
   * up, and the plan must not change back and forth until then. A node that takes the place of a
   * lost one is no twin: the lost one's last will has said that it is offline.
   */
  #twin(id: string, state: NodeState): string | undefined {
    const known = this.#nodes.get(id)
    if (known?.state !== 'online' || state.state !== 'online' || this.#unsure.has(id)) return
    if (known.instance === state.instance || samePeer(peerOf(known), peerOf(state))) return
    const place = `${state.addresses[0] ?? 'an unknown address'} port ${state.port}`
    return `Another node calls itself ${id} (at ${place}); give one of them another name.`
  }

  /** A node that is online. @throws MdiError `not-found` */
  online(id: string): Online {
    const node = this.#nodes.get(id)
    if (node?.state === 'online') return node
    throw new MdiError('not-found', node ? `Node ${id} is offline.` : `There is no node ${id}.`)
  }

  /** @throws MdiError where a node is unknown or still there */
  checkGone(id: string): void {
    const node = this.#nodes.get(id)
    if (!node) throw new MdiError('not-found', `There is no node ${id}.`)
    if (node.state === 'online')
      throw new MdiError('bad-value', `Node ${id} is online; stop it first.`)
  }

  /**
   * The named nodes, in the order named, or all that are usable.
   * @throws MdiError `not-ready` where there is none, `bad-value`, or `not-found` with the reason
   */
  choose(names: readonly string[] | undefined): Online[] {
    const { usable } = this
    if (!names) {
      if (usable.length === 0)
        throw new MdiError('not-ready', 'No node is online; start one with `mdi node`.')
      return usable.sort((a, b) => (a.id < b.id ? -1 : 1))
    }
    const twice = names.find((name, i) => names.indexOf(name) < i)
    if (twice !== undefined)
      throw new MdiError('bad-value', `Node ${twice} is named twice; name each node once.`)
    return names.map((name) => {
      const node = usable.find((n) => n.id === name)
      if (node) return node
      const known = this.#nodes.get(name)
      const why =
        known?.state === 'online'
          ? (this.misfit(known) ?? '')
          : `Node ${name} is not online; online are: ${usable.map((n) => n.id).join(', ') || 'none'}.`
      throw new MdiError('not-found', why)
    })
  }
}
