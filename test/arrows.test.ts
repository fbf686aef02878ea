/** Which room may import which: the picture in ARCHITECTURE.md, checked. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Rooms that a room imports; with `types:` only their types. Every room may use `common`. */
const arrows: Record<string, string[]> = {
  common: [],
  wire: [],
  jinja: [],
  model: ['wire/bytes.ts'],
  plan: ['model'],
  graph: ['model', 'types:ports'],
  ports: ['types:model', 'types:wire'],
  ring: ['types:ports', 'wire', 'plan', 'model'],
  control: ['types:ports', 'wire', 'plan', 'model'],
  requests: ['types:ports', 'wire', 'plan', 'model', 'types:ring', 'ring/framequeue.ts'],
  client: ['types:ports', 'wire'],
  voice: ['types:ports', 'wire', 'model', 'requests', 'client'],
  api: ['types:ports', 'wire', 'model', 'types:ring', 'requests', 'voice', 'client'],
  'api/http': ['types:ports', 'wire', 'model', 'types:ring', 'requests', 'voice', 'client'],
  console: ['types:ports', 'wire', 'client'],
  members: [
    'types:ports',
    'wire',
    'model',
    'plan',
    'ring',
    'control',
    'requests',
    'voice',
    'client',
    'api',
  ],
  io: ['types:ports', 'wire', 'model', 'jinja'],
  'io/ort': ['types:ports', 'wire', 'model', 'graph', 'io'],
  roof: ['*'],
}

/** Files of the ground floor and of the roof, which stand in no folder. */
const files: Record<string, string> = {
  'errors.ts': 'common',
  'limits.ts': 'common',
  'version.ts': 'common',
  'config.ts': 'common',
  'changes.ts': 'common',
  'units.ts': 'common',
  'ports.ts': 'ports',
  'main.ts': 'roof',
}

/** Rooms that touch the world themselves; everywhere else time and chance come in from outside. */
const impure = new Set(['io', 'io/ort', 'roof'])
const forbidden = [
  /\bDate\.now\b/,
  /\bnew Date\b/,
  /\bset(Timeout|Interval|Immediate)\b/,
  /\bMath\.random\b/,
  /\bperformance\.now\b/,
  /\bprocess\.hrtime\b/,
  /\brandom(Bytes|UUID|Int)\b/,
  /['"]node:(net|http|https|dgram|tls|fs|fs\/promises|child_process|worker_threads)['"]/,
]

const roomOf = (file: string): string | undefined => {
  const own = files[file]
  if (own) return own
  const folders = dirname(file).split('/')
  if (folders[0] === 'cli' || folders[0] === 'lifecycle') return 'roof'
  const room = [2, 1]
    .map((n) => folders.slice(0, n).join('/'))
    .find((r) => Object.hasOwn(arrows, r))
  return room
}

type Import = { to: string; type: boolean }

const importsOf = (file: string, text: string): Import[] => {
  const found: Import[] = []
  const statement =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'(\.[^']+)'|\bimport\('(\.[^']+)'\)/g
  for (const [, type, from, lazy] of text.matchAll(statement)) {
    const to = join(dirname(file), (from ?? lazy) as string)
    found.push({ to, type: type !== undefined })
  }
  return found
}

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')

/** Whether a file of `room` may import `to`. */
const allowed = (room: string, { to, type }: Import): boolean => {
  const target = roomOf(to)
  if (!target) return false
  if (target === room || target === 'common') return true
  return (arrows[room] ?? []).some((arrow) => {
    if (arrow === '*') return true
    const typesOnly = arrow.startsWith('types:')
    const name = arrow.replace('types:', '')
    return (name === target || name === to) && (type || !typesOnly)
  })
}

const sources = globSync('**/*.ts', { cwd: join(root, 'services') })
  .sort()
  .map((file) => ({
    file,
    text: withoutComments(readFileSync(join(root, 'services', file), 'utf8')),
  }))

test('every file stands in a room, and imports only what its room may', () => {
  assert.ok(sources.length > 50)
  const wrong: string[] = []
  for (const { file, text } of sources) {
    const room = roomOf(file)
    if (!room) wrong.push(`${file} stands in no room`)
    else
      for (const made of importsOf(file, text)) {
        if (!made.to.includes('..') && allowed(room, made)) continue
        wrong.push(`${file} (${room}) → ${made.to}${made.type ? ' (types)' : ''}`)
      }
  }
  assert.deepEqual(wrong, [])
})

test('time, chance, files and sockets come into the pure rooms from outside', () => {
  const wrong = sources.flatMap(({ file, text }) =>
    impure.has(roomOf(file) ?? '')
      ? []
      : forbidden.flatMap((word) => {
          const found = word.exec(text)
          return found ? [`${file}: ${found[0]}`] : []
        }),
  )
  assert.deepEqual(wrong, [])
})

/** Files that import each other, types too: the files of one circle, or none. */
const circle = (imports: ReadonlyMap<string, readonly string[]>): string[] => {
  const done = new Set<string>()
  const walk = (file: string, path: string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return []
    for (const to of imports.get(file) ?? []) {
      const found = walk(to, [...path, file])
      if (found.length > 0) return found
    }
    done.add(file)
    return []
  }
  for (const file of imports.keys()) {
    const found = walk(file, [])
    if (found.length > 0) return found
  }
  return []
}

test('no files import each other in a circle', () => {
  const imports = new Map(
    sources.map(({ file, text }) => [file, importsOf(file, text).map(({ to }) => to)]),
  )
  assert.deepEqual(circle(imports), [])
  const three: [string, string[]][] = [
    ['a', ['b']],
    ['b', ['d', 'c']],
    ['c', ['b']],
  ]
  assert.deepEqual(circle(new Map(three)), ['b', 'c', 'b'])
})

test('no two rooms export a type of one name', () => {
  const types = sources.flatMap(({ file, text }) =>
    [...text.matchAll(/^export (?:type|interface|class) (\w+)/gm)].map(([, name]) => ({
      file,
      name,
    })),
  )
  assert.ok(types.length > 100)
  const twice = types.filter((a) => types.some((b) => a !== b && a.name === b.name))
  assert.deepEqual(twice, [])
})

test('the checks see what is wrong', () => {
  const imports = importsOf(
    'model/x.ts',
    `import a from '../io/tcp.ts'
import type { B } from '../ports.ts'
import {
  c,
} from '../wire/bytes.ts'
export { d } from './y.ts'
const e = await import('../graph/onnx.ts')
import '../limits.ts'`,
  )
  assert.deepEqual(
    imports.map((i) => [i.to, i.type, allowed('model', i)]),
    [
      ['io/tcp.ts', false, false],
      ['ports.ts', true, false],
      ['wire/bytes.ts', false, true],
      ['model/y.ts', false, true],
      ['graph/onnx.ts', false, false],
      ['limits.ts', false, true],
    ],
  )
  assert.equal(allowed('graph', { to: 'ports.ts', type: true }), true)
  assert.equal(allowed('graph', { to: 'ports.ts', type: false }), false)
  assert.equal(allowed('io', { to: 'graph/onnx.ts', type: false }), false)
  assert.equal(allowed('io/ort', { to: 'graph/onnx.ts', type: false }), true)
  assert.equal(allowed('ring', { to: 'attic/x.ts', type: false }), false)
  assert.ok(forbidden.some((word) => word.test('const t = Date.now()')))
  assert.equal(withoutComments('a // setTimeout\n/* Math.random */b'), 'a\nb')
})
