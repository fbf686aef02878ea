/** A real Home Assistant as a child process, driven by its own REST and WebSocket interfaces. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, type Place, type Service } from './processes.ts'

type Json = Record<string, unknown>
export type State = { entity_id: string; state: string; attributes: Json }
/** What a conversation came to: `kind` is Home Assistant's response type. */
export type Said = { kind: string; text: string; conversation: string }

const CLIENT = 'http://127.0.0.1/'

/** An entity that is on while a helper of its name is. */
const entity = (name: string, on: string, off: string): string => {
  const id = name.toLowerCase().replaceAll(' ', '_')
  const set = (to: string) =>
    `{ action: input_boolean.turn_${to}, target: { entity_id: input_boolean.${id} } }`
  return `      - name: ${name}
        unique_id: ${id}
        state: "{{ is_state('input_boolean.${id}', 'on') }}"
        ${on}: ${set('on')}
        ${off}: ${set('off')}`
}

/** Two lights and a lock, and nothing that calls anybody. */
const configuration = (port: number): string => `
homeassistant:
  name: Test
  latitude: 52.0
  longitude: 5.0
  elevation: 0
  unit_system: metric
  time_zone: UTC
  currency: EUR
  country: NL
http:
  server_host: 127.0.0.1
  server_port: ${port}
api:
config:
conversation:
input_boolean:
  kitchen_lights: {}
  bed_light: {}
  front_door: {}
template:
  - light:
${entity('Kitchen lights', 'turn_on', 'turn_off')}
${entity('Bed light', 'turn_on', 'turn_off')}
  - lock:
${entity('Front door', 'lock', 'unlock')}
logger:
  default: warning
`

/** Its WebSocket: commands are answered, events are told. */
class Socket {
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #events = new Map<number, (event: Json) => void>()
  #id = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  static open(port: number, token: string): Promise<Socket> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/websocket`)
    const out = new Socket(socket)
    return new Promise((resolve, reject) => {
      socket.onerror = () => reject(new Error('the WebSocket of Home Assistant broke'))
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(String(data)) as Json
        if (message.type === 'auth_required')
          socket.send(JSON.stringify({ type: 'auth', access_token: token }))
        else if (message.type === 'auth_ok') resolve(out)
        else if (message.type === 'auth_invalid') reject(new Error('the token is refused'))
        else out.#receive(message)
      }
    })
  }

  #receive(message: Json): void {
    const id = Number(message.id)
    if (message.type === 'event') {
      this.#events.get(id)?.(message.event as Json)
      return
    }
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (message.success) waiting?.resolve(message.result)
    else waiting?.reject(new Error(`Home Assistant: ${JSON.stringify(message.error)}`))
  }

  ask<T>(type: string, words: Json = {}): Promise<T> {
    const id = ++this.#id
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    this.#socket.send(JSON.stringify({ id, type, ...words }))
    return waiting.promise as Promise<T>
  }

  async listen(type: string, words: Json, onEvent: (event: Json) => void): Promise<void> {
    this.#events.set(this.#id + 1, onEvent)
    await this.ask(type, words)
  }

  close(): void {
    this.#socket.close()
  }
}

export class HomeAssistant {
  readonly #service: Service
  readonly #port: number
  readonly #token: string
  readonly #socket: Socket
  readonly states = new Map<string, State>()
  readonly #looking = new Set<() => void>()
  /** As it says itself. */
  readonly version: string

  private constructor(
    service: Service,
    port: number,
    token: string,
    socket: Socket,
    version: string,
  ) {
    this.#service = service
    this.#port = port
    this.#token = token
    this.#socket = socket
    this.version = version
  }

