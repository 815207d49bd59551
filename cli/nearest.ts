/** The word that a mistyped one was meant to be. */
import { closest, distance } from 'fastest-levenshtein'

/** undefined when none is near: about a third of the letters may differ. */
function nearest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined
  const best = closest(word, [...words])
  return distance(word, best) <= (Math.max(word.length, best.length) + 2) / 3 ? best : undefined
}

/** `; did you mean "bridge"?`, or nothing: to be put behind an error. */
export function didYouMean(word: string, words: readonly string[]): string {
  const near = nearest(word, words)
  return near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`
}
