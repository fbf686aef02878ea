/** Where tokens come from: the ring's starter, in this process or over a link. */
import type { TokenListener } from '../ring/ledger.ts'
import type { Open } from '../wire/requests.ts'

export interface TokenSource {
  /**
   * Starts a request; its tokens and its end are told to the listener, in order.
   * @param again a process before this one may have started it: then its tokens are told
   *   from the first
   */
  open(request: Open, listener: TokenListener, again?: boolean): void
  /** Ends a request; the end is told. */
  cancel(id: string): void
}
