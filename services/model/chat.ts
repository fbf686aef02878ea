/**
 * Conversations as prompts: a model's chat template, and what fits into its context.
 *
 * A message's text may contain what looks like a control token ("<|im_end|>"). In the
 * prompt only the template's own may count. So the template's engine (`jinja/text`) tells of
 * each character whether the template wrote it, and a control token counts only where it
 * wrote all of its characters.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { TextSpec } from './spec.ts'
import type { Tokenizer } from './tokenizer.ts'

/** One message; further fields (tool calls, names) go to the template as they are. */
export type ChatMessage = { role: string; content?: unknown; [key: string]: unknown }

/** What a template is given, by names. */
export type TemplateVariables = {
  /** The conversation; roles must be known ones, since they count as the template's own. */
  messages: readonly ChatMessage[]
  /** What else came from outside. Like the messages', its texts cannot make control tokens. */
  foreign: Record<string, unknown>
  /** What counts as the template's own. */
  own: Record<string, unknown>
}

/** A prompt, and the ranges of it that the template did not write; see `jinja/text`. */
export type Rendered = { text: string; foreign: readonly number[] }

/** Renders Jinja under a bound of time and size; `io/template` has it in a worker. */
export interface TemplateRunner {
  /** @throws MdiError `timeout`, `unsupported`, `bad-value` (the template's own exception) */
  render(template: string, variables: TemplateVariables): Promise<Rendered>
}

export type PromptOptions = {
  /** Tool definitions, in the form that the template wants. */
  tools?: readonly unknown[]
  /** Whether the prompt ends where the answer begins; on unless said otherwise. */
  addGenerationPrompt?: boolean
  /** Further variables of the template, e.g. `enable_thinking`. */
  variables?: Record<string, unknown>
  /** A prompt of more tokens is refused (`too-long`) before all of it is encoded. */
  atMost?: number
}

export type ChatPrompt = {
  text: string
  ids: number[]
  /** The model has no template, and a plain form was used: answers may be poor. */
  fallback: boolean
  /** Stop strings that belong to the form. */
  stops: string[]
  /** Pieces of the text that the vocabulary cannot spell. */
  lost: number
}

const roles = ['system', 'developer', 'user', 'assistant', 'tool', 'function', 'ipython']

/**
 * Checks messages that came from outside; parts of text become one text.
 * @throws MdiError `bad-value`
 */
export const checkMessages = (messages: unknown): ChatMessage[] => {
  const refuse = (what: string) => new MdiError('bad-value', `${what}.`)
  if (!Array.isArray(messages) || messages.length === 0)
    throw refuse('A conversation is a list of at least one message')
  return messages.map((given: unknown, i): ChatMessage => {
    const message = given as Partial<ChatMessage> | null
    if (typeof message !== 'object' || message === null)
      throw refuse(`Message ${i + 1} is not an object`)
    // Templates put the role next to control tokens' delimiters: only known ones.
    if (typeof message.role !== 'string' || !roles.includes(message.role))
      throw refuse(`The role of message ${i + 1} must be one of ${roles.join(', ')}`)
    const { role, content } = message
    if (!Array.isArray(content)) {
      if (content !== undefined && content !== null && typeof content !== 'string')
        throw refuse(`The content of message ${i + 1} must be a text`)
      return { ...message, role }
    }
    const texts = content.map((part: { type?: unknown; text?: unknown } | null) => {
      if (part?.type !== 'text' || typeof part.text !== 'string')
        throw refuse(`Message ${i + 1} has a part that is not text; this model reads only text`)
      return part.text
    })
    return { ...message, role, content: texts.join('\n') }
  })
}

/** Refuses values that are nested too deeply: walking them would overflow the stack. */
const checkDepth = (value: unknown, left: number = limits.promptDepth): void => {
  if (typeof value !== 'object' || value === null) return
  if (left === 0) throw new MdiError('bad-value', 'The conversation is nested too deeply.')
  for (const item of Object.values(value)) checkDepth(item, left - 1)
}

/** The plain form for models without a template. */
const plainForm = (messages: readonly ChatMessage[], open: boolean): string => {
  const lines = messages.map(({ role, content }) => `${role}: ${String(content ?? '')}\n`)
  return lines.join('') + (open ? 'assistant:' : '')
}

