/** Inputs that were answered wrongly once: testdata/<target>/<digest>, replayed by every test run from then on. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Target } from './target.ts'

const TESTDATA = join(import.meta.dirname, 'testdata')

/** An input, and what was wrong with it. */
export interface Finding {
  readonly target: string
  readonly input: Uint8Array
  readonly why: string
}

/** Runs `judge`, which objects by an error. @returns undefined when nothing is wrong */
export function found(target: string, input: () => Uint8Array, judge: () => void): Finding | undefined {
  try {
    judge()
    return undefined
  } catch (error) {
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { target, input: input(), why }
  }
}

/** Asks the target's judge. @returns undefined when nothing is wrong */
export function judged(target: Target, input: Uint8Array): Finding | undefined {
  return found(
    target.name,
    () => input,
    () => target.judge(input)
  )
}

/** @throws Error with the input, when there is a finding */
export function mustBeNone(finding: Finding | undefined): void {
  if (finding === undefined) return
  throw new Error(`${finding.target}: ${Buffer.from(finding.input).toString('base64')}\n${finding.why}`)
}

/** Puts it with those that are replayed. @returns the file */
export function keep({ target, input }: Finding): string {
  const folder = join(TESTDATA, target)
  mkdirSync(folder, { recursive: true })
  const path = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16))
  writeFileSync(path, input)
  return path
}

/** All that were kept of a target. */
export function keptInputs(target: string): readonly Uint8Array[] {
  const folder = join(TESTDATA, target)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .map(name => readFileSync(join(folder, name)))
}
