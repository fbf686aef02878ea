/**
 * How the process ends: when its output cannot be written, when somebody stops it twice, or by a
 * bug. Node's own exit stops the threads while ONNX Runtime computes in one of them, and then
 * that library aborts the process; so it is never left to that while a thread may compute.
 */
import { accessSync, constants } from 'node:fs'
import { codeOf, ExitStatus, isDiskFull, MdiError } from '../errors.ts'
import { tellError } from './output.ts'

/** Readers that went away (`mdi … | head`, a closed terminal): no error, and nobody to tell. */
const gone = new Set(['EPIPE', 'ECONNRESET', 'EIO', 'ERR_STREAM_DESTROYED'])

let status: number | undefined
const stop = new AbortController()

/** Aborts when the output cannot be written any more: what works for it may stop. */
export const outputGone: AbortSignal = stop.signal

const SHELL = '/bin/sh'

/** Whether a file is a program that may be run. */
const runs = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Ends the process now, whatever its threads do. */
export const quit = (code: number): never => {
  if (process.platform !== 'linux' || !process.execve) return process.exit(code)
  // A new program in this process's place: the system drops the threads where they are. It must be
  // there, or Node aborts.
  if (runs(SHELL)) process.execve(SHELL, ['sh', '-c', `exit ${code}`], {})
  const { execPath } = process
  if (runs(execPath)) process.execve(execPath, [execPath, '-e', `process.exit(${code})`], {})
  return process.exit(code)
}

const failed = (error: Error): void => {
  if (status !== undefined) return
  status = ExitStatus.ok
  if (!gone.has(codeOf(error))) {
    const why = isDiskFull(error) ? 'the disk is full' : error.message
    const sentence = `The output cannot be written: ${why.replace(/\.$/, '')}.`
    status = tellError(new MdiError('disk-full', sentence, { cause: error }))
  }
  process.exitCode = status
  stop.abort()
}

/** Looks after standard output and error, and after bugs. */
export const watchEnd = (): void => {
  process.stdout.on('error', failed)
  // What is told there is for a person to read; work does not depend on it.
  process.stderr.on('error', () => {})
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (error: unknown) => quit(tellError(error)))
}

/** The exit status of a command that came to `code`. */
export const endWith = (code: number): void => {
  process.exitCode = status ?? code
}
