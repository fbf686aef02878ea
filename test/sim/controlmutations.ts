/**
 * Bugs of the control plane that the harness plants, one at a time: each stands for a mistake
 * that agent, coordinator or the members around them could make, and must be found in some seed.
 */
import { Agent, type AgentEffect, type AgentEvent } from '../../services/control/agent.ts'
import {
  Coordinator,
  type CoordinatorEffect,
  type CoordinatorEvent,
} from '../../services/control/coordinator.ts'
import { Presence, type PresenceEvent } from '../../services/control/presence.ts'
import { Proofs } from '../../services/control/proof.ts'
import { Rivals } from '../../services/control/rivals.ts'
import { OwnTopics } from '../../services/members/ownedtopics.ts'
import { RingView } from '../../services/members/ringview.ts'
import { SimNode } from './node.ts'

export type ControlMutation = {
  name: string
  /** Plants the bug in the code that runs. @returns takes it out again */
  plant(): () => void
}

/** Puts another method in the place of a class's own, which the other one is given. */
const replaced =
  <C extends object, K extends keyof C>(prototype: C, key: K, by: (own: C[K]) => C[K]) =>
  (): (() => void) => {
    const own = prototype[key]
    prototype[key] = by(own)
    return () => {
      prototype[key] = own
    }
  }

/** @param hears what an agent at `epoch` hears instead; undefined: nothing */
const agent = (
  hears: (event: AgentEvent, epoch: number) => AgentEvent | undefined,
  does: (effect: AgentEffect) => boolean = () => true,
) =>
  replaced(Agent.prototype, 'handle', (own) => {
    return function (this: Agent, event, now) {
      const heard = hears(event, this.state.epoch)
      return heard ? own.call(this, heard, now).filter(does) : []
    }
  })

const coordinator = (
  hears: (event: CoordinatorEvent) => CoordinatorEvent,
  does: (effect: CoordinatorEffect, event: CoordinatorEvent) => boolean = () => true,
) =>
  replaced(Coordinator.prototype, 'handle', (own) => {
    return function (this: Coordinator, event) {
      return own.call(this, hears(event)).filter((effect) => does(effect, event))
    }
  })

const presence = (hears: (event: PresenceEvent) => boolean) =>
  replaced(Presence.prototype, 'handle', (own) => {
    return function (this: Presence, event, now) {
      return hears(event) ? own.call(this, event, now) : []
    }
  })

const same = <T>(event: T): T => event

export const controlMutations: readonly ControlMutation[] = [
  {
    name: 'an agent that compares no epochs',
    plant: agent((event, epoch) =>
      event.kind === 'desired' && event.desired.epoch < epoch
        ? { kind: 'desired', desired: { ...event.desired, epoch: epoch + 1 } }
        : event,
    ),
  },
  {
    name: 'an agent that takes every lower number for an older plan',
    plant: agent((event, epoch) =>
      event.kind === 'desired' && event.desired.epoch < epoch ? undefined : event,
    ),
  },
  {
    name: 'an agent that says nothing of a second plan of one number',
    plant: agent((event, epoch) =>
      event.kind === 'desired' && event.desired.epoch === epoch ? undefined : event,
    ),
  },
  {
    name: 'an agent that does not keep what it is told',
    plant: agent(same, (effect) => effect.kind !== 'keep'),
  },
  {
    name: 'an agent that minds no twin',
    plant: agent((event) => (event.kind === 'twin' ? undefined : event)),
  },
  {
    name: 'one of two newcomers that leaves without a word',
    plant: () => {
      SimNode.leavesSilently = true
      return () => {
        SimNode.leavesSilently = false
      }
    },
  },
  {
    name: 'a coordinator that takes a twin for its node',
    plant: coordinator((event) =>
      event.kind === 'node' && event.state.state === 'online'
        ? { ...event, state: { ...event.state, instance: 'any' } }
        : event,
    ),
  },
  {
    name: 'a coordinator that tells only once what is desired',
    plant: coordinator(same, (effect, event) => effect.kind !== 'desire' || event.kind === 'load'),
  },
  {
    name: 'a coordinator that keeps no plan',
    plant: coordinator(same, (effect) => effect.kind !== 'keep'),
  },
  {
    name: 'a coordinator that minds no other',
    plant: presence((event) => event.kind !== 'state' || event.state?.id === 'none'),
  },
  {
    name: 'a coordinator that obeys whoever says to be at work',
    plant: replaced(Rivals.prototype, 'hear', (own) => {
      return function (this: Rivals, instance, now) {
        return own.call(this, instance, now)
      }
    }),
  },
  {
    name: 'a load that another ends without an answer',
    plant: coordinator(
      same,
      (effect) => effect.kind !== 'refused' || effect.error.code !== 'cancelled',
    ),
  },
  {
    name: 'a coordinator that leaves what strangers put on its own topics',
    plant: replaced(OwnTopics.prototype, 'heard', () => () => {}),
  },
  {
    name: 'a node that leaves what strangers put in place of its state',
    plant: () => {
      const heard = new WeakSet<Agent>()
      return replaced(Agent.prototype, 'handle', (own) => {
        return function (this: Agent, event, now) {
          const again = event.kind === 'bus' && heard.has(this)
          if (event.kind === 'bus') heard.add(this)
          return again ? [] : own.call(this, event, now)
        }
      })()
    },
  },
  {
    name: 'a coordinator that leaves what strangers say of its presence',
    plant: presence((event) => event.kind !== 'state' || event.state?.state === 'online'),
  },
  {
    name: 'a coordinator that believes whatever the broker remembers',
    plant: replaced(Proofs.prototype, 'expired', () => () => []),
  },
  {
    name: 'a gateway that reads who starts the ring only once',
    plant: () => {
      const read = new WeakSet<RingView>()
      return replaced(RingView.prototype, 'follow', (own) => {
        return function (this: RingView) {
          if (this.ring === undefined || !read.has(this)) own.call(this)
          if (this.ring !== undefined) read.add(this)
        }
      })()
    },
  },
]
