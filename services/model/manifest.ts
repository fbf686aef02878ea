/**
 * A manifest as bytes that are the same on every node, addressed by their SHA-256: how
 * nodes know that they speak of the same model, and fetch it from each other.
 */
import { createHash } from 'node:crypto'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Manifest } from './spec.ts'

const isObject = (value: unknown): value is object => value !== null && typeof value === 'object'

// Keys are sorted, since a store may give them back in another order. A vocabulary has a
// hundred thousand of them: no callback for each.
const sorted = (value: unknown): unknown => {
  if (!isObject(value)) return value
  if (Array.isArray(value)) return value.some(isObject) ? value.map(sorted) : value
  const from = value as Record<string, unknown>
  const to: Record<string, unknown> = Object.create(null)
  for (const key of Object.keys(from).sort()) to[key] = sorted(from[key])
  return to
}

/** A manifest as canonical UTF-8 JSON. */
export const manifestBytes = (manifest: Manifest): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(sorted(manifest)))

/** SHA-256 of bytes in hex. */
export const sha256Of = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex')

type Reference = { name: string; manifest: string; bytes: number }

/** Manifests do not change, and computing a reference takes a tenth of a second. */
const references = new WeakMap<Manifest, Reference>()

/**
 * The manifest for whoever needs no tokenizer, or has made one of it: vocabulary and merges
 * may take more memory than a board's share of the weights.
 */
export const withoutVocabulary = (manifest: Manifest): Manifest => {
  const light = { ...manifest, text: { ...manifest.text, tokenizer: null, tokenizerConfig: null } }
  const known = references.get(manifest)
  if (known) references.set(light, known)
  return light
}

/** How an assignment names a manifest. */
export const manifestReference = (manifest: Manifest): Reference => {
  const known = references.get(manifest)
  if (known) return known
  const bytes = manifestBytes(manifest)
  const reference = { name: manifest.name, manifest: sha256Of(bytes), bytes: bytes.length }
  references.set(manifest, reference)
  return reference
}

/**
 * Reads a manifest that came from a peer.
 * @param sha256 its address, which the coordinator stated
 * @throws MdiError `bad-file`
 */
export const readManifest = (bytes: Uint8Array, sha256: string): Manifest => {
  const bad = () => new MdiError('bad-file', 'The manifest that a peer sent is damaged.')
  if (bytes.length > limits.manifestBytes || sha256Of(bytes) !== sha256) throw bad()
  try {
    const manifest = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Manifest
    if (typeof manifest?.name === 'string' && Array.isArray(manifest.records)) return manifest
  } catch {
    // Told below.
  }
  throw bad()
}

/** A manifest as the store keeps it, in UTF-8. */
export const parseManifest = (bytes: Uint8Array): Manifest =>
  JSON.parse(new TextDecoder().decode(bytes)) as Manifest
