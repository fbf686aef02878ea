/**
 * Epochs: the numbers of plans. They are said on the network, where anybody may say any number.
 * So a number counts as newer than another only if it is a bounded number of steps ahead, and
 * the numbers go round. Whatever was said once, the next plan of a coordinator is followed, and
 * the numbers do not run out. Epoch 0 stands for no plan. Pure.
 */
import { limits } from '../limits.ts'

/** The numbers of plans are 1 to this. */
const LAST = limits.epochs - 1

/** The epoch of the plan after this one. */
export const nextEpoch = (epoch: number): number => (epoch >= LAST ? 1 : epoch + 1)

/** Whether `epoch` is older than `other`: behind it, by no more steps than count. */
export const isOlder = (epoch: number, other: number): boolean => {
  if (other === 0 || epoch === other) return false
  if (epoch === 0) return true
  return (other - epoch + LAST) % LAST <= limits.epochSteps
}

/**
 * The epoch of a new plan, which every node follows.
 * @param seen epochs of the nodes; each refuses what is older than its own
 */
export const epochAfter = (current: number, seen: readonly number[]): number => {
  let epoch = nextEpoch(current)
  // Each round passes one of them at least.
  for (let round = 0; round <= seen.length; round++) {
    const ahead = seen.find((other) => epoch === other || isOlder(epoch, other))
    if (ahead === undefined) return epoch
    epoch = nextEpoch(ahead)
  }
  return epoch
}
