/** How a model's thoughts are shown: dim on a terminal, and not at all where a program reads. */

/** A terminal's words for dim letters and for plain ones. */
const DIM = '\u001b[2m'
const PLAIN = '\u001b[22m'

export type ThoughtPrinter = {
  thought(text: string): void
  text(text: string): void
  /** Ends what is open. */
  end(): void
}

/** @param out a terminal, or anything else that text is written to */
export const thoughtPrinter = (
  out: Pick<NodeJS.WriteStream, 'write' | 'isTTY'>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ThoughtPrinter => {
  const colourless = (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb'
  const [begin, close] = colourless ? ['(thinking: ', ')'] : [DIM, PLAIN]
  let thinking = false
  const end = (): void => {
    if (thinking) out.write(`${close}\n\n`)
    thinking = false
  }
  return {
    thought: (text) => {
      if (out.isTTY !== true) return
      if (!thinking) out.write(begin)
      thinking = true
      out.write(text)
    },
    text: (text) => {
      end()
      out.write(text)
    },
    end,
  }
}
