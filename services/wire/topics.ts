/**
 * The table of topics. No topic is put together, and no payload read, anywhere else.
 */
import type { z } from 'zod'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import {
  boardSchema,
  bridgeHealthSchema,
  bridgeInfoSchema,
  bridgeStateSchema,
  commandSchema,
  desiredSchema,
  gatewaySchema,
  nodeStateSchema,
  vitalsSchema,
} from './control.ts'
import { checkValue, readJson } from './json.ts'
import type { Response, Verb, VerbData, VerbRequest } from './verbs.ts'
import { isVerb, responseSchema, streamSchema, verbs } from './verbs.ts'

/** Root of all topics. */
export const BASE = 'mdi'

/** Who writes to a topic. */
export type Writer = 'node' | 'coordinator' | 'gateway' | 'client'

type TopicRow = {
  /** `{parameter}` stands for one level. */
  pattern: string
  writer: Writer
  /** Who reads it. */
  readers: readonly (Writer | 'anyone')[]
  qos: 0 | 1
  retain: boolean
  /** Pieces of what is told as a whole in the end: they may be lost. */
  passing?: true
  about: string
}

/** The rows whose payload has one schema. */
const schemas = {
  state: nodeStateSchema,
  desired: desiredSchema,
  command: commandSchema,
  vitals: vitalsSchema,
  board: boardSchema,
  bridgeState: bridgeStateSchema,
  bridgeInfo: bridgeInfoSchema,
  bridgeHealth: bridgeHealthSchema,
  stream: streamSchema,
  gateway: gatewaySchema,
} as const

/** Every topic of the control plane. */
export const topics = {
  state: {
    pattern: `${BASE}/state/{node}`,
    writer: 'node',
    readers: ['coordinator', 'anyone'],
    qos: 1,
    retain: true,
    about: 'what a node is and how it stands; last will {"state":"offline"}',
  },
  desired: {
    pattern: `${BASE}/desired/{node}`,
    writer: 'coordinator',
    readers: ['node'],
    qos: 1,
    retain: true,
    about: 'the part of the model that a node is to hold, and its neighbours',
  },
  command: {
    pattern: `${BASE}/command/{node}`,
    writer: 'coordinator',
    readers: ['node'],
    qos: 1,
    retain: false,
    about: 'what a node is to do once',
  },
  vitals: {
    pattern: `${BASE}/vitals/{node}`,
    writer: 'node',
    readers: ['anyone'],
    qos: 0,
    retain: false,
    about: 'a node’s temperature, memory and speed, now and then',
  },
  board: {
    pattern: `${BASE}/board/{node}`,
    writer: 'gateway',
    readers: ['anyone'],
    qos: 1,
    retain: true,
    about: 'at the home’s broker only: a board as a home automation shows it',
  },
  bridgeState: {
    pattern: `${BASE}/bridge/state`,
    writer: 'coordinator',
    readers: ['anyone'],
    qos: 1,
    retain: true,
    about: 'whether a coordinator is there; last will {"state":"offline"}',
  },
  bridgeInfo: {
    pattern: `${BASE}/bridge/info`,
    writer: 'coordinator',
    readers: ['anyone'],
    qos: 1,
    retain: true,
    about: 'version, cluster, the model that is loaded and its stages',
  },
  bridgeHealth: {
    pattern: `${BASE}/bridge/health`,
    writer: 'coordinator',
    readers: ['anyone'],
    qos: 1,
    retain: true,
    about: 'whether the ring works and how much it does',
  },
  gateway: {
    pattern: `${BASE}/bridge/gateway/{instance}`,
    writer: 'gateway',
    readers: ['gateway'],
    qos: 1,
    retain: false,
    about: 'by which a gateway finds out whether the home’s broker is the ring’s own',
  },
  request: {
    pattern: `${BASE}/bridge/request/{verb}`,
    writer: 'client',
    readers: ['coordinator'],
    qos: 1,
    retain: false,
    about: 'asks the coordinator for something',
  },
  response: {
    pattern: `${BASE}/bridge/response/{verb}`,
    writer: 'coordinator',
    readers: ['client'],
    qos: 1,
    retain: false,
    about: 'answers a request; the transaction is echoed',
  },
  stream: {
    pattern: `${BASE}/bridge/stream/{request}`,
    writer: 'coordinator',
    readers: ['client'],
    qos: 1,
    retain: false,
    passing: true,
    about: 'pieces of a request’s text as they come',
  },
} as const satisfies Record<string, TopicRow>

export type TopicName = keyof typeof topics
/** Topics whose payload has one schema; `request` and `response` have one a verb. */
export type PlainTopic = keyof typeof schemas
export type Payload<T extends PlainTopic> = z.infer<(typeof schemas)[T]>

type Parameter<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Parameter<Rest>
  : never
/** Parameters of a topic's pattern. */
export type Parameters<T extends TopicName> = Record<
  Parameter<(typeof topics)[T]['pattern']>,
  string
>

/** Parameters that may have several levels; each stands at its pattern's end. */
const deep: readonly string[] = ['verb']

const levels = (pattern: string): string[] => pattern.split('/')
const parameterOf = (level: string): string | undefined => /^\{(\w+)\}$/.exec(level)?.[1]

/**
 * The topic of a row.
 * @throws MdiError `bad-value` when a parameter cannot stand in a topic
 */
