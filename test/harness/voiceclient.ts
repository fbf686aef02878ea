/** A voice client (Wyoming) for scripts: one connection an utterance, as Home Assistant calls. */
import { connect } from 'node:net'
import { type WyomingEvent, WyomingReader, writeEvent } from '../../services/api/wyoming/codec.ts'

export type Heard = {
  /** The event with which the wait ends; undefined: the connection broke. */
  outcome: WyomingEvent | undefined
  /** To the first event, and to the last. */
  firstMs: number
  ms: number
}

const outcomes = ['handled', 'not-handled', 'intent', 'error']

/** Says something, and waits for what is done with it. @param language as 2026.11 sends it */
export const say = (
  port: number,
  text: string,
  conversation: string,
  language: string | undefined = 'en',
  host = '127.0.0.1',
): Promise<Heard> =>
  new Promise((resolve) => {
    const start = performance.now()
    let firstMs = 0
    const reader = new WyomingReader()
    const socket = connect({ port, host, noDelay: true })
    const end = (outcome: WyomingEvent | undefined) => {
      socket.destroy()
      resolve({ outcome, firstMs, ms: performance.now() - start })
    }
    socket.once('connect', () =>
      socket.write(
        writeEvent('transcript', {
          text,
          ...(language && { language }),
          context: { conversation_id: conversation },
        }),
      ),
    )
    socket.on('data', (bytes) => {
      firstMs ||= performance.now() - start
      for (const event of reader.push(bytes)) if (outcomes.includes(event.type)) end(event)
    })
    socket.on('error', () => {})
    socket.once('close', () => end(undefined))
  })
