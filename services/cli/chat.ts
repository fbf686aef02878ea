/** `mdi chat`: a conversation; Ctrl-C stops the answer, and at the prompt the chat. */
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { MdiError } from '../errors.ts'
import type { WorkerEntry } from '../lifecycle/local.ts'
import type { ChatMessage } from '../model/chat.ts'
import { outputGone } from './ending.ts'
import { textInput } from './input.ts'
import {
  addEngineOptions,
  addSamplingOptions,
  type SamplingOptions,
  samplingOf,
  stopsOf,
} from './options.ts'
import { cutNote, lostNote } from './output.ts'
import { addSpeakerOptions, type Speaker, type SpeakerOptions, withSpeaker } from './speaker.ts'
import { thoughtPrinter } from './thoughts.ts'

type Options = SpeakerOptions & SamplingOptions & { system?: string }

export const addChat = (program: Command, entry: WorkerEntry): void => {
  const command = program
    .command('chat')
    .description('talk with the model; Ctrl-C stops an answer, Ctrl-D ends the chat')
    .option('--system <text>', 'what the system says first')
  addSpeakerOptions(command)
  addSamplingOptions(addEngineOptions(command)).action(async (options: Options, self: Command) => {
    await withSpeaker(entry, self, options, (speaker) => converse(speaker, options))
  })
}

const converse = async (speaker: Speaker, options: Options): Promise<void> => {
  const messages: ChatMessage[] = options.system
    ? [{ role: 'system', content: options.system }]
    : []
  const terminal = process.stdin.isTTY === true
  const source = terminal ? process.stdin : textInput()
  let failure: unknown
  source.once('error', (error) => {
    failure = error
    input.close()
  })
  const input = createInterface({
    input: source,
    output: terminal ? process.stdout : undefined,
    terminal,
    prompt: terminal ? '> ' : '',
  })
  let running: string | undefined
  const interrupt = () => {
    if (running !== undefined) speaker.cancel(running)
    else input.close()
  }
  // Piped input may end while the last answer is on its way.
  let open = true
  input.once('close', () => {
    open = false
  })
  input.on('SIGINT', interrupt)
  process.on('SIGINT', interrupt)
  const lost = () => {
    if (running !== undefined) speaker.cancel(running)
    input.close()
  }
  outputGone.addEventListener('abort', lost)
  if (terminal) process.stdout.write(`${speaker.model ?? 'The ring'}. Ctrl-D ends the chat.\n`)
  try {
    input.prompt()
    for await (const line of input) {
      if (line.trim() !== '') {
        messages.push({ role: 'user', content: line })
        running = randomUUID()
        await answerTurn(speaker, messages, running, options)
        running = undefined
      }
      if (open) input.prompt()
    }
  } finally {
    process.off('SIGINT', interrupt)
    outputGone.removeEventListener('abort', lost)
    input.close()
  }
  // A terminal that is gone has no more to say; what is no text is told.
  if (failure instanceof MdiError) throw failure
}

/** One turn; the history keeps what was answered, also when it was stopped. */
const answerTurn = async (
  speaker: Speaker,
  messages: ChatMessage[],
  id: string,
  options: Options,
): Promise<void> => {
  const request = {
    id,
    input: { messages },
    sampling: samplingOf(options),
    maxTokens: options.maxTokens,
    stop: stopsOf(options),
  }
  try {
    const printer = thoughtPrinter(process.stdout)
    const answer = await speaker.answer(request, printer)
    printer.end()
    process.stdout.write(answer.reason === 'cancelled' ? ' …\n' : '\n')
    // Without its thoughts: templates leave those of earlier turns out, too.
    messages.push({ role: 'assistant', content: answer.text })
    const lost = lostNote(answer)
    if (lost !== undefined) process.stderr.write(`(${lost})\n`)
    const cut = cutNote(answer, options.maxTokens)
    if (cut !== undefined && !outputGone.aborted) process.stderr.write(`(${cut})\n`)
    // What no longer fits is dropped for good, so the prompt's making stays quick.
    if (answer.dropped > 0) {
      process.stderr.write(`(${answer.dropped} old turns no longer fit into the context)\n`)
      dropTurns(messages, answer.dropped)
    }
  } catch (error) {
    if (!(error instanceof MdiError)) throw error
    process.stderr.write(`mdi: ${error.message}\n`)
    messages.pop()
  }
}

const dropTurns = (messages: ChatMessage[], turns: number): void => {
  const first = messages[0]?.role === 'system' ? 1 : 0
  for (let n = 0; n < turns; n++) {
    const next = messages.findIndex((m, i) => i > first && m.role === 'user')
    if (next < 0) return
    messages.splice(first, next - first)
  }
}
