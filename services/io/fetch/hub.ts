/** Model hubs of Hugging Face's kind: which files a model has there, and their hashes. */
import { HubApiError, listFiles, modelInfo } from '@huggingface/hub'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { type ModelSource, shardNames } from '../../model/sources.ts'
import type { KnownHash, Remote } from './download.ts'
import { hostOf, type Patience, patiently, request, wholeBody } from './http.ts'

type HubSource = Extract<ModelSource, { kind: 'hub' }>

/** One file of a model on a hub. */
export type HubFile = Remote & { name: string; size: number; hash: KnownHash }

export type HubOptions = Patience & {
  /** Where the hub is; absent: Hugging Face. */
  endpoint?: string | undefined
  token?: string | undefined
}

const HUGGING_FACE = 'https://huggingface.co'

/** The hub's address and a token as its own tools take them from the environment. */
export const hubEnvironment = (
  environment: Readonly<Record<string, string | undefined>>,
): Pick<HubOptions, 'endpoint' | 'token'> => {
  const endpoint = environment.HF_ENDPOINT?.replace(/\/+$/, '')
  const token = environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN
  return { ...(endpoint && { endpoint }), ...(token && { token }) }
}

/** What a refusal of a hub means. */
const explain = (repo: string, endpoint: string, token: boolean, status: number) => {
  const host = hostOf(endpoint)
  if (status === 401 || status === 403)
    return new MdiError(
      'download',
      token
        ? `${host} does not give ${repo} to the owner of this token (${status}): accept its licence at ${endpoint}/${repo} first.`
        : `${host} has no ${repo} for everyone (${status}): if it is private or asks for consent, set HF_TOKEN to a token of yours.`,
    )
  if (status === 404) return new MdiError('not-found', `${host} has no ${repo}.`)
  return undefined
}

/**
 * `fetch` for the hub's library. It waits as long as we do and sends secrets nowhere else. The size
 * and the number of answers have bounds, since the library itself takes whatever comes.
 */
const patientFetch = (patience: Patience): typeof fetch => {
  let answers = 0
  return (input, init) =>
    patiently(patience, async () => {
      const headers = Object.fromEntries(new Headers(init?.headers))
      const secret = headers.authorization?.replace(/^Bearer /, '')
      delete headers.authorization
      const { method, body } = init ?? {}
      const url = input instanceof Request ? input.url : String(input)
      if (++answers > limits.hubAnswers)
        throw new MdiError('download', `${hostOf(url)} lists files without an end.`)
      const response = await request({
        url,
        headers,
        secret,
        signal: patience.signal,
        ...(method && { method }),
        ...(typeof body === 'string' && { body }),
      })
      const whole = await wholeBody(response, hostOf(url), limits.hubAnswerBytes)
      const { status, headers: told } = response
      return new Response(whole.length > 0 ? whole : null, { status, headers: told })
    })
}

/** Files of a repository in safetensors that a model is made of. */
const isModelFile = (path: string): boolean =>
  /^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/.test(path) ||
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|chat_template)\.json$/.test(
    path,
  ) ||
  path === 'tokenizer.model' ||
  path === 'chat_template.jinja'

/** Which of a repository's files are wanted. @throws MdiError `not-found` with what there is */
const choose = (source: HubSource, files: readonly Listed[]): Listed[] => {
  const { path, repo } = source
  if (path === undefined) {
    const found = files.filter((f) => isModelFile(f.path))
    if (found.some((f) => f.path.endsWith('.safetensors'))) return found
    const some = files.filter((f) => f.path.endsWith('.gguf')).map((f) => f.path)
    throw new MdiError(
      'not-found',
      some.length > 0
        ? `${repo} has GGUF files; name one: ${some
            .slice(0, 12)
            .map((f) => `hf:${repo}/${f}`)
            .join(', ')}.`
        : `${repo} has no model in safetensors or GGUF.`,
    )
  }
  return shardNames(path).map((name) => {
    const file = files.find((f) => f.path === name)
    if (file) return file
    const others = files.filter((f) => f.path.endsWith('.gguf')).map((f) => f.path)
    const list = others.length > 0 ? `; there are: ${others.slice(0, 12).join(', ')}` : ''
    throw new MdiError('not-found', `${repo} has no file ${name}${list}.`)
  })
}

type Listed = { path: string; size: number; hash: KnownHash }

/**
 * Lists the files of a model at one commit, with sizes and hashes of the hub's own metadata.
 * Errors: `download`, `not-found`, `bad-value` (a token that is none).
 */
export const hubFiles = async (source: HubSource, options: HubOptions = {}): Promise<HubFile[]> => {
  const { endpoint = HUGGING_FACE, token } = options
  const { repo } = source
  if (token !== undefined && !token.startsWith('hf_'))
    throw new MdiError('bad-value', 'HF_TOKEN is no token of a hub: those begin with hf_.')
  const shared = {
    hubUrl: endpoint,
    fetch: patientFetch(options),
    ...(token !== undefined && { accessToken: token }),
  }
  const told = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error) => {
      if (error instanceof MdiError) throw error
      const status = error instanceof HubApiError ? error.statusCode : 0
      const own = explain(repo, endpoint, token !== undefined, status)
      throw (
        own ??
        new MdiError(
          'download',
          `${hostOf(endpoint)} does not answer as a hub does${status ? ` (${status})` : ''}.`,
          { cause: error },
        )
      )
    })
  const { sha } = await told(
    modelInfo({ ...shared, name: repo, revision: source.revision, additionalFields: ['sha'] }),
  )
  const files: Listed[] = []
  let entries = 0
  const folder = source.path?.includes('/') ? source.path.replace(/\/[^/]*$/, '') : undefined
  await told(
    (async () => {
      const list = listFiles({
        ...shared,
        repo: { type: 'model', name: repo },
        revision: sha,
        ...(folder !== undefined && { path: folder }),
      })
      for await (const { type, path, size, oid, lfs } of list) {
        if (++entries > limits.hubFiles) break
        if (type !== 'file') continue
        const hash: KnownHash = lfs
          ? { kind: 'sha256', hex: lfs.oid.replace(/^sha256:/, '') }
          : { kind: 'git', hex: String(oid) }
        files.push({ path, size: lfs?.size ?? size, hash })
      }
    })(),
  )
  return choose(source, files).map(({ path, size, hash }) => {
    const wanted = source.sha256
    if (wanted && hash.kind === 'sha256' && hash.hex !== wanted && shardNames(path).length === 1)
      throw new MdiError(
        'bad-file',
        `${path} on ${hostOf(endpoint)} is not the content that was meant: its SHA-256 is ${hash.hex} there, not ${wanted}.`,
      )
    return {
      name: path.split('/').at(-1) as string,
      url: `${endpoint}/${repo}/resolve/${sha}/${path.split('/').map(encodeURIComponent).join('/')}`,
      secret: token,
      size,
      hash,
      explain: (code: number) => explain(repo, endpoint, token !== undefined, code),
    }
  })
}
