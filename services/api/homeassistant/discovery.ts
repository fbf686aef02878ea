/**
 * Home Assistant's MQTT discovery: what its devices are, as retained messages. Topics here are
 * Home Assistant's own (`homeassistant/…`); ours come from the table.
 */

import { checksum } from '../../wire/bytes.ts'
import type { BoardView, BridgeInfo } from '../../wire/control.ts'
import { buildTopic } from '../../wire/topics.ts'

export type DiscoveryOptions = {
  /** Root of Home Assistant's topics. */
  root: string
  /** A topic of our table as it is at the home's broker. */
  place(topic: string): string
  version: string
  cluster: string
}

/** A retained message; an empty payload removes a device. */
export type DiscoveryMessage = { topic: string; payload: string }

type Json = Record<string, unknown>

/**
 * A name as a part of an id of Home Assistant's. Names that would become one id stay two: where something
 * was replaced, a checksum tells them apart.
 */
const idOf = (text: string): string => {
  const id = text.replace(/[^A-Za-z0-9_-]/g, '_')
  if (id === text) return id
  return `${id}_${checksum(Buffer.from(text)).toString(16).padStart(8, '0').slice(0, 4)}`
}

/** Says `online` when Home Assistant has started. */
export const birthTopic = (root: string): string => `${root}/status`

export class Discovery {
  readonly #options: DiscoveryOptions

  constructor(options: DiscoveryOptions) {
    this.#options = options
  }

  get #id(): string {
    return `mdi_${idOf(this.#options.cluster)}`
  }

  #config(id: string): string {
    return `${this.#options.root}/device/${id}/config`
  }

  #topic(name: 'bridgeState' | 'bridgeHealth' | 'bridgeInfo'): string {
    return this.#options.place(buildTopic(name, {}))
  }

  #request(verb: string): string {
    return this.#options.place(buildTopic('request', { verb }))
  }

  #origin(): Json {
    return { name: 'mdi-llm', sw_version: this.#options.version }
  }

  #availability(extra: Json[] = []): Json {
    const gateway = { topic: this.#topic('bridgeState'), value_template: '{{ value_json.state }}' }
    return { availability: [gateway, ...extra], availability_mode: 'all' }
  }

  /** The cluster as a device. @param models that may be chosen */
  cluster(info: Pick<BridgeInfo, 'model'>, models: readonly string[]): DiscoveryMessage {
    const { cluster, version } = this.#options
    const id = this.#id
    const health = this.#topic('bridgeHealth')
    const part = (key: string, more: Json): Json => ({
      unique_id: `${id}_${key}`,
      default_entity_id: `${more.platform}.${id}_${key}`.toLowerCase(),
      ...more,
    })
    const sensor = (key: string, name: string, field: string, more: Json = {}): Json =>
      part(key, {
        platform: 'sensor',
        name,
        state_topic: health,
        value_template: `{{ value_json.${field} }}`,
        state_class: 'measurement',
        ...more,
      })
    const options = [...new Set([...models, ...(info.model ? [info.model.name] : [])])]
    const components: Json = {
      ready: part('ready', {
        platform: 'binary_sensor',
        name: 'Ready',
        state_topic: health,
        value_template: "{{ 'ON' if value_json.ring == 'ready' else 'OFF' }}",
        json_attributes_topic: health,
      }),
      speed: sensor('speed', 'Speed', 'tokensPerSecond', {
        unit_of_measurement: 'tokens/s',
        suggested_display_precision: 1,
      }),
      running: sensor('running', 'Requests in flight', 'running'),
      queued: sensor('queued', 'Requests waiting', 'queued'),
      ...(options.length > 0 && {
        model: part('model', {
          platform: 'select',
          name: 'Model',
          state_topic: this.#topic('bridgeInfo'),
          value_template: '{{ value_json.model.name if value_json.model else None }}',
          command_topic: this.#request('load'),
          command_template: '{{ {"model": value} | tojson }}',
          options,
        }),
      }),
    }
    return this.#told(id, {
      device: {
        identifiers: [id],
        name: cluster,
        manufacturer: 'mdi-llm',
        model: 'Cluster',
        sw_version: version,
      },
      origin: this.#origin(),
      components,
      ...this.#availability(),
    })
  }

  /** A board as a device. */
  board(node: string, board: BoardView): DiscoveryMessage {
    const id = `${this.#id}_${idOf(node)}`
    const topic = this.#options.place(buildTopic('board', { node }))
    const part = (key: string, more: Json): Json => ({
      unique_id: `${id}_${key}`,
      default_entity_id: `${more.platform}.${id}_${key}`.toLowerCase(),
      ...more,
    })
    const sensor = (key: string, name: string, field: string, more: Json = {}): Json =>
      part(key, {
        platform: 'sensor',
        name,
        state_topic: topic,
        value_template: `{{ value_json.${field} | default(None) }}`,
        ...more,
      })
    const button = (key: string, name: string, verb: string, more: Json): Json =>
      part(key, {
        platform: 'button',
        name,
        command_topic: this.#request(verb),
        payload_press: JSON.stringify({ id: node }),
        ...more,
      })
    const measured = { state_class: 'measurement', entity_category: 'diagnostic' }
    const components: Json = {
      state: sensor('state', 'State', 'phase', { json_attributes_topic: topic }),
      layers: sensor('layers', 'Layers', 'layers', { state_class: 'measurement' }),
      memory: sensor('memory', 'Memory', 'memoryMB', {
        ...measured,
        device_class: 'data_size',
        unit_of_measurement: 'MB',
      }),
      temperature: sensor('temperature', 'Temperature', 'temperature', {
        ...measured,
        device_class: 'temperature',
        unit_of_measurement: '°C',
      }),
      speed: sensor('speed', 'Speed', 'tokensPerSecond', {
        ...measured,
        unit_of_measurement: 'tokens/s',
      }),
      restart: button('restart', 'Restart', 'node/restart', {
        device_class: 'restart',
        entity_category: 'config',
      }),
      identify: button('identify', 'Identify', 'node/identify', {
        device_class: 'identify',
        entity_category: 'diagnostic',
      }),
    }
    return this.#told(id, {
      device: {
        identifiers: [id],
        name: board.name,
        manufacturer: 'mdi-llm',
        model: 'Board',
        sw_version: this.#options.version,
        via_device: this.#id,
      },
      origin: this.#origin(),
      components,
      ...this.#availability([{ topic, value_template: '{{ value_json.state }}' }]),
    })
  }

  /** Takes a board's device away. */
  gone(node: string): DiscoveryMessage {
    return { topic: this.#config(`${this.#id}_${idOf(node)}`), payload: '' }
  }

  #told(id: string, config: Json): DiscoveryMessage {
    return { topic: this.#config(id), payload: JSON.stringify({ ...config, qos: 1 }) }
  }
}
