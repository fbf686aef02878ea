/** A Wyoming client of the tests: raw bytes out, whole events back. */
import { connect, type Socket } from 'node:net'
import { type WyomingEvent, WyomingReader, writeEvent } from '../../services/api/wyoming/codec.ts'
import { Events } from './events.ts'

export class WyomingClient {
  readonly events = new Events<WyomingEvent>()
  readonly closed: Promise<void>
  readonly socket: Socket

  private constructor(socket: Socket) {
    this.socket = socket
    const reader = new WyomingReader()
    socket.on('data', (bytes) => {
      for (const event of reader.push(bytes)) this.events.add(event)
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  static async call(port: number): Promise<WyomingClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve())
      socket.once('error', reject)
    })
    return new WyomingClient(socket)
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  /** Says something as a release would; 2026.11 with a language. */
  say(text: string, more: { language?: string; conversation?: string } = {}): void {
    const { language, conversation = 'c1' } = more
    const context = { conversation_id: conversation }
    this.write(writeEvent('transcript', { text, ...(language && { language }), context }))
  }

  /** The event with which a release's wait ends. */
  outcome(since = 0): Promise<WyomingEvent> {
    return this.events.next(
      ({ type }) => ['handled', 'not-handled', 'intent', 'error'].includes(type),
      since,
    )
  }

  hangUp(): void {
    this.socket.destroy()
  }
}
