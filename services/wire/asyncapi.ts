/** The control plane's description as an AsyncAPI 3 document, made from the table of topics. */
import { z } from 'zod'
import type { TopicName, Writer } from './topics.ts'
import { isPlainTopic, schemaOf, topics } from './topics.ts'
import type { Verb } from './verbs.ts'
import { responseSchema, verbs } from './verbs.ts'

const ASYNCAPI = '3.1.0'
const MQTT_BINDING = '0.2.0'

type Json = Record<string, unknown>
/** One channel: a row of the table, or a row and a verb. */
type Channel = { key: string; row: TopicName; address: string; about: string; schema: z.ZodType }

// AsyncAPI's own schema format is a superset of JSON Schema draft 7.
const jsonSchema = (schema: z.ZodType): Json => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' })
  return rest
}

const channels = (): Channel[] =>
  (Object.keys(topics) as TopicName[]).flatMap((row): Channel[] => {
    const { pattern: address, about } = topics[row]
    if (isPlainTopic(row)) return [{ key: row, row, address, about, schema: schemaOf(row) }]
    return (Object.keys(verbs) as Verb[]).map((verb) => ({
      key: `${row}-${verb.replace('/', '-')}`,
      row,
      address: address.replace('{verb}', verb),
      about: `${about}: ${verb}, ${verbs[verb].about}`,
      schema: row === 'request' ? verbs[verb].request : responseSchema(verbs[verb].data),
    }))
  })

const parameterTexts: Record<string, string> = {
  node: 'id of the node',
  request: 'id of the request',
  instance: 'made anew at each start of a gateway',
}

const parametersOf = (address: string): Json => {
  const names = [...address.matchAll(/\{(\w+)\}/g)].map((m) => m[1] as string)
  if (names.length === 0) return {}
  return {
    parameters: Object.fromEntries(names.map((n) => [n, { description: parameterTexts[n] ?? n }])),
  }
}

const ours = (who: Writer | 'anyone'): boolean =>
  who === 'node' || who === 'coordinator' || who === 'gateway'

const operationsOf = ({ key, row }: Channel): [string, Json][] => {
  const { writer, readers, qos, retain } = topics[row]
  const common = {
    channel: { $ref: `#/channels/${key}` },
    messages: [{ $ref: `#/channels/${key}/messages/${key}` }],
    bindings: { mqtt: { qos, retain, bindingVersion: MQTT_BINDING } },
  }
  const answer = key.replace('request-', 'response-')
  const reply =
    row === 'request'
      ? {
          reply: {
            channel: { $ref: `#/channels/${answer}` },
            messages: [{ $ref: `#/channels/${answer}/messages/${answer}` }],
          },
        }
      : {}
  const made: [string, Json][] = []
  if (ours(writer))
    made.push([`send-${key}`, { action: 'send', summary: `written by the ${writer}`, ...common }])
  const reading = readers.filter(ours)
  if (reading.length > 0)
    made.push([
      `receive-${key}`,
      { action: 'receive', summary: `read by the ${reading.join(', ')}`, ...common, ...reply },
    ])
  return made
}

/**
 * The AsyncAPI document.
 * @param version version of the software
 */
export const asyncApiDocument = (version: string): Json => {
  const list = channels()
  return {
    asyncapi: ASYNCAPI,
    info: {
      title: 'mdi-llm control plane',
      version,
      description:
        'Topics by which nodes, coordinator and clients speak over MQTT 3.1.1 or 5. Activations and weights go by TCP. An MQTT 5 request with a response topic is answered there, too, with its correlation data. At the home’s broker a gateway also follows Home Assistant’s discovery (homeassistant/device/…/config, homeassistant/status) and, if asked to, Hermes (hermes/dialogueManager/…, hermes/nlu/intentNotRecognized, hermes/tts/say).',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(
      list.map((channel) => [
        channel.key,
        {
          address: channel.address,
          description: channel.about,
          ...parametersOf(channel.address),
          messages: { [channel.key]: { $ref: `#/components/messages/${channel.key}` } },
        },
      ]),
    ),
    operations: Object.fromEntries(list.flatMap(operationsOf)),
    components: {
      messages: Object.fromEntries(
        list.map(({ key, schema }) => [key, { name: key, payload: jsonSchema(schema) }]),
      ),
    },
  }
}
