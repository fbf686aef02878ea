/** WAV files of 16-bit mono sound: as espeak-ng writes them, and as pocketsphinx reads them. */

export type Sound = { rate: number; samples: Int16Array }

/** Reads a WAV file's sound. @throws Error where it is no 16-bit mono PCM */
export const readWave = (bytes: Buffer): Sound => {
  let rate = 0
  for (let at = 12; at + 8 <= bytes.length; ) {
    const id = bytes.toString('latin1', at, at + 4)
    // A program that writes to a pipe does not know the length beforehand.
    const length = Math.min(bytes.readUInt32LE(at + 4), bytes.length - at - 8)
    if (id === 'fmt ') {
      const [format, channels] = [bytes.readUInt16LE(at + 8), bytes.readUInt16LE(at + 10)]
      if (format !== 1 || channels !== 1 || bytes.readUInt16LE(at + 22) !== 16)
        throw new Error('this is no 16-bit mono sound')
      rate = bytes.readUInt32LE(at + 12)
    } else if (id === 'data') {
      const samples = Int16Array.from({ length: length >> 1 }, (_, i) =>
        bytes.readInt16LE(at + 8 + 2 * i),
      )
      return { rate, samples }
    }
    at += 8 + length + (length & 1)
  }
  throw new Error('this is no sound')
}

export const writeWave = ({ rate, samples }: Sound): Buffer => {
  const bytes = Buffer.alloc(44 + 2 * samples.length)
  bytes.write('RIFF', 0, 'latin1')
  bytes.writeUInt32LE(36 + 2 * samples.length, 4)
  bytes.write('WAVEfmt ', 8, 'latin1')
  bytes.writeUInt32LE(16, 16)
  bytes.writeUInt16LE(1, 20)
  bytes.writeUInt16LE(1, 22)
  bytes.writeUInt32LE(rate, 24)
  bytes.writeUInt32LE(2 * rate, 28)
  bytes.writeUInt16LE(2, 32)
  bytes.writeUInt16LE(16, 34)
  bytes.write('data', 36, 'latin1')
  bytes.writeUInt32LE(2 * samples.length, 40)
  samples.forEach((sample, i) => {
    bytes.writeInt16LE(sample, 44 + 2 * i)
  })
  return bytes
}

/** At another rate (linear), with silence before and after. */
export const resampled = ({ rate, samples }: Sound, to: number, silenceMs: number): Sound => {
  const silence = Math.round((to * silenceMs) / 1000)
  const length = Math.floor((samples.length * to) / rate)
  const out = new Int16Array(length + 2 * silence)
  for (let i = 0; i < length; i++) {
    const at = (i * rate) / to
    const below = Math.floor(at)
    const a = samples[below] ?? 0
    out[silence + i] = Math.round(a + ((samples[below + 1] ?? a) - a) * (at - below))
  }
  return { rate: to, samples: out }
}
