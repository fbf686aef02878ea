/**
 * How a byte-level tokenizer cuts text before it merges bytes, by the name that GGUF files
 * give it (`tokenizer.ggml.pre`). Each rule is a list of patterns, applied one after the
 * other to the pieces that the one before has left, as the models' own `tokenizer.json`
 * files have them.
 */
import { MdiError } from '../errors.ts'

const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const marks = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const words = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+'
const llama3 = `${contractions}|${words}|\\p{N}{1,3}|${marks}`
const qwen2 = `${contractions}|${words}|\\p{N}|${marks}`
const qwen35 =
  `${contractions}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|` +
  ' ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]'
const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]'
const slashed = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'
/** Words by case: capitals, then small letters; `end` may follow. */
const byCase = (end: string): string =>
  `[^\\r\\n\\p{L}\\p{N}]?${upper}*${lower}+${end}|[^\\r\\n\\p{L}\\p{N}]?${upper}+${lower}*${end}`
const tekken = `${byCase('')}|\\p{N}|${slashed}`
const gpt4o = `${byCase(`${contractions}?`)}|\\p{N}{1,3}|${slashed}`

/** A rule for cutting text. */
export type PreTokenizer = {
  patterns: readonly string[]
  /** A piece that is a token as it stands is not merged from its bytes. */
  ignoreMerges?: true
  /** Text is composed first (Unicode's NFC), as the models' own tokenizers do. */
  composed?: true
  /** Prompts start with the beginning-of-text token unless the file says otherwise. */
  addBos?: true
}

const plain: PreTokenizer = { patterns: [gpt2] }
const digits: PreTokenizer = { patterns: ['\\p{N}', gpt2] }
const llama3Like: PreTokenizer = { patterns: [llama3] }
const llama3Whole: PreTokenizer = { patterns: [llama3], ignoreMerges: true, addBos: true }
const qwen2Like: PreTokenizer = { patterns: [qwen2] }

const table: Readonly<Record<string, PreTokenizer>> = {
  default: { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', gpt2, '\\p{N}+', '[0-9][0-9][0-9]'] },
  'gpt-2': plain,
  'phi-2': plain,
  mpt: plain,
  olmo: plain,
  jais: plain,
  trillion: plain,
  'granite-docling': plain,
  smollm: digits,
  refact: digits,
  starcoder: digits,
  'command-r': digits,
  codeshell: digits,
  exaone: digits,
  'minerva-7b': digits,
  llama3: llama3Whole,
  'llama-v3': llama3Whole,
  'llama-bpe': llama3Whole,
  falcon3: llama3Whole,
  'falcon-h1': llama3Whole,
  pixtral: llama3Whole,
  'midm-2.0': llama3Whole,
  lfm2: llama3Whole,
  dbrx: llama3Like,
  'smaug-bpe': llama3Like,
  'chatglm-bpe': llama3Like,
  qwen2: { ...qwen2Like, composed: true },
  megrez: qwen2Like,
  kormo: qwen2Like,
  'deepseek-r1-qwen': qwen2Like,
  stablelm2: qwen2Like,
  hunyuan: qwen2Like,
  qwen35: { patterns: [qwen35] },
  falcon: { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', gpt2, '[0-9][0-9][0-9]'] },
  tekken: { patterns: [tekken], ignoreMerges: true, addBos: true },
  'gpt-4o': { patterns: [gpt4o] },
  llama4: { patterns: [gpt4o] },
}

/** The names that are supported. */
export const preTokenizerNames: readonly string[] = Object.keys(table)

/** The rule of that name. @throws MdiError `unsupported` with the name */
export const preTokenizer = (name: string): PreTokenizer => {
  const rule = Object.hasOwn(table, name) ? table[name] : undefined
  if (!rule)
    throw new MdiError(
      'unsupported',
      `The model's tokenizer cuts text by the rule "${name.slice(0, 60)}", which is not supported.`,
    )
  return rule
}
