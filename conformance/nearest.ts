/** The right word for a wrong one. */

/** How many letters have to be changed, added or left out. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_none, i) => i)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries()) {
      const changed = (row[j] ?? 0) + (letter === other ? 0 : 1)
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** ` (did you mean X?)`, or nothing when no word is near. A word that begins or goes on like the wrong one is nearest. */
export function suggestion(wrong: string, words: readonly string[]): string {
  const kin = words.filter(word => wrong !== '' && (word.startsWith(wrong) || wrong.startsWith(word)))
  const scored = (kin.length > 0 ? kin : words).map(word => ({ word, score: distance(wrong, word) }))
  const best = scored.sort((a, b) => a.score - b.score)[0]
  if (best === undefined || (kin.length === 0 && best.score > Math.max(2, wrong.length / 2))) return ''
  return ` (did you mean ${best.word}?)`
}
