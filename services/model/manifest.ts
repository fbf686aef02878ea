/**
 * A manifest as bytes that are the same on every node, addressed by their SHA-256: how
 * nodes know that they speak of the same model, and fetch it from each other.
 */
import { createHash } from 'node:crypto'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Manifest } from './spec.ts'

// Keys are sorted, since a store may give them back in another order.
const sorted = (_key: string, value: unknown): unknown =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
    : value

/** A manifest as canonical UTF-8 JSON. */
export const manifestBytes = (manifest: Manifest): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(manifest, sorted))

/** SHA-256 of bytes in hex. */
export const sha256Of = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex')

/** How an assignment names a manifest. */
export const manifestReference = (
  manifest: Manifest,
): { name: string; manifest: string; bytes: number } => {
  const bytes = manifestBytes(manifest)
  return { name: manifest.name, manifest: sha256Of(bytes), bytes: bytes.length }
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
