/** Dials a node at every address that it announced, and greets it. */
import { setMaxListeners } from 'node:events'
import { connect, isIPv6 } from 'node:net'
import { MdiError } from '../../errors.ts'
import type { Purpose } from '../../wire/hello.ts'
import type { Peer } from '../../wire/values.ts'
import type { PeerConnection, Timing } from './connection.ts'
import { socketWords } from './connection.ts'
import type { OwnEnd } from './handshake.ts'
import { GreetingError, sayHello } from './handshake.ts'

/** An address and port as a person writes them. */
export const placeOf = (address: string, port: number): string =>
  isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`

type Dialing = { self: OwnEnd; timing: Timing; peer: Peer; purpose: Purpose; signal: AbortSignal }

/** One address: connects and greets, within `connectMs`. */
const attempt = (address: string, dialing: Dialing, signal: AbortSignal): Promise<PeerConnection> =>
  new Promise((resolve, reject) => {
    const { self, timing, peer, purpose } = dialing
    const socket = connect({ host: address, port: peer.port, noDelay: true })
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
    const fail = (error: GreetingError) => {
      settle()
      socket.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () => fail(new GreetingError('it does not answer', false)),
      timing.connectMs,
    )
    const abort = () => fail(new GreetingError('dialing was given up', false))
    signal.addEventListener('abort', abort)
    if (signal.aborted) abort()
    socket.on('error', (error) => fail(new GreetingError(socketWords(error), false)))
    socket.once('connect', () =>
      sayHello(socket, { self, timing, to: peer.id, purpose }).then((connection) => {
        settle()
        resolve(connection)
      }, fail),
    )
  })

/** A failed dial's sentence. */
const sentence = (peer: Peer, failures: readonly { place: string; error: GreetingError }[]) => {
  const told = failures.find((f) => f.error.refused)
  if (told)
    return new MdiError(
      'peer-refused',
      `Node ${peer.id} at ${told.place} refuses the link: ${told.error.message}`,
    )
  const where = failures.map((f) => `${f.place} (${f.error.message})`).join(', ')
  return new MdiError(
    'node-lost',
    failures.length === 0
      ? `Node ${peer.id} has announced no address.`
      : `Node ${peer.id} is seen but unreachable: its data port was tried at ${where}.`,
  )
}

/**
 * Dials all addresses, each a moment after the one before it or at once when that failed;
 * the first that greets as the node wanted wins. So an address that leads to another
 * machine, or nowhere, only costs that moment.
 * @returns an open connection, not yet up
 * @throws MdiError `node-lost` or `peer-refused`, one sentence with address and port
 */
export const dial = (dialing: Dialing): Promise<PeerConnection> => {
  const { peer, timing, signal } = dialing
  const addresses = [...new Set(peer.addresses)]
  const others = new AbortController()
  setMaxListeners(0, others.signal)
  const failures: { place: string; error: GreetingError }[] = []
  return new Promise((resolve, reject) => {
    let next = 0
    let won = false
    let timer: NodeJS.Timeout | undefined
    const giveUp = () => others.abort()
    signal.addEventListener('abort', giveUp)
    if (signal.aborted) giveUp()
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
    }
    const lost = () => {
      if (failures.length < addresses.length) return
      settle()
      if (!won) reject(sentence(peer, failures))
    }
    const start = () => {
      clearTimeout(timer)
      const address = addresses[next++]
      if (address === undefined || won) return
      if (next < addresses.length) timer = setTimeout(start, timing.dialStaggerMs)
      attempt(address, dialing, others.signal).then(
        (connection) => {
          if (won) {
            connection.close('another address was quicker')
            return
          }
          won = true
          settle()
          others.abort()
          resolve(connection)
        },
        (error: GreetingError) => {
          failures.push({ place: placeOf(address, peer.port), error })
          lost()
          start()
        },
      )
    }
    if (addresses.length === 0) lost()
    else start()
  })
}
