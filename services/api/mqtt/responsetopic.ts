/** Where a client may have its answer sent (MQTT 5's response topic). Pure. */
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { BASE } from '../../wire/topics.ts'

const isUnder = (topic: string, root: string): boolean =>
  topic === root || topic.startsWith(`${root}/`)

/**
 * Why an answer cannot go to a topic; undefined where it can. What no topic may hold makes a
 * broker cut us off; and nobody may have us write where only we are let (our own topics, and
 * `reserved` roots).
 */
export const wrongAnswerTopic = (
  topic: string,
  reserved: readonly string[] = [],
): string | undefined => {
  if (topic === '' || /[+#\0]/.test(topic)) return 'it has wildcards, or nothing in it'
  if (topic.startsWith('$')) return 'it begins with $'
  const long =
    Buffer.byteLength(topic) > limits.answerTopicBytes ||
    topic.split('/').length > limits.answerTopicLevels
  if (long)
    return `it has more than ${limits.answerTopicBytes} bytes or ${limits.answerTopicLevels} levels`
  const root = [BASE, ...reserved].find((r) => isUnder(topic, r))
  return root === undefined ? undefined : `topics under ${root}/ are not for clients`
}

/** @throws MdiError `bad-value` */
export const checkAnswerTopic = (topic: string, reserved?: readonly string[]): void => {
  const why = wrongAnswerTopic(topic, reserved)
  if (why !== undefined)
    throw new MdiError('bad-value', `The response topic cannot be used: ${why}.`)
}
