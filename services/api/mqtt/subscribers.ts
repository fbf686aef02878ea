/**
 * Whether anyone still reads a stream on MQTT. The protocol tells a publisher nothing of who
 * listens, but a broker of MQTT 5 may say of each message that nobody got it (3.4.2.1, "no
 * matching subscribers"; mosquitto does). Pure.
 */
import type { Bus } from '../../ports.ts'

export class Subscribers {
  /** After a lost connection to the broker, readers come back one by one: nobody has left. */
  #connection = 0

  constructor(bus: Bus) {
    bus.onConnection(({ up }) => {
      if (up) this.#connection += 1
    })
  }

  /**
   * Watches one stream.
   * @param left called once, when whoever read it reads no more; never for a stream that
   *   nobody began to read (whoever asked waits for the whole answer) nor by a broker that
   *   tells nothing
   * @returns what is to be told, for each message, whether somebody got it
   */
  watch(left: () => void): (heard: boolean) => void {
    let readIn: number | undefined
    let ended = false
    return (heard) => {
      if (heard) readIn = this.#connection
      if (heard || ended || readIn !== this.#connection) return
      ended = true
      left()
    }
  }
}
