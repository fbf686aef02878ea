/** A real mosquitto on a free port of 127.0.0.1, where it is installed. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** mosquitto's program, or undefined where it is not installed. */
export const mosquittoPath = (): string | undefined =>
  ['mosquitto', '/usr/sbin/mosquitto'].find((path) => spawnSync(path, ['-h']).error === undefined)

/** A port that is free now. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

export type Mosquitto = { port: number; stop(): Promise<void> }

/**
 * Starts mosquitto and waits until it listens.
 * @param login only this user may connect
 * @param more lines of its configuration
 */
export const startMosquitto = async (
  path: string,
  port?: number,
  login?: { user: string; password: string },
  more: readonly string[] = [],
): Promise<Mosquitto> => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-mosquitto-'))
  const at = port ?? (await freePort())
  const config = join(folder, 'mosquitto.conf')
  const passwords = join(folder, 'passwords')
  const lines = [`listener ${at} 127.0.0.1`, `allow_anonymous ${!login}`, ...more]
  if (process.getuid?.() === 0) lines.push('user root')
  if (login) {
    writeFileSync(passwords, '')
    const made = spawnSync('mosquitto_passwd', ['-b', passwords, login.user, login.password])
    if (made.error) throw made.error
    lines.push(`password_file ${passwords}`)
  }
  writeFileSync(config, `${lines.join('\n')}\n`)
  const child = spawn(path, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    let text = ''
    child.stderr.on('data', (bytes: Buffer) => {
      text += bytes
      if (/mosquitto version \S+ running/.test(text)) resolve()
    })
    child.once('error', reject)
    void exited.then(() => reject(new Error(`mosquitto ended: ${text}`)))
  })
  return {
    port: at,
    async stop() {
      child.kill()
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
