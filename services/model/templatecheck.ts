/** Tries a model's chat template when it is imported, and not when somebody waits for an answer. */
import { MdiError } from '../errors.ts'
import type { ChatMessage, TemplateRunner } from './chat.ts'
import { sortedIds } from './control.ts'
import type { TextSpec } from './spec.ts'
import type { TokenizerJson } from './text.ts'

/** A text that no template writes. */
const SAMPLE = 'Kwyjibo'
const user: ChatMessage = { role: 'user', content: 'Hi' }
const assistant: ChatMessage = { role: 'assistant', content: SAMPLE }

/** The token that a template puts right behind an answer, if it is a control token. */
const endAfter = (text: string, spec: TextSpec): number | undefined => {
  const at = text.lastIndexOf(SAMPLE)
  if (at < 0) return undefined
  const rest = text.slice(at + SAMPLE.length).trimStart()
  const { added_tokens: added = [] } = (spec.tokenizer ?? {}) as Partial<TokenizerJson>
  const found = added
    .filter(
      ({ special, content, id }) =>
        special && content !== '' && id !== spec.bosId && rest.startsWith(content),
    )
    .sort((a, b) => b.content.length - a.content.length)
  return found[0]?.id
}

/**
 * Tries a template with the shortest conversations. The token that it puts behind an answer ends
 * answers, even where the file does not say so.
 * @param name the model's file, for sentences
 * @throws MdiError `bad-value` where it cannot be used, with the way out: `unsupported` would
 *   let a download be dropped, and it is still wanted
 */
export const tryTemplate = async (
  name: string,
  text: TextSpec,
  runner: TemplateRunner,
): Promise<TextSpec> => {
  const { chatTemplate, bosToken, eosToken } = text
  if (chatTemplate === undefined) return text
  const render = (messages: ChatMessage[], open: boolean) =>
    runner.render(chatTemplate, {
      messages,
      foreign: { tools: null },
      own: {
        add_generation_prompt: open,
        bos_token: bosToken ?? '',
        eos_token: eosToken ?? '',
      },
    })
  try {
    await render([user], true)
  } catch (error) {
    if (!(error instanceof MdiError)) throw error
    throw new MdiError(
      'bad-value',
      `${name}: ${error.message.replace(/\.$/, '')}. With --plain-chat a plain form is used instead; answers may be poorer.`,
      { cause: error },
    )
  }
  try {
    const end = endAfter((await render([user, assistant, user], false)).text, text)
    return end === undefined ? text : { ...text, endIds: sortedIds([...text.endIds, end]) }
  } catch (error) {
    // One that takes a single question only, or none after an answer.
    if (error instanceof MdiError) return text
    throw error
  }
}
