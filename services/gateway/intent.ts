/** An intent that a model emitted, and what it is judged by. */
/** An intent as a model writes it. */
export type Intent = { name: string; slots: Readonly<Record<string, string | number>> }

/** What an intent is judged by. */
export type Circumstances = {
  /** What the person said now, and in the turn before. */
  said: string
  saidBefore: string | undefined
  /** The release sends a language: 2026.11 or later. */
  recent: boolean
  /** `[voice] allow_unlock`. */
  allowUnlock: boolean
  /** Words that may stand beside a name, where the model's file tells them; see `cutShort`. */
  beside?: ReadonlySet<string> | undefined
}
