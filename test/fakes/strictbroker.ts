/** A broker of MQTT 5 that takes so many messages at once, acknowledges slowly, and counts. */
import { createServer, type Socket } from 'node:net'

const CONNECT = 1
const PUBLISH = 3
/** PUBACK, 2 bytes: the packet id. */
const PUBACK = [0x40, 2]

export class StrictBroker {
  readonly #receiveMaximum: number
  readonly #server = createServer((socket) => this.#accept(socket))
  readonly #waiting: number[] = []
  /** Most messages that were ever on their way at once. */
  most = 0
  /** Payloads in the order in which they came. */
  readonly payloads: string[] = []
  onMessage: () => void = () => {}

  constructor(receiveMaximum: number) {
    this.#receiveMaximum = receiveMaximum
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  close(): void {
    this.#server.close()
  }

  #accept(socket: Socket): void {
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      for (;;) {
        const packet = this.#packet(rest)
        if (!packet) return
        rest = rest.subarray(packet.length)
        this.#handle(socket, packet.type, packet.body)
      }
    })
  }

  /** The first whole packet of some bytes (MQTT 5, 2.1). */
  #packet(bytes: Buffer): { type: number; body: Buffer; length: number } | undefined {
    let length = 0
    for (let i = 1; i < 5 && i < bytes.length; i++) {
      const digit = bytes[i] as number
      length += (digit & 0x7f) << (7 * (i - 1))
      if (digit & 0x80) continue
      const whole = 1 + i + length
      if (bytes.length < whole) return undefined
      return { type: (bytes[0] as number) >> 4, body: bytes.subarray(1 + i, whole), length: whole }
    }
    return undefined
  }

  #handle(socket: Socket, type: number, body: Buffer): void {
    if (type === CONNECT) {
      // No session, success, three bytes of properties: Receive Maximum (0x21).
      const most = this.#receiveMaximum
      socket.write(Buffer.from([0x20, 6, 0, 0, 3, 0x21, most >> 8, most & 0xff]))
    } else if (type === PUBLISH) {
      const topic = body.readUInt16BE(0)
      this.#waiting.push(body.readUInt16BE(2 + topic))
      this.most = Math.max(this.most, this.#waiting.length)
      // After the packet id: the length of the properties, of which there are none.
      this.payloads.push(body.subarray(2 + topic + 3).toString())
      // One is acknowledged when all that came with it has been read.
      setImmediate(() => {
        const id = this.#waiting.shift() as number
        socket.write(Buffer.from([...PUBACK, id >> 8, id & 0xff]))
      })
      this.onMessage()
    }
  }
}
