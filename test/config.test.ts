import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  configJsonSchema,
  parseConfigFile,
  parseSize,
  resolveConfig,
  settingNames,
  settingVariables,
} from '../services/config.ts'
import { loadConfig, nodeName } from '../services/io/config.ts'

const refused = (work: () => unknown, sentence: RegExp, code = 'bad-value') =>
  assert.throws(work, (error) => {
    assert.equal((error as { code?: unknown }).code, code, String(error))
    assert.match((error as Error).message, sentence)
    return true
  })
const file = (toml: string) => ({ name: 'mdi.toml', tree: parseConfigFile(toml, 'mdi.toml') })

test('defaults, then the file, the environment and the command line, each before the last', () => {
  const sources = {
    file: file(
      'cluster = "a"\r\n[broker]\r\nurl = "mqtt://f"\r\nuser = "u"\r\n[engine]\r\nthreads = 2\r\n',
    ),
    environment: {
      MDI_BROKER_URL: 'mqtt://e',
      MDI_ENGINE_THREADS: '3',
      MDI_NODE: '007',
      MDI_CLUSTER: '',
    },
    overrides: { 'engine.threads': '4', 'broker.password': undefined },
  }
  const config = resolveConfig(sources)
  assert.equal(config.cluster, 'a')
  assert.deepEqual(config.broker, { url: 'mqtt://e', user: 'u' })
  assert.equal(config.engine.threads, 4)
  assert.equal(config.engine.arithmetic, 'fast')
  assert.equal(config.node, '007', 'a name may look like a number')
  assert.deepEqual(resolveConfig({}).ports, { data: 0, host: '::' })
})

test('every setting can come from the environment, and the schema has every setting', () => {
  assert.ok(settingVariables.includes('MDI_BROKER_PASSWORD'))
  assert.equal(new Set(settingVariables).size, settingNames.length)
  const schema = configJsonSchema() as { properties: Record<string, { properties?: object }> }
  const names = Object.entries(schema.properties).flatMap(([key, value]) =>
    value.properties ? Object.keys(value.properties).map((inner) => `${key}.${inner}`) : [key],
  )
  assert.deepEqual(names.sort(), [...settingNames].sort())
})

test('an unknown name is refused with the nearest known one', () => {
  refused(
    () => file('[broker]\nurI = "x"'),
    /^mdi\.toml: there is no setting "broker\.urI"; did you mean "broker\.url"\?$/,
  )
  refused(() => file('treads = 2'), /"treads"; did you mean "engine\.threads"\?/)
  refused(() => file('[brokr]\nurl = "x"'), /"brokr\.url"; did you mean "broker\.url"\?/)
  refused(
    () => file('zzzzzzzzzzzz = 1'),
    /known are board\.roles, broker\.ca, broker\.password, broker\.url/,
  )
  refused(() => file('__proto__ = 1'), /there is no setting "__proto__"/)
  refused(() => file('[engine]\nconstructor = 1'), /there is no setting "engine\.constructor"/)
  refused(() => file('broker = "mqtt://x"'), /"broker" is a section: write \[broker\]/)
  refused(
    () => resolveConfig({ overrides: { 'engine.tread': 1 } }),
    /command line: .*"engine\.threads"/,
  )
})

test('a wrong value names its place and what it may be', () => {
  refused(
    () => resolveConfig({ file: file('[engine]\nthreads = 0') }),
    /^mdi\.toml: engine\.threads must be a whole number from 1 to 256\.$/,
  )
  refused(
    () => resolveConfig({ environment: { MDI_ENGINE_THREADS: 'two' } }),
    /^MDI_ENGINE_THREADS must be a whole number from 1 to 256\.$/,
  )
  refused(
    () => resolveConfig({ overrides: { 'broker.url': 'localhost' } }),
    /^--broker\.url must be an address such as mqtt:/,
  )
  refused(
    () => resolveConfig({ file: file('[ports]\ndata = 70000') }),
    /port number from 0 to 65535/,
  )
  refused(() => resolveConfig({ file: file('node = "a/b"') }), /must be a name of 1 to 63/)
  refused(
    () => resolveConfig({ file: file('[engine]\narithmetic = "quick"') }),
    /must be fast or exact/,
  )
  refused(
    () => resolveConfig({ file: file('[engine]\nmemory = "much"') }),
    /must be a size such as/,
  )
  refused(() => resolveConfig({ file: file('cluster = 5') }), /cluster must be a name/)
})

