/** Where a model can be had, as a person writes it. */
import { MdiError } from '../errors.ts'

/** What a source is, in parts that have been checked. */
export type ModelSource =
  /** A file of a repository on a model hub, or all of a repository of safetensors. */
  | { kind: 'hub'; repo: string; revision: string; path?: string; sha256?: string }
  | { kind: 'url'; url: string; sha256: string }
  /** A file in a Python package. */
  | { kind: 'package'; name: string; version: string; path: string; sha256?: string }
  /** A file or folder of this machine, such as a USB stick. */
  | { kind: 'local'; path: string }

/** How sources are written, for help and errors. */
export const sourceForms = [
  'hf:OWNER/REPO/FILE.gguf',
  'hf:OWNER/REPO',
  'https://HOST/FILE.gguf#sha256=…',
  'py:PACKAGE==VERSION/PATH.gguf',
  './FILE or ./FOLDER',
] as const

const bad = (text: string, what: string): MdiError =>
  new MdiError('bad-value', `${text.slice(0, 200)} ${what}.`)

/** Takes `#sha256=…` off. */
const splitHash = (text: string): { rest: string; sha256?: string } => {
  const at = text.indexOf('#')
  if (at < 0) return { rest: text }
  const match = /^sha256=([0-9a-fA-F]{64})$/.exec(text.slice(at + 1))
  if (!match) throw bad(text, 'has something else after # than sha256= and 64 hexadecimal digits')
  return { rest: text.slice(0, at), sha256: (match[1] as string).toLowerCase() }
}

/** A path in a repository or package. It is relative and stays inside. */
const isInnerPath = (path: string): boolean =>
  /^[A-Za-z0-9_.+@ -]+(\/[A-Za-z0-9_.+@ -]+)*$/.test(path) &&
  path.split('/').every((part) => !/^\.*$/.test(part))

const hub = (text: string): ModelSource => {
  const { rest, sha256 } = splitHash(text.slice('hf:'.length))
  const [owner = '', repo = '', ...inner] = rest.split('/')
  const [name = '', revision = 'main', ...more] = repo.split('@')
  const path = inner.join('/')
  const word = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
  const whole = word.test(owner) && word.test(name) && word.test(revision) && more.length === 0
  if (!whole || (path !== '' && !isInnerPath(path)))
    throw bad(text, 'is no place on a hub: write hf:OWNER/REPO/FILE.gguf')
  if (path !== '' && !/\.gguf$/i.test(path))
    throw bad(
      text,
      'is no GGUF file; for a model in safetensors name its repository: hf:OWNER/REPO',
    )
  if (path === '' && sha256) throw bad(text, 'has a hash, but names no single file')
  return {
    kind: 'hub',
    repo: `${owner}/${name}`,
    revision,
    ...(path !== '' && { path }),
    ...(sha256 && { sha256 }),
  }
}

const url = (text: string): ModelSource => {
  const { rest, sha256 } = splitHash(text)
  if (!URL.canParse(rest)) throw bad(text, 'is no address')
  const { username, pathname } = new URL(rest)
  if (username !== '') throw bad(text, 'has a user name in it, which is not supported')
  if (pathname.endsWith('/')) throw bad(text, 'names no file')
  if (!sha256)
    throw new MdiError(
      'usage',
      `Say which content is meant by its SHA-256: ${rest.slice(0, 200)}#sha256=…; without one, download the file yourself and use mdi import FILE.`,
    )
  return { kind: 'url', url: rest, sha256 }
}

const pythonPackage = (text: string): ModelSource => {
  const { rest, sha256 } = splitHash(text.slice('py:'.length))
  const match = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9.+!_-]+)\/(.+)$/.exec(
    rest,
  )
  const [, name = '', version = '', path = ''] = match ?? []
  if (!match || !isInnerPath(path))
    throw bad(text, 'is no file of a Python package: write py:PACKAGE==VERSION/PATH.gguf')
  return { kind: 'package', name, version, path, ...(sha256 && { sha256 }) }
}

/**
 * Reads a source. What has no known scheme is a path.
 * @throws MdiError `bad-value`, `usage` (an address without a hash)
 */
export const parseSource = (text: string): ModelSource => {
  if (text.startsWith('hf:')) return hub(text)
  if (text.startsWith('py:')) return pythonPackage(text)
  if (/^https?:\/\//i.test(text)) return url(text)
  return { kind: 'local', path: text.replace(/^file:\/\//, '') }
}

/** A source as a person writes it. */
export const formatSource = (source: ModelSource): string => {
  const hash = 'sha256' in source && source.sha256 ? `#sha256=${source.sha256}` : ''
  switch (source.kind) {
    case 'hub': {
      const revision = source.revision === 'main' ? '' : `@${source.revision}`
      return `hf:${source.repo}${revision}${source.path ? `/${source.path}` : ''}${hash}`
    }
    case 'url':
      return `${source.url}${hash}`
    case 'package':
      return `py:${source.name}==${source.version}/${source.path}${hash}`
    case 'local':
      return source.path
  }
}

/** All files of a split GGUF, from the name of one of them. Otherwise that name alone. */
export const shardNames = (file: string): string[] => {
  const match = /^(.*-)(\d{5})-of-(\d{5})(\.gguf)$/i.exec(file)
  if (!match) return [file]
  const [, before = '', , count = '', ending = ''] = match
  const total = Number(count)
  if (total < 1) return [file]
  const number = (i: number) => String(i + 1).padStart(5, '0')
  return Array.from({ length: total }, (_, i) => `${before}${number(i)}-of-${count}${ending}`)
}