  /** @param program what starts it, e.g. `hass`, or `chroot FOLDER /venv/bin/hass` */
  static async start(place: Place, program: readonly string[]): Promise<HomeAssistant> {
    const folder = join(place.folder, 'hass')
    mkdirSync(folder)
    const port = await freePort()
    writeFileSync(join(folder, 'configuration.yaml'), configuration(port))
    const { PIP_CERT, SSL_CERT_FILE, REQUESTS_CA_BUNDLE, UV_INDEX_URL } = process.env
    const given = { PIP_CERT, SSL_CERT_FILE, REQUESTS_CA_BUNDLE, UV_INDEX_URL }
    const environment = Object.fromEntries(Object.entries(given).filter(([, v]) => v !== undefined))
    const words = [...program, '--config', folder]
    const service = place.command('hass', words, environment as Record<string, string>).start()
    const token = await onboard(service, port)
    const socket = await Socket.open(port, token)
    const { version } = await socket.ask<{ version: string }>('get_config')
    const out = new HomeAssistant(service, port, token, socket, version)
    await socket.listen('subscribe_events', { event_type: 'state_changed' }, ({ data }) => {
      const { entity_id: id, new_state: state } = data as { entity_id: string; new_state: State }
      if (state) out.states.set(id, state)
      else out.states.delete(id)
      for (const look of [...out.#looking]) look()
    })
    for (const state of await socket.ask<State[]>('get_states'))
      out.states.set(state.entity_id, state)
    return out
  }

  get lines(): readonly string[] {
    return this.#service.lines
  }

  ask<T>(type: string, words: Json = {}): Promise<T> {
    return this.#socket.ask(type, words)
  }

  /** Resolves with the first entity that fits. */
  until(what: string, fits: (state: State) => boolean, seconds = 60): Promise<State> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = [...this.states.values()].find(fits)
        if (!found) return
        clearTimeout(timer)
        this.#looking.delete(look)
        resolve(found)
      }
      const timer = setTimeout(() => {
        this.#looking.delete(look)
        reject(new Error(`${what} did not come in ${seconds} s`))
      }, seconds * 1000)
      this.#looking.add(look)
      look()
    })
  }

  stateOf(entity: string): string | undefined {
    return this.states.get(entity)?.state
  }

  async service(domain: string, name: string, words: Json): Promise<void> {
    await this.#post(`/api/services/${domain}/${name}`, words)
  }

  /** Sets an integration up as its dialog would, step by step. */
  async integrate(handler: string, ...steps: Json[]): Promise<void> {
    const path = '/api/config/config_entries/flow'
    let at = (await this.#post(path, { handler, show_advanced_options: false })) as Json
    for (const step of steps) {
      at = (await this.#post(`${path}/${at.flow_id}`, { ...folded(at), ...step })) as Json
    }
    if (at.type !== 'create_entry') throw new Error(`${handler}: ${JSON.stringify(at)}`)
  }

  /** Says something to an agent. */
  async say(agent: string, text: string, conversation?: string): Promise<Said> {
    const within = conversation !== undefined && { conversation_id: conversation }
    const words = { text, language: 'en', agent_id: agent, ...within }
    const { response, conversation_id } = (await this.#post(
      '/api/conversation/process',
      words,
    )) as {
      response: { response_type: string; speech?: { plain?: { speech?: string } } }
      conversation_id: string
    }
    return {
      kind: response.response_type,
      text: response.speech?.plain?.speech ?? '',
      conversation: conversation_id,
    }
  }

  async #post(path: string, body: Json): Promise<unknown> {
    return post(this.#port, path, body, this.#token)
  }

  async close(): Promise<void> {
    this.#socket.close()
    await this.#service.stop()
  }
}

type Field = {
  name: string
  type?: string
  required?: boolean
  default?: unknown
  schema?: Field[]
  selector?: { boolean?: unknown; select?: { options: (string | { value: string })[] } }
}

/** Newer dialogs have parts that can be folded, which must be there though left as they are. */
const folded = (dialog: Json): Json => {
  const left = ({ name, selector, default: usual }: Field): [string, unknown] => {
    const first = selector?.select?.options[0]
    const option = typeof first === 'object' ? first.value : first
    return [name, usual ?? (selector?.boolean ? false : option)]
  }
  const parts = ((dialog.data_schema ?? []) as Field[]).filter((f) => f.type === 'expandable')
  return Object.fromEntries(
    parts.map(({ name, schema = [] }) => [
      name,
      Object.fromEntries(schema.filter(({ required }) => required).map(left)),
    ]),
  )
}

const post = async (port: number, path: string, body: Json, token = ''): Promise<unknown> => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token !== '' && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}

/** The first person, as the welcome dialog makes them. @returns a token for its interfaces */
const onboard = async (service: Service, port: number): Promise<string> => {
  const until = performance.now() + 300_000
  // It tells nobody when it listens.
  for (;;) {
    const there = await fetch(`http://127.0.0.1:${port}/api/onboarding`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (there) break
    if (!service.running || performance.now() > until)
      throw new Error(`Home Assistant does not start:\n${service.lines.slice(-20).join('\n')}`)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  const person = { name: 'Test', username: 'test', password: 'only for this test' }
  const { auth_code } = (await post(port, '/api/onboarding/users', {
    ...{ client_id: CLIENT, language: 'en' },
    ...person,
  })) as { auth_code: string }
  const answer = await fetch(`http://127.0.0.1:${port}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      ...{ grant_type: 'authorization_code', code: auth_code, client_id: CLIENT },
    }),
  })
  const { access_token } = (await answer.json()) as { access_token: string }
  return access_token
}
