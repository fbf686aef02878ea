/** The voice service on a real port, with a scripted core and a clock that stands still. */
import type { TestContext } from 'node:test'
import { wyomingCrowded, wyomingVisits } from '../../services/api/wyoming/service.ts'
import { TcpDoorway } from '../../services/io/links/doorway.ts'
import { Conversations } from '../../services/requests/conversations.ts'
import { Assistant, type Settings } from '../../services/voice/assistant.ts'
import type { Trust } from '../../services/voice/intent.ts'
import { FakeClock } from './clock.ts'
import { type Script, ScriptedCore } from './core.ts'
import { WyomingClient } from './wyoming.ts'

export type VoiceOptions = {
  settings?: Partial<Settings>
  model?: string
  most?: number
  /** The wall clock's time; null: it is not synchronized. */
  time?: Date | null
  /** What the model's file tells of when its intents are to be trusted. */
  trust?: Trust
}

export const voiceService = async (t: TestContext, script: Script, options: VoiceOptions = {}) => {
  const clock = new FakeClock()
  const core = new ScriptedCore(script)
  const audit: string[] = []
  const { time = new Date(2026, 10, 23, 9, 5) } = options
  const assistant = new Assistant({
    core,
    clock,
    conversations: new Conversations(clock),
    wallClock: { now: () => time ?? undefined },
    random: { uint32: () => core.requests.all.length },
    settings: () => ({
      intents: true,
      allowUnlock: false,
      prompt: undefined,
      seconds: 20,
      ...options.settings,
    }),
    ...(options.trust && { trust: () => options.trust as Trust }),
    audit: (line) => audit.push(line),
  })
  const listener = new TcpDoorway({
    what: 'The voice service',
    visit: wyomingVisits({
      assistant,
      clock,
      about: () => ({ cluster: 'den', version: '1', model: options.model, languages: ['en'] }),
    }),
    crowded: wyomingCrowded,
    most: options.most ?? 16,
    now: () => clock.now(),
  })
  const port = await listener.start(0, '127.0.0.1')
  t.after(() => listener.close())
  const call = async () => {
    const client = await WyomingClient.call(port)
    t.after(() => client.hangUp())
    return client
  }
  return { clock, core, audit, listener, call, port }
}
