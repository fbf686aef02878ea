/** Who answers a command's requests: a ring of one in this process, or the ring by MQTT. */
import type { Command } from 'commander'
import { residentMemory } from '../io/board/system.ts'
import type { LocalRing, WorkerEntry } from '../lifecycle/local.ts'
import type { ChatMessage } from '../model/chat.ts'
import type { TextSpec } from '../model/spec.ts'
import type { Answer, TextRequest } from '../requests/generation.ts'
import { withLocalRing } from './local.ts'
import type { EngineOptions } from './options.ts'
import type { RemoteRing } from './remote.ts'
import { withRing } from './ring.ts'
import { settingsOf } from './settings.ts'

/** What is told of an answer while it comes; a ring elsewhere tells no thoughts. */
export type AnswerSink = { text(text: string): void; thought?(text: string): void }

export interface Speaker {
  /** The model's name, if it is known beforehand. */
  model: string | undefined
  /** Whether prompts are put into the model's chat template. */
  chats: boolean
  /** Answers a request; its text is handed on as it comes. @throws MdiError */
  answer(request: TextRequest, told: AnswerSink): Promise<Answer>
  cancel(id: string): void
  /** Who computes here, and what it takes; a ring elsewhere tells it by `mdi status`. */
  nodes?(): { node: string; layers: number; residentBytes: number }[]
}

export type SpeakerOptions = EngineOptions & { model?: string; broker?: string; local?: boolean }

/** Options that choose the speaker. */
export const addSpeakerOptions = (command: Command): Command =>
  command
    .option('--model <name>', 'which model, where there are several')
    .option('--broker <url>', 'ask the ring at this MQTT broker')
    .option('--local', 'compute here, also where the settings name a broker')

/** Runs `use` with whoever the options and settings name. */
export const withSpeaker = (
  entry: WorkerEntry,
  command: Command,
  options: SpeakerOptions,
  use: (speaker: Speaker) => Promise<void>,
): Promise<void> => {
  const remote = !options.local && settingsOf(command).broker.url !== undefined
  if (remote) return withRing(command, (ring) => use(remoteSpeaker(ring, options.model)))
  return withLocalRing(entry, command, options.model, options, (ring) => use(localSpeaker(ring)))
}

/** Whether a model answers conversations. */
const chats = ({ chatTemplate, plainChat }: TextSpec): boolean =>
  chatTemplate !== undefined || plainChat === true

export const localSpeaker = (ring: LocalRing): Speaker => ({
  model: ring.model.manifest.name,
  chats: chats(ring.model.manifest.text),
  answer: (request, told) =>
    new Promise((resolve, reject) => {
      void ring.generations.submit(ring.model, request, {
        text: told.text,
        ...(told.thought && { thought: told.thought }),
        end: resolve,
        error: reject,
      })
    }),
  cancel: (id) => ring.generations.cancel(id),
  nodes: () => [{ node: 'local', layers: ring.report.layers, residentBytes: residentMemory() }],
})

const remoteSpeaker = (ring: RemoteRing, model: string | undefined): Speaker => ({
  model,
  chats: true,
  answer: async (request, { text: onText }) => {
    const { id, input, sampling, maxTokens, stop } = request
    const shared = { id, model, sampling, maxTokens, stop: [...stop] }
    if ('prompt' in input)
      return { ...(await ring.stream('generate', { ...shared, ...input }, onText)), dropped: 0 }
    const messages = input.messages.map(plainMessage)
    return { ...(await ring.stream('chat', { ...shared, messages }, onText)), dropped: 0 }
  },
  cancel: (id) => void ring.ask('cancel', { id }).catch(() => ring.giveUp(id)),
})

type Role = 'system' | 'user' | 'assistant'
const plainMessage = ({ role, content }: ChatMessage) => ({
  role: role as Role,
  content: String(content ?? ''),
})
