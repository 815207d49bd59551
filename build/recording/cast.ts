/**
 * A recording of a terminal as asciinema plays it, version 2: a line of JSON with the terminal's size, then one line for each
 * output, `[seconds since the start, "o", text]`.
 *
 * @source https://docs.asciinema.org/manual/asciicast/v2/
 */

/** A command, and what the terminal showed after it: both streams, lines end in `\n`. */
export interface Scene {
  readonly typed: string
  readonly shown: string
}

/** The committed recording. */
export const CAST = 'docs/recording.cast'

export const COLUMNS = 80
const ROWS = 40
const PROMPT = '$ '

/** A pace for readers; nothing was measured. In milliseconds. */
const KEY_MS = 40
const ANSWER_MS = 300
const READ_MS = 1200

type Event = readonly [seconds: number, kind: 'o', text: string]

/** The recording of these commands, typed letter by letter. */
export function castOf(scenes: readonly Scene[]): string {
  const header = { version: 2, width: COLUMNS, height: ROWS, title: 'Patchbay: containers on a network' }
  const events: Event[] = []
  let at = 0
  const show = (text: string, afterMs: number): void => {
    at += afterMs
    events.push([at / 1000, 'o', text])
  }
  for (const { typed, shown } of scenes) {
    show(PROMPT, 0)
    for (const letter of typed) show(letter, KEY_MS)
    show('\r\n', ANSWER_MS)
    if (shown !== '') show(shown.replaceAll('\n', '\r\n'), ANSWER_MS)
    at += READ_MS
  }
  return [header, ...events].map(line => `${JSON.stringify(line)}\n`).join('')
}

/** What stands in the terminal when such a recording has been played, without the last line's end. */
export function screenOf(cast: string): string {
  const [, ...lines] = cast.trimEnd().split('\n')
  const texts = lines.map(line => (JSON.parse(line) as Event)[2])
  return texts.join('').replaceAll('\r\n', '\n').trimEnd()
}
