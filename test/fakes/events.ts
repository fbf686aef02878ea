/** Collects events and waits for the one that fits: no test needs to sleep. */
export class Events<E> {
  readonly all: E[] = []
  #waiting: { fits: (event: E) => boolean; resolve: (event: E) => void }[] = []

  readonly add = (event: E): void => {
    this.all.push(event)
    this.#waiting = this.#waiting.filter(({ fits, resolve }) => {
      if (!fits(event)) return true
      resolve(event)
      return false
    })
  }

  /** The first event that fits, of those that came after the first `since` or are to come. */
  next(fits: (event: E) => boolean, since = 0): Promise<E> {
    const known = this.all.slice(since).find(fits)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }))
  }
}
