/** An intent that a model emitted, and what it is judged by. */
/** An intent as a model writes it. */
export type Intent = { name: string; slots: Readonly<Record<string, string | number>> }

/** What a model's file tells of when its intents are to be trusted. */
export type Trust = {
  /** Words that may stand beside a name; see `cutShort`. */
  beside?: ReadonlySet<string> | undefined
  /** The least probability that the model must give its own line; see `TextSpec`. */
  probability?: number | undefined
}

type TrustText = { besideNames?: readonly string[]; intentProbability?: number }

/** @param text the loaded model's, where one is loaded */
export const trustOf = ({ besideNames, intentProbability }: TrustText = {}): Trust => ({
  ...(besideNames && { beside: new Set(besideNames) }),
  ...(intentProbability !== undefined && { probability: intentProbability }),
})

/** What an intent is judged by. */
export type Circumstances = {
  /** What the person said now, and in the turn before. */
  said: string
  saidBefore: string | undefined
  /** The release sends a language: 2026.11 or later. */
  recent: boolean
  /** `[voice] allow_unlock`. */
  allowUnlock: boolean
  trust?: Trust | undefined
  /** Natural log of the probability that the model gave its line, where the ring told it. */
  logprob?: number | undefined
}
