/** Tells the network by mDNS that a service of ours is here. */
import { Bonjour } from 'bonjour-service'

export type Advertised = {
  /** The instance's name, as people see it. */
  name: string
  /** Without underscore: `wyoming`. */
  type: string
  port: number
  txt?: Record<string, string>
  /** Only by this interface's address. */
  address?: string
}

export type Zeroconf = { close(): Promise<void> }

/** @param onTrouble told why others will not find it; nothing else is lost */
export const advertise = (service: Advertised, onTrouble: (sentence: string) => void): Zeroconf => {
  const { name, type, port, txt, address } = service
  const trouble = (error: Error) =>
    onTrouble(`${name} cannot be announced on the network (mDNS): ${error.message}.`)
  const options = address === undefined ? {} : { interface: address, loopback: true }
  const bonjour = new Bonjour(options as Partial<ConstructorParameters<typeof Bonjour>[0]>, trouble)
  try {
    const published = bonjour.publish({ name, type, port, ...(txt && { txt }), probe: true })
    published.on('error', trouble)
  } catch (error) {
    trouble(error as Error)
  }
  return {
    close: () =>
      new Promise((resolve) => {
        bonjour.unpublishAll(() => bonjour.destroy(() => resolve()))
      }),
  }
}
