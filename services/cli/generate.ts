/** `mdi generate PROMPT…`: answers one prompt, or several at once, as they come. */
import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { MdiError } from '../errors.ts'
import type { WorkerEntry } from '../lifecycle/local.ts'
import type { Answer, TextRequest } from '../requests/generation.ts'
import { outputGone } from './ending.ts'
import { readInput } from './input.ts'
import { onInterrupt } from './interrupt.ts'
import {
  addEngineOptions,
  addSamplingOptions,
  type SamplingOptions,
  samplingOf,
  stopsOf,
} from './options.ts'
import { bytes, cutNote, json, lostNote } from './output.ts'
import { addSpeakerOptions, type Speaker, type SpeakerOptions, withSpeaker } from './speaker.ts'
import { thoughtPrinter } from './thoughts.ts'

type Options = SpeakerOptions &
  SamplingOptions & {
    raw?: boolean
    system?: string
    json?: boolean
    quiet?: boolean
  }

export const addGenerate = (program: Command, entry: WorkerEntry): void => {
  const command = program
    .command('generate')
    .description('answer a prompt; several prompts are answered at once')
    .argument('<prompt...>', 'what to answer; - reads it from standard input')
    .option('--raw', 'continue the text as it is, without the chat template; control tokens count')
    .option('--system <text>', 'what the system says first')
    .option('--json', 'one JSON document instead of text')
    .option('--quiet', 'the text only, no figures')
  addSamplingOptions(addEngineOptions(addSpeakerOptions(command))).action(
    async (prompts: string[], options: Options, self: Command) => {
      if (prompts.filter((p) => p === '-').length > 1)
        throw new MdiError('usage', 'Standard input (-) can be one of the prompts only.')
      const texts = await Promise.all(prompts.map((p) => (p === '-' ? readInput() : p)))
      const sampling = samplingOf(options)
      const stop = stopsOf(options)
      if (options.raw && options.system !== undefined)
        throw new MdiError(
          'usage',
          'With --raw there is no place for --system: put it into the prompt, or leave --raw out.',
        )
      await withSpeaker(entry, self, options, async (speaker) => {
        if (!speaker.chats && options.system !== undefined)
          throw new MdiError(
            'bad-value',
            `${speaker.model} has no chat template, so there is no place for --system: put it into the prompt.`,
          )
        const requests = texts.map((text): TextRequest => {
          const raw = options.raw || !speaker.chats
          return {
            id: randomUUID(),
            input: raw ? { prompt: text } : { messages: conversation(text, options.system) },
            sampling,
            maxTokens: options.maxTokens,
            stop,
          }
        })
        await answerAll(speaker, requests, texts, options)
      })
    },
  )
}

const conversation = (text: string, system: string | undefined) => [
  ...(system === undefined ? [] : [{ role: 'system', content: system }]),
  { role: 'user', content: text },
]

const answerAll = async (
  speaker: Speaker,
  requests: readonly TextRequest[],
  prompts: readonly string[],
  options: Options,
): Promise<void> => {
  const release = onInterrupt(() => {
    for (const { id } of requests) speaker.cancel(id)
  })
  const printers = requests.map((_, i) => printer(options, requests.length, i))
  const settled = await Promise.allSettled(
    requests.map(async (request, i) => {
      const print = printers[i] as Printer
      const answer = await speaker.answer(request, print)
      print.end()
      return answer
    }),
  )
  release()
  if (outputGone.aborted) return
  if (options.json) {
    const answers = settled.map((s, i) => ({
      prompt: prompts[i],
      ...(s.status === 'fulfilled' ? s.value : { error: (s.reason as Error).message }),
    }))
    json({ model: speaker.model, nodes: speaker.nodes?.(), answers })
  } else if (!options.quiet) {
    const answers = settled.flatMap((s) => (s.status === 'fulfilled' ? [s.value] : []))
    for (const answer of answers) figures(answer, options.maxTokens)
    for (const answer of answers) {
      const lost = lostNote(answer)
      if (lost !== undefined) process.stderr.write(`(${lost})\n`)
    }
    const nodes = answers.length > 0 ? (speaker.nodes?.() ?? []) : []
    for (const { node, layers, residentBytes } of nodes)
      process.stderr.write(`(${node}: ${layers} layers, ${bytes(residentBytes)})
`)
  }
  const failed = settled.find((s) => s.status === 'rejected')
  if (failed) throw failed.reason
  if (settled.some((s) => s.status === 'fulfilled' && s.value.reason === 'cancelled'))
    throw new MdiError('cancelled', 'Cancelled.')
}

const figures = (answer: Answer, maxTokens: number | undefined): void => {
  const first =
    answer.firstTokenMs === undefined ? '' : `, first after ${Math.round(answer.firstTokenMs)} ms`
  const rate =
    answer.tokensPerSecond === undefined ? '' : `, ${answer.tokensPerSecond.toFixed(1)} tokens/s`
  const cut = cutNote(answer, maxTokens)
  const note = cut === undefined ? '' : `; ${cut}`
  process.stderr.write(`(${answer.promptTokens} + ${answer.tokens} tokens${first}${rate}${note})\n`)
}

type Printer = { text: (text: string) => void; thought?: (text: string) => void; end: () => void }

const LINE_WIDTH = 72

/** A single answer streams as it is; several take turns by lines, each with its number. */
const printer = (options: Options, of: number, index: number): Printer => {
  if (options.json) return { text: () => {}, end: () => {} }
  if (of === 1) {
    const { text, thought, end } = thoughtPrinter(process.stdout)
    return {
      text,
      thought,
      end: () => {
        end()
        process.stdout.write('\n')
      },
    }
  }
  let line = ''
  const flush = (text: string) => process.stdout.write(`[${index + 1}] ${text}\n`)
  return {
    text: (text) => {
      line += text
      for (;;) {
        const cut = line.indexOf('\n')
        const space = line.length > LINE_WIDTH ? line.lastIndexOf(' ', LINE_WIDTH) : -1
        const at = cut >= 0 ? cut : space
        if (at < 0) return
        flush(line.slice(0, at))
        line = line.slice(at + 1)
      }
    },
    end: () => {
      if (line !== '') flush(line)
    },
  }
}
