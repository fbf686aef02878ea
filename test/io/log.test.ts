import assert from 'node:assert/strict'
import { test } from 'node:test'
import { streamLog } from '../../services/io/log.ts'

const written = (journal: boolean) => {
  const lines: string[] = []
  return { lines, log: streamLog((line) => lines.push(line), journal) }
}

test('under systemd each line carries its priority (sd-daemon(3))', () => {
  const { lines, log } = written(true)
  log.tell('error', 'E.')
  log.tell('warning', 'W.')
  log.tell('info', 'I.')
  log.audit('Intent sent.')
  assert.deepEqual(lines, ['<3>E.\n', '<4>W.\n', '<6>I.\n', '<5>Intent sent.\n'])
})

test('a terminal gets the sentences alone, and one sentence is one line', () => {
  const { lines, log } = written(false)
  log.tell('warning', 'What came\n<3>is no line of ours.')
  assert.deepEqual(lines, ['What came <3>is no line of ours.\n'])
})

test('only what is grave enough is told, and an audit always', () => {
  const { lines, log } = written(false)
  log.setLevel('warning')
  log.tell('info', 'I.')
  log.tell('warning', 'W.')
  log.audit('A.')
  log.setLevel('error')
  log.tell('warning', 'W.')
  log.tell('error', 'E.')
  assert.deepEqual(lines, ['W.\n', 'A.\n', 'E.\n'])
})
