/** Who and what a node lets into its ring: links of other nodes, and requests. Pure. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Refusal } from '../ports.ts'
import type { Hello } from '../wire/hello.ts'
import type { Open } from '../wire/requests.ts'
import type { Part } from './part.ts'

/** Why a link is refused; undefined where it is taken. */
export const refuseLink = (
  { purpose, epoch, node }: Pick<Hello, 'purpose' | 'epoch' | 'node'>,
  id: string,
  part: Part | undefined,
): Refusal | undefined => {
  if (purpose === 'weights') return undefined
  if (purpose === 'owner') {
    if (part?.assignment.starter) return undefined
    return { code: 'node', reason: `Node ${id} does not start a ring now.` }
  }
  if (!part || part.epoch !== epoch) {
    const reason = `Node ${id} follows plan ${part?.epoch ?? 'none'}, not ${epoch}.`
    return { code: 'epoch', reason }
  }
  if (part.assignment.previous !== node)
    return { code: 'node', reason: `Node ${node} is not the stage before ${id}.` }
  return undefined
}

/** Why a request does not suit the loaded model, in a sentence. */
export const misfit = (
  request: Open,
  { model, vocab }: Pick<Part, 'model' | 'vocab'>,
): string | undefined => {
  if (request.model !== model) return `The ring has ${model} loaded, not ${request.model}.`
  const fed = (request.score ?? []).map((s) => s.next)
  const asked = (request.score ?? []).flatMap((s) => s.ids)
  const wrong = [request.tokens, fed, asked].flatMap((ids) => ids.find((id) => id >= vocab) ?? [])
  if (wrong.length === 0) return undefined
  return `Token ${wrong[0]} is not in the vocabulary of ${model}, which has ${vocab}.`
}

/**
 * Why the starter does not take a request. One that cannot be served must not end the others.
 * @param context positions that a sequence may reach
 * @param waiting requests that wait already
 */
export const refuseRequest = (
  { tokens: { length }, score }: Open,
  context: number,
  waiting: number,
): MdiError | undefined => {
  if (length > context) {
    const message = `The prompt has ${length} tokens; the context holds ${context}.`
    return new MdiError('too-long', message)
  }
  const rows = length + (score?.length ?? 1) - 1
  if (rows > context) {
    const message = `The prompt and the steps to be scored have ${rows} tokens; the context holds ${context}.`
    return new MdiError('too-long', message)
  }
  if (waiting < limits.waitingRequests) return undefined
  const message = `${limits.waitingRequests} requests are waiting already; try again later.`
  return new MdiError('busy', message)
}
