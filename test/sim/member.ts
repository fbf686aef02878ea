/** What the members of a simulated cluster have in common: a process, its bus, its settings. */
import { type LoadedConfig, resolveConfig } from '../../services/config.ts'
import type { Log, Machine, OpenBus } from '../../services/ports.ts'
import { type Broker, SimBus } from './bus.ts'
import type { Process } from './world.ts'

export const simConfig = (node: string): LoadedConfig => ({
  ...resolveConfig({ environment: {}, overrides: { cluster: 'sim' } }),
  ...{ node, data: '', file: undefined },
})

/** @param host where it is: its address in the simulated network */
export const simMachine = (host: string): Machine => ({
  addresses: () => [host],
  availableMemory: () => 1e12,
  residentMemory: () => 1e8,
  temperature: () => undefined,
  processor: () => ({ name: 'sim', cores: 1 }),
  host: () => host,
  identify: () => {},
})

export const simLog = ({ world, name }: Process): Log => ({
  tell: (_, sentence) => world.log(name, () => sentence),
  audit: (line) => world.log(name, () => line),
  setLevel: () => {},
})

/** @param onPublish is shown what the process publishes; false: it is not published */
export const simBus =
  (
    broker: Broker,
    process: Process,
    onPublish: (topic: string, payload: string) => boolean = () => true,
  ): OpenBus =>
  (_, will) => {
    const bus = new SimBus(broker, process, will)
    const publish = bus.publish.bind(bus)
    bus.publish = (topic, payload, options) => {
      if (onPublish(topic, payload)) publish(topic, payload, options)
    }
    return bus
  }