export const buildTopic = <T extends TopicName>(name: T, parameters: Parameters<T>): string =>
  levels(topics[name].pattern)
    .map((level) => {
      const parameter = parameterOf(level)
      if (parameter === undefined) return level
      const value = (parameters as Record<string, string>)[parameter] ?? ''
      const parts = deep.includes(parameter) ? levels(value) : [value]
      if (parts.length > 4 || parts.some((part) => !/^[A-Za-z0-9_.-]{1,63}$/.test(part)))
        throw new MdiError('bad-value', `"${value.slice(0, 80)}" cannot stand in a topic.`)
      return value
    })
    .join('/')

/** The filter that matches every topic of a row. */
export const filterOf = (name: TopicName): string =>
  levels(topics[name].pattern)
    .map((level) => {
      const parameter = parameterOf(level)
      if (parameter === undefined) return level
      return deep.includes(parameter) ? '#' : '+'
    })
    .join('/')

/** Which row a topic belongs to, and its parameters; undefined: none of ours. */
export const matchTopic = (
  topic: string,
): { name: TopicName; parameters: Record<string, string> } | undefined => {
  const given = levels(topic)
  for (const name of Object.keys(topics) as TopicName[]) {
    const pattern = levels(topics[name].pattern)
    const isDeep = deep.includes(parameterOf(pattern.at(-1) ?? '') ?? '')
    if (isDeep ? given.length < pattern.length : given.length !== pattern.length) continue
    const parameters: Record<string, string> = {}
    const fits = pattern.every((level, i) => {
      const parameter = parameterOf(level)
      const last = isDeep && i === pattern.length - 1
      const value = last ? given.slice(i).join('/') : (given[i] as string)
      if (parameter === undefined) return level === value
      parameters[parameter] = value
      return value !== ''
    })
    if (fits) return { name, parameters }
  }
  return undefined
}

/** How a message of a row is published. */
export const optionsOf = (name: TopicName): { qos: 0 | 1; retain: boolean; passing?: boolean } => {
  const { qos, retain, passing }: TopicRow = topics[name]
  return { qos, retain, ...(passing && { passing }) }
}

const bounded = (payload: Uint8Array, what: string): Uint8Array => {
  if (payload.length <= limits.controlBytes) return payload
  throw new MdiError('bad-value', `In ${what}: ${payload.length} bytes are too many.`)
}

/**
 * Reads a payload of a row with one schema.
 * @throws MdiError `bad-value` with one sentence
 */
export const readMessage = <T extends PlainTopic>(
  name: T,
  topic: string,
  payload: Uint8Array,
): Payload<T> =>
  readJson(bounded(payload, topic), schemas[name] as unknown as z.ZodType<Payload<T>>, topic)

/** Writes a payload of a row with one schema, checked: what we send, others can read. */
export const writeMessage = <T extends PlainTopic>(name: T, value: Payload<T>): string =>
  JSON.stringify(checkValue(value, schemas[name] as unknown as z.ZodType<Payload<T>>, name))

/**
 * Reads a request. An empty payload is an empty request, as zigbee2mqtt takes it.
 * @throws MdiError `bad-value`, `unsupported` for an unknown verb
 */
export const readRequest = <V extends Verb>(verb: V, payload: Uint8Array): VerbRequest<V> => {
  const what = `the request ${verb}`
  const bytes = payload.length === 0 ? new TextEncoder().encode('{}') : bounded(payload, what)
  return readJson(bytes, verbs[verb].request as unknown as z.ZodType<VerbRequest<V>>, what)
}

/** The verb of a request topic. @throws MdiError `unsupported` naming those there are */
export const verbOf = (name: string): Verb => {
  if (isVerb(name)) return name
  throw new MdiError(
    'unsupported',
    `There is no request "${name.slice(0, 40)}"; there are ${Object.keys(verbs).join(', ')}.`,
  )
}

/**
 * The transaction of a request that may be wrong otherwise, so that its error can be told to
 * whoever asked.
 */
export const transactionOf = (payload: Uint8Array): string | number | undefined => {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload))
    const { transaction } = Object(value) as { transaction?: unknown }
    if (typeof transaction === 'string') return transaction.slice(0, 200)
    return typeof transaction === 'number' ? transaction : undefined
  } catch {
    return undefined
  }
}

/** The same of a request that is cut: looked for in its beginning. */
export const transactionIn = (prefix: Uint8Array): string | number | undefined => {
  const text = new TextDecoder().decode(prefix)
  const found = /"transaction"\s*:\s*("(?:[^"\\]|\\.){0,200}"|-?\d+(?:\.\d+)?(?=[\s,}]))/.exec(text)
  return transactionOf(Buffer.from(`{"transaction":${found?.[1] ?? 'null'}}`))
}

/** Whether a request says that it was asked before. */
export const isAgain = (payload: Uint8Array): boolean => {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(payload))
    return (Object(value) as { again?: unknown }).again === true
  } catch {
    return false
  }
}

/** Reads an answer. @throws MdiError `bad-value` */
export const readResponse = <V extends Verb>(verb: V, payload: Uint8Array): Response<VerbData<V>> =>
  readJson(
    bounded(payload, `the answer to ${verb}`),
    responseSchema(verbs[verb].data) as unknown as z.ZodType<Response<VerbData<V>>>,
    `the answer to ${verb}`,
  )

/** Schema of a row with one schema, for the document. */
export const schemaOf = (name: PlainTopic): z.ZodType => schemas[name]
export const isPlainTopic = (name: TopicName): name is PlainTopic => Object.hasOwn(schemas, name)
