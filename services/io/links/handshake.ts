/** The handshake of a link: hello, then welcome or refuse. Both ends of it. */
import type { Socket } from 'node:net'
import { MdiError } from '../../errors.ts'
import type { Refusal } from '../../ports.ts'
import type { Frame, FrameKind } from '../../wire/frame.ts'
import type { Hello, Purpose, Refuse, Welcome } from '../../wire/hello.ts'
import { helloSchema, refuseSchema, welcomeSchema } from '../../wire/hello.ts'
import { readJson, writeJson } from '../../wire/json.ts'
import type { Timing } from './connection.ts'
import { PeerConnection } from './connection.ts'

/** Who this node is, to its peers. */
export type OwnEnd = {
  node: string
  cluster: string
  /** Version of the software. */
  version: string
  /** Asked at each handshake. */
  epoch(): number
}

/** Kinds of frames that each end of a link may receive, beside probes. */
const receives: Record<Purpose, { dialer: readonly FrameKind[]; listener: readonly FrameKind[] }> =
  {
    ring: { dialer: [], listener: ['visit', 'fault'] },
    owner: { dialer: ['token', 'end'], listener: ['open', 'cancel', 'attach'] },
    weights: { dialer: ['chunk', 'fetch-error'], listener: ['fetch'] },
  }

/** A connection whose other end is known. */
export type Greeted = { connection: PeerConnection; hello: Hello }

/** Why a hello that came is refused whatever the plan says. */
const refusal = (self: OwnEnd, hello: Hello): Refuse | undefined => {
  if (hello.cluster !== self.cluster)
    return {
      code: 'cluster',
      reason: `Node ${self.node} is of the cluster "${self.cluster}", not of "${hello.cluster}".`,
    }
  if (hello.to !== self.node)
    return { code: 'node', reason: `This is node ${self.node}, not ${hello.to}.` }
  if (hello.version !== self.version)
    return {
      code: 'version',
      reason: `Node ${self.node} runs version ${self.version}, node ${hello.node} version ${hello.version}; install the same on both.`,
    }
  return undefined
}

const refuse = (connection: PeerConnection, why: Refuse): void => {
  connection.send({ kind: 'refuse', epoch: 0, number: 0, body: writeJson(why) })
  connection.close(why.reason)
}

/** What became of a stranger who connected. */
export type Stranger = 'greeted' | 'garbage' | 'silent' | 'refused'

/** The listener's answers to a hello. */
export type Answering = {
  self: OwnEnd
  timing: Timing
  /** Asked once version, cluster and name are right. */
  admit(hello: Hello): Refusal | undefined
}

/**
 * Waits for a stranger's hello and answers it.
 * @param done called once: what became of it, and the open connection if it was greeted
 * @returns the connection, so that it can be closed meanwhile
 */
export const answerHello = (
  socket: Socket,
  { self, timing, admit }: Answering,
  done: (what: Stranger, greeted?: Greeted) => void,
): PeerConnection => {
  const connection = new PeerConnection(socket, timing, ['hello'])
  let what: Stranger = 'silent'
  const timer = setTimeout(() => connection.close('it did not say hello'), timing.helloMs)
  connection.onEnd((ending) => {
    clearTimeout(timer)
    if (ending.error?.reason === 'garbage') what = 'garbage'
    else if (ending.error && what === 'silent') what = 'refused'
    done(what)
  })
  connection.onProblem((error) => {
    // Only a peer that speaks frames is answered; a stranger learns nothing.
    if (error.reason === 'protocol')
      connection.send({
        kind: 'refuse',
        epoch: 0,
        number: 0,
        body: writeJson({ code: 'protocol', reason: `Node ${self.node}: ${error.message}.` }),
      })
  })
  connection.onFrame((frame) => {
    const hello = readBody(() => readJson(frame.body, helloSchema, 'a hello'))
    if (!hello) {
      what = 'garbage'
      connection.close('its hello has a wrong form')
      return
    }
    const why = refusal(self, hello) ?? admit(hello)
    if (why) {
      what = 'refused'
      refuse(connection, why)
      return
    }
    clearTimeout(timer)
    const welcome: Welcome = { node: self.node, version: self.version, epoch: self.epoch() }
    connection.send({ kind: 'welcome', epoch: 0, number: 0, body: writeJson(welcome) })
    connection.onEnd(undefined)
    connection.onFrame(() => {})
    connection.open(receives[hello.purpose].listener)
    done('greeted', { connection, hello })
  })
  return connection
}

const readBody = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch (error) {
    if (error instanceof MdiError) return undefined
    throw error
  }
}

/** What the dialer asks for. */
export type Asking = { self: OwnEnd; timing: Timing; to: string; purpose: Purpose }

/** How a handshake failed: `refused` tells that a node of ours was there. */
export class GreetingError extends Error {
  readonly refused: boolean
  constructor(message: string, refused: boolean) {
    super(message)
    this.refused = refused
  }
}

const answered = (frame: Frame, to: string): GreetingError | undefined => {
  if (frame.kind === 'refuse') {
    const why = readBody(() => readJson(frame.body, refuseSchema, 'a refusal'))
    return new GreetingError(why?.reason ?? 'it refuses without a reason', true)
  }
  const welcome = readBody(() => readJson(frame.body, welcomeSchema, 'a welcome'))
  if (!welcome) return new GreetingError('its welcome has a wrong form', false)
  return welcome.node === to ? undefined : new GreetingError(`it is node ${welcome.node}`, true)
}

/**
 * Says hello on a connected socket.
 * @returns the open connection and its welcome
 * @throws GreetingError
 */
export const sayHello = (
  socket: Socket,
  { self, timing, to, purpose }: Asking,
): Promise<PeerConnection> =>
  new Promise((resolve, reject) => {
    const connection = new PeerConnection(socket, timing, ['welcome', 'refuse'])
    const hello: Hello = {
      version: self.version,
      cluster: self.cluster,
      node: self.node,
      to,
      purpose,
      epoch: self.epoch(),
    }
    connection.onEnd(({ reason, error }) => {
      const foreign =
        error?.reason === 'garbage' ? `${reason}: something else listens there` : reason
      reject(new GreetingError(foreign, error?.reason === 'protocol'))
    })
    connection.onFrame((frame) => {
      const problem = answered(frame, to)
      if (problem) {
        reject(problem)
        connection.close(problem.message)
        return
      }
      connection.onEnd(undefined)
      connection.onFrame(() => {})
      connection.open(receives[purpose].dialer)
      resolve(connection)
    })
    connection.send({ kind: 'hello', epoch: 0, number: 0, body: writeJson(hello) })
  })
