/** What the gate prints: a line for each step and test file with `done/all`, and every ten seconds what is still running. */
import type { TestResult, TestRun } from './test-kinds.ts'

/** After so long without a line, one says what is being waited for. */
const SILENCE_MS = 9_000
/** Of a failure, at the end. */
const MOST_LINES = 40

/** How a test file is named in the output: with its engine where it is run on one. */
export function nameOf({ path, engine }: TestRun): string {
  return engine === undefined ? path : `${path} [${engine}]`
}

interface Output {
  readonly write: (text: string) => void
  /** milliseconds, of any clock that only goes forward */
  readonly now: () => number
}

const STANDARD: Output = { write: text => process.stdout.write(text), now: () => performance.now() }

/** Counts what happened and prints it. */
export class Report {
  readonly #strict: boolean
  readonly #output: Output
  readonly #started: number
  /** What runs now, and since when. */
  readonly #running = new Map<string, number>()
  #lastLine: number
  #all = 0
  #done = 0
  #passed = 0
  #failed = 0
  #skipped = 0
  /** What failed, and why, for the end: between the lines of hundreds of files it is hard to find. */
  readonly #failures: string[] = []

  constructor(strict: boolean, output: Output = STANDARD) {
    this.#strict = strict
    this.#output = output
    this.#started = output.now()
    this.#lastLine = this.#started
  }

  /** So many steps and files more are going to be told of. */
  expect(count: number): void {
    this.#all += count
  }

  begin(what: string): void {
    this.#running.set(what, this.#output.now())
  }

  /** A step that is no test file: it fails the run, but is not counted among passed tests. */
  step(what: string, problem: string): void {
    if (problem !== '') this.#failed += 1
    this.#line(problem === '', what, '', this.#end(what))
    if (problem === '') return
    this.#print(indent(problem))
    this.#failures.push(`${what}\n${indent(shortened(problem))}`)
  }

  file(result: TestResult): void {
    const { run, passed, failed, skipped, problems, output } = result
    this.#passed += passed
    this.#failed += failed
    this.#skipped += skipped
    const counts = [
      `${passed} passed`,
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(skipped > 0 ? [`${skipped} skipped`] : [])
    ]
    const what = nameOf(run)
    this.#end(what)
    this.#line(problems.length === 0, what, counts.join(', '), result.seconds)
    if (problems.length > 0) {
      this.#print(indent(`${problems.join('\n')}\n\n${output}`))
      this.#failures.push(`${what}\n${indent([...problems, shortened(whyOf(output))].join('\n'))}`)
    } else for (const line of output.match(/^skipped: .*$/gm) ?? []) this.#print(indent(line))
  }

  notRun(what: string, why: string): void {
    this.#print(`not run: ${what}: ${why}\n`)
    if (this.#strict) this.#failed += 1
  }

  /** Call it once a second: after ten seconds of silence it says what runs, and for how long. */
  beat(): void {
    const now = this.#output.now()
    if (now - this.#lastLine < SILENCE_MS) return
    const running = [...this.#running].map(([what, since]) => `${what} (${seconds(now - since)})`)
    this.#print(
      `     ${this.#count()} after ${seconds(now - this.#started)}; running: ${running.join(', ') || 'nothing'}\n`
    )
  }

  /** Prints the closing lines. @returns the exit status */
  close(): number {
    if (this.#skipped > 0) this.#print(`${this.#skipped} skipped\n`)
    if (this.#passed === 0 && this.#failed === 0) {
      this.#print('no test was run\n')
      this.#failed = 1
    }
    for (const failure of this.#failures) this.#print(`failed: ${failure}`)
    this.#print(`${this.#passed} passed, ${this.#failed} failed\n`)
    return this.#failed === 0 ? 0 : 1
  }

  /** @returns how long it ran, in seconds */
  #end(what: string): number {
    const since = this.#running.get(what)
    this.#running.delete(what)
    this.#done += 1
    return since === undefined ? 0 : (this.#output.now() - since) / 1000
  }

  #count(): string {
    return `[${String(this.#done).padStart(String(this.#all).length)}/${this.#all}]`
  }

  #line(isGood: boolean, what: string, counts: string, took: number): void {
    const mark = isGood ? 'ok' : 'FAIL'
    const columns = [mark.padEnd(4), this.#count(), what.padEnd(60), counts.padStart(18), took.toFixed(1).padStart(6)]
    this.#print(`${columns.join(' ')} s\n`)
  }

  #print(text: string): void {
    this.#lastLine = this.#output.now()
    this.#output.write(text)
  }
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`
}

/** What uvu says of failed tests; of a file that ended before it could, the last that it said. */
function whyOf(output: string): string {
  const said = /^ {3}FAIL {2}[\s\S]*?(?=^ {2}Total: )/m.exec(output)?.[0]
  return (said ?? output.trimEnd().split('\n').slice(-MOST_LINES).join('\n')).replaceAll(/\n(?:\s*\n)+/g, '\n')
}

function shortened(text: string): string {
  const lines = text.trim().split('\n')
  return lines.length <= MOST_LINES ? text.trim() : [...lines.slice(0, MOST_LINES), '...'].join('\n')
}

function indent(text: string): string {
  return `${text
    .trimEnd()
    .split('\n')
    .map(line => `     | ${line}`)
    .join('\n')}\n`
}
