/** Retained topics of our own, of which nothing else may stand at the broker. */

/** Payloads of a topic that may still be on their way back to us. */
const RECENT = 32

export class OwnTopics {
  readonly #publish: (topic: string, payload: string) => void
  readonly #said = new Map<string, string[]>()

  constructor(publish: (topic: string, payload: string) => void) {
    this.#publish = publish
  }

  say(topic: string, payload: string): void {
    const said = this.#said.get(topic) ?? []
    this.#said.set(topic, [...said.slice(1 - RECENT), payload])
    this.#publish(topic, payload)
  }

  /** A message came on one of them: what is not ours is put right. */
  heard(topic: string, payload: string): void {
    const said = this.#said.get(topic)
    const last = said?.at(-1)
    if (last !== undefined && !said?.includes(payload)) this.#publish(topic, last)
  }
}
