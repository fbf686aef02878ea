/** Bugs that the harness plants, each of which the checker must find by some seed. */
import type { Job } from '../../services/ports.ts'
import type { Frame } from '../../services/wire/frame.ts'
import type { Hello } from '../../services/wire/hello.ts'
import type { Process } from './world.ts'

/** Where a bug may be planted. */
export type Mutation = {
  name: string
  /** A frame that arrives, as it is told to the receiver. */
  frame?(frame: Frame, from: string, to: string): Frame[]
  job?(job: Job, process: Process): Job
  hello?(hello: Hello, epoch: number): Hello
}
