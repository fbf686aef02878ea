/**
 * Bugs of the control plane that the harness plants, one at a time: each stands for a mistake
 * that agent, coordinator or their processes could make, and must be found in some seed.
 */
import type { AgentEffect, AgentEvent } from '../../services/control/agent.ts'
import type { CoordinatorEffect, CoordinatorEvent } from '../../services/control/coordinator.ts'
import type { PresenceEvent } from '../../services/control/presence.ts'

export type ControlMutation = {
  name: string
  /** What an agent at `epoch` hears instead; undefined: nothing. */
  agentHears?(event: AgentEvent, epoch: number): AgentEvent | undefined
  /** Whether an agent's process does this. */
  agentDoes?(effect: AgentEffect): boolean
  /** What the coordinator hears instead. */
  headHears?(event: CoordinatorEvent): CoordinatorEvent | undefined
  /** Whether the coordinator's process does this, which came of that. */
  headDoes?(effect: CoordinatorEffect, event: CoordinatorEvent): boolean
  /** Whether a coordinator hears this of others. */
  presenceHears?(event: PresenceEvent): boolean
  /** One that gives up its id leaves without a word. */
  leavesSilently?: boolean
}

export const controlMutations: readonly ControlMutation[] = [
  {
    name: 'an agent that compares no epochs',
    agentHears: (event, epoch) =>
      event.kind === 'desired' && event.desired.epoch < epoch
        ? { kind: 'desired', desired: { ...event.desired, epoch: epoch + 1 } }
        : event,
  },
  {
    name: 'an agent that does not keep what it is told',
    agentDoes: (effect) => effect.kind !== 'keep',
  },
  {
    name: 'an agent that minds no twin',
    agentHears: (event) => (event.kind === 'twin' ? undefined : event),
  },
  { name: 'one of two newcomers that leaves without a word', leavesSilently: true },
  {
    name: 'a coordinator that takes a twin for its node',
    headHears: (event) =>
      event.kind === 'node' && event.state.state === 'online'
        ? { ...event, state: { ...event.state, instance: 'any' } }
        : event,
  },
  {
    name: 'a coordinator that tells only once what is desired',
    headDoes: (effect, event) => effect.kind !== 'desire' || event.kind === 'load',
  },
  {
    name: 'a coordinator that keeps no plan',
    headDoes: (effect) => effect.kind !== 'keep',
  },
  {
    name: 'a coordinator that minds no other',
    presenceHears: (event) => event.kind !== 'state' || event.state?.id === 'none',
  },
  {
    name: 'a load that another ends without an answer',
    headDoes: (effect) => effect.kind !== 'refused' || effect.error.code !== 'cancelled',
  },
]
