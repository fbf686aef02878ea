/**
 * Tells a reasoning model's thoughts from its answer while the text comes. Thoughts stand at the
 * answer's beginning between two marks; the first may have been the prompt's last word.
 */

/** What stands around thoughts. */
export type ThinkingMarks = { open: string; close: string }

const pairs: readonly (readonly [string, string])[] = [
  ['<think>', '</think>'],
  ['<thinking>', '</thinking>'],
  ['<thought>', '</thought>'],
  ['<reasoning>', '</reasoning>'],
  ['<seed:think>', '</seed:think>'],
  ['[THINK]', '[/THINK]'],
  ['<|START_THINKING|>', '<|END_THINKING|>'],
  ['<|begin_of_thought|>', '<|end_of_thought|>'],
]

/**
 * A model's marks: those that are tokens of it, or that its template knows.
 * @param isToken whether a text is one token of the model's, found in text before all others
 */
export const thinkingMarks = (
  isToken: (text: string) => boolean,
  template: string | undefined,
): ThinkingMarks | undefined => {
  const found = pairs.find(
    ([open, close]) => (isToken(open) && isToken(close)) || template?.includes(close),
  )
  return found && { open: found[0], close: found[1] }
}

/** Whether a prompt ends where thoughts begin. */
export const opensThinking = (prompt: string, marks: ThinkingMarks): boolean =>
  prompt.trimEnd().endsWith(marks.open)

/** How much of a text's end is the beginning of `mark`. */
const partOf = (text: string, mark: string): number => {
  for (let n = Math.min(mark.length - 1, text.length); n > 0; n--)
    if (text.endsWith(mark.slice(0, n))) return n
  return 0
}

/** A piece of an answer: thoughts come before text. */
export type ThoughtSplit = { thought: string; text: string }

export class ThoughtSplitter {
  readonly #marks: ThinkingMarks
  #state: 'start' | 'thinking' | 'after' | 'text'
  /** What may be part of a mark, or white space beside one. */
  #held = ''
  #thought = ''

  /** @param thinking whether the prompt opened thoughts already */
  constructor(marks: ThinkingMarks, thinking: boolean) {
    this.#marks = marks
    this.#state = thinking ? 'thinking' : 'start'
  }

  /** Whether what comes now are thoughts, or may turn out to be. */
  get thinking(): boolean {
    return this.#state !== 'text'
  }

  /** Takes more text. @returns what is certain now */
  push(piece: string): ThoughtSplit {
    if (this.#state === 'text') return { thought: '', text: piece }
    this.#held += piece
    if (this.#state === 'start' && !this.#open()) return { thought: '', text: '' }
    const thought = this.#state === 'thinking' ? this.#think() : ''
    return { thought, text: this.#answer() }
  }

  /** Looks for the first mark. @returns whether it is known if there is one */
  #open(): boolean {
    const { open } = this.#marks
    const begun = this.#held.trimStart()
    if (begun.startsWith(open)) {
      this.#held = begun.slice(open.length)
      this.#state = 'thinking'
    } else if (open.startsWith(begun)) return false
    else this.#state = 'text'
    return true
  }

  #think(): string {
    const { close } = this.#marks
    const end = this.#held.indexOf(close)
    const keep = end >= 0 ? 0 : partOf(this.#held, close)
    let thought = this.#held.slice(0, end >= 0 ? end : this.#held.length - keep)
    this.#held = this.#held.slice(end >= 0 ? end + close.length : this.#held.length - keep)
    if (end >= 0) this.#state = 'after'
    if (this.#thought === '') thought = thought.trimStart()
    this.#thought += thought
    return thought
  }

  #answer(): string {
    if (this.#state === 'after') {
      this.#held = this.#held.trimStart()
      if (this.#held !== '') this.#state = 'text'
    }
    if (this.#state !== 'text') return ''
    const text = this.#held
    this.#held = ''
    return text
  }

  /** What was held back, when nothing more comes. */
  flush(): ThoughtSplit {
    const held = this.#held
    this.#held = ''
    return this.#state === 'thinking' ? { thought: held, text: '' } : { thought: '', text: held }
  }
}
