/** What of the ring is told to the home: how it stands, and not where it can be reached. */
import type { BridgeInfo, Online } from '../../wire/control.ts'
import type { VerbData } from '../../wire/verbs.ts'

/** Stands for a port that is not told. */
const NO_PORT = 1

/** A sentence without addresses and ports. */
const withoutPlaces = (text: string): string =>
  text
    .replace(/\[?[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*(%\w+)?\]?(:\d+)?/gi, '…')
    .replace(/\b\d{1,3}(\.\d{1,3}){3}(:\d+)?/g, '…')
    .replace(/\b[\w.-]+:\d{2,5}\b/g, '…')

const reasonOf = <T extends { reason?: string | undefined }>(told: T): T =>
  told.reason === undefined ? told : { ...told, reason: withoutPlaces(told.reason) }

/** `bridge/info` without settings and addresses. */
export const openInfo = (info: BridgeInfo): BridgeInfo => {
  const { config: _, configSchema: __, changed: ___, ...rest } = info
  return { ...rest, coordinator: { ...info.coordinator, addresses: [], port: NO_PORT } }
}

const openNode = (node: Online): Online => ({
  ...node,
  addresses: [],
  port: NO_PORT,
  profile: { ...node.profile, cpu: '', host: 'not told' },
  links: node.links.map(reasonOf),
  ...(node.ring && { ring: reasonOf(node.ring) }),
})

/** The answer to `status` for the home. */
export const openStatus = ({ info, health, nodes }: VerbData<'status'>): VerbData<'status'> => ({
  info: openInfo(info),
  health: reasonOf(health),
  nodes: nodes.map((node) => (node.state === 'online' ? openNode(node) : node)),
})
