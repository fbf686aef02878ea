/**
 * Requests to a ring of processes as its coordinator makes them: straight to the starter,
 * with the tokens and log-probabilities that MQTT does not carry.
 */

import { realClock } from '../../services/io/clock.ts'
import { TcpLinks } from '../../services/io/links/tcp.ts'
import { type LocalRing, textSide } from '../../services/lifecycle/local.ts'
import type { Manifest } from '../../services/model/spec.ts'
import { contextFor } from '../../services/plan/room.ts'
import { Generations } from '../../services/requests/generation.ts'
import { Owner } from '../../services/requests/owner.ts'
import { version } from '../../services/version.ts'
import type { Cluster } from './cluster.ts'

const entry = new URL('../../services/main.ts', import.meta.url)

/** What can be asked, wherever it is computed. */
export type Ring = Pick<LocalRing, 'model' | 'generations' | 'close'>

/** Owns requests to the starter of a cluster that has the model loaded. */
export const ownRequests = (
  cluster: Cluster,
  manifest: Manifest,
  context: number | undefined,
): Ring => {
  const links = new TcpLinks({ node: 'asker', cluster: cluster.name, version })
  const owner = new Owner(links, realClock)
  links.onEvent((event) => owner.handle(event))
  const starter = cluster.watch.states.get(cluster.nodes[0]?.name ?? '')
  if (starter?.state !== 'online') throw new Error('the starter is not online')
  const { id, addresses, port } = starter
  owner.setStarter({ id, addresses, port })
  const { model, close } = textSide(entry, manifest, contextFor(manifest, context))
  return {
    model,
    generations: new Generations(owner, realClock),
    close: async () => {
      await links.close()
      await close()
    },
  }
}
