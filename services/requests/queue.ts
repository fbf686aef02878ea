/** A bounded queue that is fair between clients: they take turns, each in its own order. Pure. */

/** What waits; `client` says whose it is. */
export type Queued = { id: string; client: string }

export class FairQueue<T extends Queued> {
  readonly #most: number
  readonly #mostOfOne: number
  /** Each client's jobs, in the order in which the clients have their turns. */
  readonly #clients = new Map<string, T[]>()
  #size = 0

  /** @param most jobs in all, and @param mostOfOne of one client */
  constructor(most: number, mostOfOne: number) {
    this.#most = most
    this.#mostOfOne = mostOfOne
  }

  get size(): number {
    return this.#size
  }

  /** How many jobs of this client wait. */
  of(client: string): number {
    return this.#clients.get(client)?.length ?? 0
  }

  /** @returns false when there is no place, in all or for this client */
  push(job: T): boolean {
    if (this.#size >= this.#most || this.of(job.client) >= this.#mostOfOne) return false
    const jobs = this.#clients.get(job.client)
    if (jobs) jobs.push(job)
    else this.#clients.set(job.client, [job])
    this.#size += 1
    return true
  }

  /**
   * The next job. The client with the fewest running jobs comes first; among equals the one whose last
   * turn is longest ago.
   */
  shift(running: (client: string) => number): T | undefined {
    let best: string | undefined
    let fewest = Number.POSITIVE_INFINITY
    for (const client of this.#clients.keys()) {
      const count = running(client)
      if (count >= fewest) continue
      best = client
      fewest = count
    }
    if (best === undefined) return undefined
    const jobs = this.#clients.get(best) as T[]
    const job = jobs.shift() as T
    // Its next turn comes after everyone else's.
    this.#clients.delete(best)
    if (jobs.length > 0) this.#clients.set(best, jobs)
    this.#size -= 1
    return job
  }

  /** Takes a job out. */
  remove(id: string): T | undefined {
    for (const [client, jobs] of this.#clients) {
      const at = jobs.findIndex((j) => j.id === id)
      if (at < 0) continue
      const [job] = jobs.splice(at, 1)
      if (jobs.length === 0) this.#clients.delete(client)
      this.#size -= 1
      return job
    }
    return undefined
  }

  /** All jobs with their positions from 1: the order in which they come when all take turns. */
  positions(): { job: T; position: number }[] {
    const lists = [...this.#clients.values()]
    const order: T[] = []
    for (let round = 0; order.length < this.#size; round++)
      for (const jobs of lists) {
        const job = jobs[round]
        if (job) order.push(job)
      }
    return order.map((job, i) => ({ job, position: i + 1 }))
  }
}
