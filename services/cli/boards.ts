/** The boards that a model could be spread over: the ring's, or this machine alone. */
import type { Command } from 'commander'
import { planNodes } from '../control/plan.ts'
import { MdiError } from '../errors.ts'
import { availableMemory, hostKey } from '../io/board/system.ts'
import type { Costed } from '../plan/cost.ts'
import { modelCost, ownerBytes, PLANNED_POSITIONS } from '../plan/cost.ts'
import { type Fit, fitOf } from '../plan/fits.ts'
import type { PlanNode } from '../plan/partition.ts'
import type { Online } from '../wire/control.ts'
import { bytes } from './output.ts'
import { withRing } from './ring.ts'
import { settingsOf } from './settings.ts'

export type Boards = {
  nodes: PlanNode[]
  /** What they are, for a person. */
  about: string
  /** This machine, which runs nothing yet: program and tokenizer come on top of the model. */
  alone: boolean
}

const memory = (nodes: readonly PlanNode[]): string => {
  // What shares a machine shares its memory.
  const hosts = new Map(nodes.map((n) => [n.host, n.memoryBytes]))
  return bytes([...hosts.values()].reduce((sum, n) => sum + n, 0))
}

const alone = (command: Command): Boards => {
  const memoryBytes = availableMemory(settingsOf(command).engine.memory)
  const nodes = [{ id: 'this machine', memoryBytes, speed: 1, host: hostKey() }]
  return { nodes, about: `this machine, which can give ${memory(nodes)}`, alone: true }
}

/** Boards of the ring where the settings name a broker; this machine where none answers. */
export const boardsOf = async (command: Command): Promise<Boards> => {
  const settings = settingsOf(command)
  if (settings.broker.url === undefined) return alone(command)
  try {
    const { nodes } = await withRing(command, (ring) => ring.ask('status', {}))
    const online = nodes.filter((n): n is Online => n.state === 'online')
    if (online.length === 0) return alone(command)
    const plan = planNodes(online)
    const many = plan.length === 1 ? '1 board' : `${plan.length} boards`
    return {
      nodes: plan,
      about: `${many} of the ring, which can give ${memory(plan)}`,
      alone: false,
    }
  } catch (error) {
    if (!(error instanceof MdiError)) throw error
    process.stderr.write(`${error.message} Reckoning with this machine alone.\n`)
    return alone(command)
  }
}

/** Whether a model fits the boards. */
export const fitsBoards = (model: Costed, { nodes, alone }: Boards): Fit => {
  const own = alone ? ownerBytes(model) : 0
  const left = nodes.map((n) => ({ ...n, memoryBytes: Math.max(0, n.memoryBytes - own) }))
  return fitOf(modelCost(model), left, Math.min(model.spec.context, PLANNED_POSITIONS))
}

/** The same for a person. @param boards how many there are */
export const fitText = (fit: Fit, boards: number): string => {
  if (fit.kind === 'too-large') return 'too large'
  if (fit.kind === 'fits')
    return fit.boards === 1 || boards === 1 ? 'yes' : `on ${fit.boards} boards`
  return fit.boards === 1 ? 'with 1 more board' : `with ${fit.boards} more boards`
}
