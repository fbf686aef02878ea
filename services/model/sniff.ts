/** Says what a file is that is no model, from its first bytes. */

/** Bytes (in hex) at a place, and what they tell. */
const binary: readonly (readonly [at: number, hex: string, what: string])[] = [
  [
    0,
    '504b0304',
    'a ZIP archive, as PyTorch writes its weights: only GGUF and safetensors are read',
  ],
  [0, '1f8b', 'compressed (gzip): unpack it'],
  [0, '28b52ffd', 'compressed (zstd): unpack it'],
  [0, 'fd377a585a', 'compressed (xz): unpack it'],
  [0, '425a68', 'compressed (bzip2): unpack it'],
  [0, '377abcaf', 'compressed (7z): unpack it'],
  [257, '7573746172', 'an archive (tar): unpack it'],
  ...['8002', '8003', '8004', '8005'].map(
    (hex) => [0, hex, 'a Python pickle, which is not read since such files are programs'] as const,
  ),
  [7, '007b22', 'a safetensors file: give its folder, with config.json and the tokenizer'],
  [4, '54464c33', 'a TensorFlow Lite model'],
  [0, '89484446', 'an HDF5 file'],
  [0, '25504446', 'a PDF'],
  [8, '626c6b2e', 'an importance matrix, which serves to quantize a model'],
  [0, '00'.repeat(64), 'full of zeros, as a download leaves that was broken off'],
]

/** Texts at the beginning, and what they tell. */
const texts: readonly (readonly [text: RegExp, what: string])[] = [
  [
    /^version https:\/\/git-lfs\.github\.com\/spec\//,
    'a Git LFS pointer, which stands for the model: fetch the file itself (git lfs pull)',
  ],
  [/^(\/annex\/objects\/|\.\.\/.*\.git\/annex\/)/, 'a git-annex pointer: fetch the file itself'],
  [/^\s*(<!doctype html|<html|<\?xml)/i, 'a web page, perhaps one that asks for a login'],
  [/^\s*\{\s*"error"/, "a server's error message"],
  [/^\s*[[{]\s*["\d]/, 'a JSON text'],
]

/** What a file is; undefined where its first bytes tell nothing. */
export const whatIs = (head: Uint8Array): string | undefined => {
  if (head.length === 0) return 'empty'
  const hex = Buffer.from(head.buffer, head.byteOffset, head.length).toString('hex')
  const found = binary.find(([at, mark]) => hex.startsWith(mark, 2 * at))
  if (found) return found[2]
  const text = new TextDecoder('latin1').decode(head)
  return texts.find(([mark]) => mark.test(text))?.[1]
}

/** Bytes from a file's beginning that tell what it is. */
export const SNIFFED = 512

/** What a GGUF file holds in place of a model, by its `general.type`. */
const kinds: Readonly<Record<string, string>> = {
  adapter: 'a LoRA adapter, which changes another model: merge it into that one first',
  imatrix: 'an importance matrix, which serves to quantize a model',
  mmproj: "a model's part for images or sound (mmproj); only the text model is of use",
  vocab: 'a vocabulary without a model',
}

/**
 * What a sound GGUF file is that is no model; undefined for models.
 * @param tensors the tensors' names
 */
export const otherKind = (
  type: unknown,
  architecture: unknown,
  tensors: readonly string[],
): string | undefined => {
  if (typeof type === 'string' && Object.hasOwn(kinds, type)) return kinds[type]
  if (tensors.some((name) => /\.lora_[ab]$/.test(name))) return kinds.adapter
  if (architecture === 'clip') return kinds.mmproj
  if (tensors.length > 0 && tensors.every((name) => /\.(in_sum2|counts)$/.test(name)))
    return kinds.imatrix
  return tensors.length === 0 ? kinds.vocab : undefined
}
