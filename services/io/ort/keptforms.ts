/** What was measured of the forms on this CPU, as a text that tells when it is damaged. */
import { crc32 } from 'node:zlib'
import type { FormChoice } from '../../graph/forms.ts'
import type { FormTimes } from './measure.ts'

export type KeptForms = { cpu: string; choice: FormChoice; times: FormTimes }

/** What was measured, and its checksum on the line after it. */
export const writeForms = (forms: KeptForms): string => {
  const text = JSON.stringify(forms)
  return `${text}\n${crc32(text)}\n`
}

/** The inverse; undefined where it is damaged or of another version: it is measured again. */
export const readForms = (text: string): KeptForms | undefined => {
  const [line = '', sum] = text.split('\n')
  return sum === String(crc32(line)) ? (JSON.parse(line) as KeptForms) : undefined
}