/** Makes prompts for one model. */
export class ChatFormat {
  readonly #spec: TextSpec
  readonly #tokenizer: Tokenizer
  readonly #runner: TemplateRunner

  constructor(spec: TextSpec, tokenizer: Tokenizer, runner: TemplateRunner) {
    this.#spec = spec
    this.#tokenizer = tokenizer
    this.#runner = runner
  }

  /**
   * The prompt of a conversation (`checkMessages` first), as text and as token ids.
   * @throws MdiError `too-long` beyond `limits.promptBytes`, or what the template throws
   */
  async prompt(messages: readonly ChatMessage[], options: PromptOptions = {}): Promise<ChatPrompt> {
    const { chatTemplate, bosToken, eosToken } = this.#spec
    const open = options.addGenerationPrompt ?? true
    const given = { ...options.variables, messages, tools: options.tools ?? null }
    let lost = 0
    const encoding = {
      bos: true,
      lost: (pieces: number) => {
        lost += pieces
      },
      ...(options.atMost !== undefined && { atMost: options.atMost }),
    }
    checkDepth(given)
    const json = JSON.stringify(given)
    if (Buffer.byteLength(json) > limits.promptBytes)
      throw new MdiError('too-long', `The conversation is longer than ${limits.promptBytes} bytes.`)
    if (chatTemplate === undefined) {
      const text = plainForm(messages, open)
      return {
        text,
        ids: this.#tokenizer.encode(text, encoding),
        fallback: true,
        stops: ['\nuser:'],
        lost,
      }
    }
    const { text, foreign } = await this.#runner.render(chatTemplate, {
      messages,
      foreign: { ...options.variables, tools: options.tools ?? null },
      own: {
        add_generation_prompt: open,
        bos_token: bosToken ?? '',
        eos_token: eosToken ?? '',
      },
    })
    const ids = this.#tokenizer.encode(text, { ...encoding, control: { foreign } })
    return { text, ids, fallback: false, stops: [], lost }
  }
}

/** Where each turn begins. A turn begins with a user message, the first one after the system's. */
const turnStarts = (messages: readonly ChatMessage[], first: number): number[] => {
  const starts: number[] = []
  for (let i = first; i < messages.length; i++)
    if (i === first || messages[i]?.role === 'user') starts.push(i)
  return starts
}

/**
 * Drops the oldest whole turns until the prompt and the reserve fit into the context. What
 * the system says stays, and so does the last turn.
 * @param room `context`: positions of a sequence; `reserve`: those kept for the answer
 * @returns the prompt, the messages left, and how many turns were dropped
 * @throws MdiError `too-long` with the figures when the last turn alone does not fit
 */
export const cutHistory = async (
  chat: Pick<ChatFormat, 'prompt'>,
  messages: readonly ChatMessage[],
  room: { context: number; reserve: number },
  options: PromptOptions = {},
): Promise<{ prompt: ChatPrompt; messages: ChatMessage[]; dropped: number }> => {
  const isSystem = ({ role }: ChatMessage) => role === 'system' || role === 'developer'
  const other = messages.findIndex((message) => !isSystem(message))
  const first = other < 0 ? messages.length : other
  const starts = turnStarts(messages, first)
  const atMost = Math.max(0, room.context - room.reserve)
  /** The prompt with that many turns dropped. Undefined if it does not fit. */
  const cut = async (dropped: number) => {
    const from = starts[dropped] ?? messages.length
    const left = [...messages.slice(0, first), ...messages.slice(from)]
    try {
      return { prompt: await chat.prompt(left, { ...options, atMost }), messages: left, dropped }
    } catch (error) {
      if (error instanceof MdiError && error.code === 'too-long') return undefined
      throw error
    }
  }
  const whole = await cut(0)
  if (whole) return whole
  // Dropping more turns makes it shorter, so a binary search finds the fewest.
  let low = 0
  let high = Math.max(0, starts.length - 1)
  let best = high > 0 ? await cut(high) : undefined
  if (!best)
    throw new MdiError(
      'too-long',
      `The prompt has more than the ${atMost} tokens that fit: the context holds ` +
        `${room.context}, and ${room.reserve} are kept for the answer. Shorten the text, or ask for a shorter answer.`,
    )
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    const made = await cut(middle)
    if (made) {
      best = made
      high = middle
    } else low = middle
  }
  return best
}