test('sizes are read with their units', () => {
  assert.equal(parseSize('800MB'), 800e6)
  assert.equal(parseSize('1.5 GiB'), 1.5 * 2 ** 30)
  assert.equal(parseSize('512m'), 512e6)
  assert.equal(parseSize('4096'), 4096)
  for (const bad of ['', '-1', '0', '1e9', '5 TB', 'NaN', `${'9'.repeat(30)}GB`])
    assert.equal(parseSize(bad), undefined, bad)
  const sized = (memory: string) =>
    resolveConfig({ file: file(`[engine]\nmemory = ${memory}`) }).engine.memory
  assert.equal(sized('"1GiB"'), 2 ** 30)
  assert.equal(sized('1000'), 1000)
  assert.equal(
    resolveConfig({ environment: { MDI_ENGINE_MEMORY: '64MiB' } }).engine.memory,
    2 ** 26,
  )
})

test('a file that is no TOML is refused with its line', () => {
  refused(() => file('cluster = "a"\nnode = '), /^mdi\.toml, line 2: .+\.$/)
  refused(() => file('cluster = "a"\ncluster = "b"'), /^mdi\.toml, line 2: /)
  assert.equal(file('\ufeffcluster = "a"').tree.cluster, 'a')
})

test('the file and the data folder are found in their places', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-config-'))
  try {
    const home = { HOME: join(folder, 'home'), XDG_CONFIG_HOME: join(folder, 'config') }
    assert.equal(loadConfig({ environment: home }).data, join(folder, 'home/.local/share/mdi'))
    assert.equal(loadConfig({ environment: home }).node, nodeName(hostname()))
    const state = { ...home, STATE_DIRECTORY: '/var/lib/mdi:/var/lib/other' }
    assert.equal(loadConfig({ environment: state }).data, '/var/lib/mdi')
    assert.equal(loadConfig({ environment: { ...home, XDG_DATA_HOME: '/d' } }).data, '/d/mdi')
    mkdirSync(join(folder, 'config/mdi'), { recursive: true })
    writeFileSync(join(folder, 'config/mdi/mdi.toml'), 'cluster = "home"\ndata = "/data"\n')
    const loaded = loadConfig({ environment: state })
    assert.equal(loaded.cluster, 'home')
    assert.equal(loaded.data, '/data')
    assert.equal(loaded.file, join(folder, 'config/mdi/mdi.toml'))
    const other = join(folder, 'other.toml')
    writeFileSync(other, 'cluster = "other"\n')
    assert.equal(loadConfig({ environment: { ...home, MDI_CONFIG: other } }).cluster, 'other')
    const none = () => loadConfig({ environment: home, file: join(folder, 'none.toml') })
    refused(none, /^There is no file .*none\.toml\.$/, 'not-found')
    writeFileSync(other, Buffer.from('636c7573746572203d2022ff22', 'hex'))
    refused(() => loadConfig({ environment: home, file: other }), /is not a text in UTF-8/)
    refused(() => loadConfig({ environment: home, file: folder }), /cannot be read \(EISDIR\)/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test("a host's name becomes a node's", () => {
  assert.equal(nodeName('raspberrypi.local'), 'raspberrypi')
  assert.equal(nodeName('küche 2'), 'k-che-2')
  assert.equal(nodeName('___'), 'node')
})
