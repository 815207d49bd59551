/** What the command writes: tables for people, JSON for programs, and errors that say what failed, where, and what to do. */
import { isatty } from 'node:tty'
import { PluginError } from '../lib/runtime/execute.ts'
import { NetworkError } from '../lib/runtime/network.ts'
import { errnoOf } from '../lib/sys/errors.ts'
import { adviceOfRights } from '../lib/sys/rights.ts'
import { writeFully } from '../lib/sys/stdio.ts'

/** Where output goes. Tests put memory in its place. */
export interface Output {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Which of the two show colours; none where it is absent. */
  readonly colours?: { readonly out: boolean; readonly err: boolean }
}

export function processOutput(): Output {
  return {
    out: text => writeFully(1, text),
    err: text => writeFully(2, text),
    colours: { out: hasColours(1), err: hasColours(2) }
  }
}

/** Terminals only, but those that are dumb; nobody who has said so by $NO_COLOR. @source no-color.org */
function hasColours(fd: 1 | 2): boolean {
  // Asked first, since to make the stream takes longer than to look for networks.
  return isatty(fd) && (fd === 1 ? process.stdout : process.stderr).hasColors()
}

/** The command was used wrongly, or what it was asked for cannot be done. */
export class CommandError extends Error {
  /** What the person can do. */
  readonly advice: string

  constructor(message: string, advice = '') {
    super(message)
    this.name = 'CommandError'
    this.advice = advice
  }
}

/** The command was used wrongly: exit status 2, and nothing was done. */
export class UsageError extends CommandError {
  constructor(message: string, advice = '') {
    super(message, advice)
    this.name = 'UsageError'
  }
}

interface Report {
  readonly message: string
  readonly plugin?: string
  readonly command?: string
  readonly code?: number
  readonly advice?: string
}

/** Writes an error to standard error: as one JSON object for programs, as lines for people. */
export function reportError(output: Output, error: unknown, asJson: boolean): void {
  const report = reportOf(error)
  if (asJson) output.err(`${JSON.stringify({ error: report })}\n`)
  else output.err(reportText(report, output.colours?.err === true))
}

/** What to do about a file that cannot be written: rights are the matter of few failures. */
export function adviceFor(error: unknown, otherwise: string): string {
  return ['EACCES', 'EPERM'].includes(errnoOf(error)) ? `run as root, or ${otherwise}` : otherwise
}

/** Whatever else may be said of it: who is not root needs to be told that first. */
function reportOf(error: unknown): Report {
  const report = plainReportOf(error)
  const advice = adviceOfRights(report.message, 'patchbay ...')
  return advice === '' ? report : { ...report, advice }
}

function plainReportOf(error: unknown): Report {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof PluginError) {
    return {
      message,
      ...(error.plugin === '' ? {} : { plugin: error.plugin, command: error.command }),
      ...(error.code === undefined ? {} : { code: error.code }),
      ...(error.details === '' ? {} : { advice: error.details })
    }
  }
  const advice = error instanceof CommandError || error instanceof NetworkError ? error.advice : ''
  return advice === '' ? { message } : { message, advice }
}

const RED = ['\u001b[31m', '\u001b[39m'] as const
const BOLD = ['\u001b[1m', '\u001b[22m'] as const

function reportText(report: Report, isColoured: boolean): string {
  const painted = ([on, off]: readonly [string, string], text: string): string =>
    isColoured ? `${on}${text}${off}` : text
  const code = report.code === undefined ? '' : ` with code ${String(report.code)}`
  const where = report.plugin === undefined ? '' : `  in plugin ${report.plugin}, ${report.command ?? ''}${code}\n`
  const advice = report.advice === undefined ? '' : `  ${painted(BOLD, 'what to do:')} ${report.advice}\n`
  return `${painted(RED, 'patchbay:')} ${listed(report.message)}\n${where}${advice}`
}

/** What is wrong with several things is a line each, where one line would be wider than the terminal. */
function listed(message: string): string {
  return 'patchbay: '.length + message.length <= terminalWidth()
    ? message
    : message.replaceAll(/; (?!did you)/g, ';\n  ')
}

/** The headings of a table in bold. */
export function withBoldHeadings(table: string, output: Output): string {
  if (output.colours?.out !== true) return table
  const end = table.indexOf('\n')
  return `${BOLD[0]}${table.slice(0, end)}${BOLD[1]}${table.slice(end)}`
}

/** Columns where the terminal does not say how many it has, or there is none. */
const WIDTH = 80

export function terminalWidth(): number {
  return isatty(1) ? process.stdout.columns : WIDTH
}

const GAP = '  '
/** As many letters as can still be told apart. */
const LEAST = 8

/**
 * Rows under their headings, in columns as wide as they need to be.
 *
 * @param elastic the column whose texts are cut where lines would be wider than the terminal; -1 for none
 */
export function tableText(headings: readonly string[], rows: readonly (readonly string[])[], elastic = -1): string {
  const all = [headings, ...rows]
  const widths = headings.map((_, column) => Math.max(...all.map(row => (row[column] ?? '').length)))
  const whole = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1)
  const own = widths[elastic] ?? 0
  const least = Math.max(LEAST, (headings[elastic] ?? '').length)
  if (elastic >= 0) widths[elastic] = Math.min(own, Math.max(least, own - Math.max(0, whole - terminalWidth())))
  const cellText = (cell: string, column: number): string => {
    const width = widths[column] ?? 0
    return (cell.length <= width ? cell : `${cell.slice(0, width - 3)}...`).padEnd(width)
  }
  const lines = all.map(row => row.map(cellText).join(GAP))
  return `${lines.map(line => line.trimEnd()).join('\n')}\n`
}

export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
