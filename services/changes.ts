/** Tells a sentence only when it has changed, so a trouble that lasts is told once. */
export const changes = (tell: (sentence: string) => void): ((sentence: string) => void) => {
  let last = ''
  return (sentence) => {
    if (sentence !== last) tell(sentence)
    last = sentence
  }
}
