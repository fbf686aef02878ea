/**
 * Bundles the service (`scripts/build`): `dist/mdi.cjs`, one file that is also its own
 * workers, the native addons of every architecture beside it, and the licences of what
 * is in it. The result runs on Node 24 from any folder, without `node_modules`.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Metafile, type Plugin } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const modules = join(root, 'node_modules')

/** The addons: where their packages have them, by Node's name of the architecture. */
const addons: Record<string, (arch: 'x64' | 'arm64') => string> = {
  'onnxruntime_binding.node': (arch) =>
    `onnxruntime-node/bin/napi-v6/linux/${arch}/onnxruntime_binding.node`,
  // The binding looks for it in its own folder.
  'libonnxruntime.so.1': (arch) => `onnxruntime-node/bin/napi-v6/linux/${arch}/libonnxruntime.so.1`,
  'better_sqlite3.node': (arch) => `better-sqlite3/prebuilds/linux-${arch}.node`,
  'serialport.node': (arch) =>
    `@serialport/bindings-cpp/prebuilds/linux-${arch}/@serialport+bindings-cpp.${arch === 'x64' ? '' : 'armv8.'}glibc.node`,
}

/** Loads an addon that stands beside the bundle. */
const load = (name: string): string =>
  `require(require('node:path').join(__dirname, 'addons', \`linux-\${process.arch}\`, '${name}'))`

/**
 * The modules in which packages look for their own addon, each replaced by one that takes
 * it from beside the bundle. A name that no longer fits stops the build.
 */
const lookups: Record<string, { expects: RegExp; replace: (source: string) => string }> = {
  'onnxruntime-node/dist/binding.js': {
    expects: /require\(`\.\.\/bin\/napi-v6\/[^`]*`\)/,
    replace: (source) =>
      source.replace(/require\(`\.\.\/bin\/napi-v6\/[^`]*`\)/, load('onnxruntime_binding.node')),
  },
  'better-sqlite3/lib/binding.js': {
    expects: /getBinding/,
    replace: () => `exports.getBinding = () => ${load('better_sqlite3.node')}\n`,
  },
  '@serialport/bindings-cpp/dist/serialport-bindings.js': {
    expects: /exports\.binding/,
    replace: () => `exports.binding = ${load('serialport.node')}\n`,
  },
}

const replaceLookups: Plugin = {
  name: 'addons',
  setup(build) {
    build.onLoad({ filter: /node_modules[/\\].*\.js$/ }, ({ path }) => {
      const file = Object.keys(lookups).find((name) => path.endsWith(join('node_modules', name)))
      const lookup = file && lookups[file]
      if (!lookup) return undefined
      const source = readFileSync(path, 'utf8')
      if (!lookup.expects.test(source))
        throw new Error(`${file} has changed; see scripts/bundle.ts`)
      return { contents: lookup.replace(source), loader: 'js' }
    })
  },
}

/** Names of the packages that went into a bundle. */
const packagesOf = (metafile: Metafile): string[] => {
  const names = Object.keys(metafile.inputs).flatMap((path) => {
    const last = path.split('node_modules/').at(-1) as string
    if (last === path) return []
    const parts = last.split('/')
    return parts[0]?.startsWith('@') ? `${parts[0]}/${parts[1]}` : (parts[0] ?? [])
  })
  return [...new Set(names)].sort()
}

/** The licences of our own code and of every package in the bundle, as one text. */
const licences = (packages: readonly string[]): string => {
  const own = `mdi-llm\n\n${readFileSync(join(root, 'LICENSE'), 'utf8')}`
  const others = packages.map((name) => {
    const folder = join(modules, name)
    if (!existsSync(folder)) return `${name}\n`
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      version: string
      license?: string
    }
    const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f))
    const text = file ? readFileSync(join(folder, file), 'utf8') : ''
    return `${name} ${version} (${license ?? 'see its text'})\n\n${text}`
  })
  return [own, ...others].map((t) => `${t.trim()}\n`).join(`\n${'-'.repeat(72)}\n\n`)
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`.padStart(9)

/** Makes the bundle in `out`, replacing what was there. */
const bundle = async (out: string): Promise<void> => {
  rmSync(join(out, 'mdi.cjs'), { force: true })
  rmSync(join(out, 'addons'), { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const main = join(out, 'mdi.cjs')
  const { metafile } = await build({
    entryPoints: [join(root, 'services', 'main.ts')],
    absWorkingDir: root,
    outfile: main,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    // A CommonJS file knows its path; the source asks as a module does.
    define: { 'import.meta.url': '__mdiUrl' },
    banner: { js: "const __mdiUrl = require('node:url').pathToFileURL(__filename).href;" },
    // Packages have modules for browsers too; these are ours.
    mainFields: ['main', 'module'],
    plugins: [replaceLookups],
    metafile: true,
    legalComments: 'none',
    // Each of a process's three isolates keeps the text: short, and of one-byte characters.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 200,
    logLevel: 'warning',
  })
  chmodSync(main, 0o755)
  writeFileSync(join(out, 'LICENSES'), licences(packagesOf(metafile)))
  const sizes: [name: string, bytes: number][] = [['mdi.cjs', statSync(main).size]]
  for (const arch of ['x64', 'arm64'] as const) {
    for (const [name, from] of Object.entries(addons)) {
      const to = join('addons', `linux-${arch}`, name)
      mkdirSync(dirname(join(out, to)), { recursive: true })
      copyFileSync(join(modules, from(arch)), join(out, to))
      sizes.push([to, statSync(join(out, to)).size])
    }
  }
  for (const [name, size] of sizes) process.stdout.write(`${megabytes(size)}  ${name}\n`)
  const of = (arch: string) =>
    sizes.filter(([n]) => n === 'mdi.cjs' || n.includes(arch)).reduce((sum, [, s]) => sum + s, 0)
  process.stdout.write(
    `A board needs ${megabytes(of('x64')).trim()} (x64) or ${megabytes(of('arm64')).trim()} (arm64).\n`,
  )
}

const usage = `Usage: scripts/build [--out FOLDER]

Bundles the service into FOLDER (dist unless said otherwise): mdi.cjs, which is also its
own workers, and addons/ with the native libraries for x64 and arm64. Node 24 runs it:
  node dist/mdi.cjs --help
`
const [option, folder, ...rest] = process.argv.slice(2)
if (option === '--help' || option === '-h') process.stdout.write(usage)
else if (option === undefined) await bundle(join(root, 'dist'))
else if (option === '--out' && folder && rest.length === 0) await bundle(folder)
else {
  process.stderr.write(usage)
  process.exitCode = 2
}
