/** Files that an administrator writes for a plugin to obey. */
import { readText } from '../sys/files.ts'

/**
 * The lines of a file without the space around them; empty lines are left out.
 *
 * @returns undefined when there is no such file
 * @throws {SysError} EACCES, EISDIR
 */
export function readPolicyLines(path: string): readonly string[] | undefined {
  const text = readText(path)
  if (text === undefined) return undefined
  return text
    .split('\n')
    .map(trimmed)
    .filter(line => line !== '')
}

function trimmed(line: string): string {
  return line.trim()
}
