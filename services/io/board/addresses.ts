/** At which addresses this machine can be reached: one place decides, for MQTT, mDNS and sentences. */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { limits } from '../../limits.ts'

/**
 * Interfaces that lead to containers, virtual machines and tunnels of this machine: another board
 * that has the same one would dial itself there.
 */
const VIRTUAL = /^(docker|br-|veth|virbr|vmnet|vboxnet|lxc|lxd|cni|flannel|cali|podman|kube|dummy)/

type Interfaces = Record<string, NetworkInterfaceInfo[] | undefined>

type Found = { address: string; order: number }

/** IPv4 first, then unique local and global IPv6. Link-local is of use only with an interface's name. */
const orderOf = ({ family, address }: NetworkInterfaceInfo): number | undefined => {
  if (family === 'IPv4') return address.startsWith('169.254.') ? 3 : 0
  if (/^fe[89ab]/i.test(address)) return undefined
  return /^f[cd]/i.test(address) ? 1 : 2
}

/**
 * Addresses of a machine, best first, and no more than may be told.
 * @param families that are listened to
 */
export const usableAddresses = (
  interfaces: Interfaces,
  families: readonly ('IPv4' | 'IPv6')[],
): { outer: string[]; loopback: string[] } => {
  const outer: Found[] = []
  const virtual: Found[] = []
  const loopback: string[] = []
  for (const [name, list] of Object.entries(interfaces))
    for (const info of list ?? []) {
      const order = orderOf(info)
      if (order === undefined || !families.includes(info.family as 'IPv4' | 'IPv6')) continue
      if (info.internal) loopback.push(info.address)
      else (VIRTUAL.test(name) ? virtual : outer).push({ address: info.address, order })
    }
  // On a machine with nothing else they are the way: a container's host, say.
  const chosen = outer.length > 0 ? outer : virtual
  const sorted = chosen.sort((a, b) => a.order - b.order).map(({ address }) => address)
  return {
    outer: [...new Set(sorted)].slice(0, limits.addresses),
    loopback: [...new Set(loopback)],
  }
}

const wildcards: Readonly<Record<string, readonly ('IPv4' | 'IPv6')[]>> = {
  '0.0.0.0': ['IPv4'],
  '::': ['IPv4', 'IPv6'],
  '': ['IPv4', 'IPv6'],
}

/**
 * Addresses at which another node can dial what listens at `host`: that one, or the machine's own
 * where `host` is a wildcard. A cable that is pulled, or a lease that ends, leaves only loopback for
 * a while. Then the addresses of before are told: they come back, and loopback would lead others
 * to themselves.
 * @param interfaces asked at each call
 */
export const addressBook = (
  interfaces: () => Interfaces = networkInterfaces,
): ((host: string) => string[]) => {
  const last = new Map<string, string[]>()
  return (host) => {
    const families = wildcards[host]
    if (!families) return [host]
    const { outer, loopback } = usableAddresses(interfaces(), families)
    if (outer.length > 0) last.set(host, outer)
    return last.get(host) ?? loopback
  }
}
