/** How this program starts itself again: from source, or out of the packaged `patchbay`. */
import { dirname, join } from 'node:path'
import { isSea } from 'node:sea'

/** The command for another process of the suite with these arguments. */
export function selfCommand(args: readonly string[]): readonly [string, ...string[]] {
  if (isSea()) return [process.execPath, 'conformance', ...args]
  // Not import.meta: it has no meaning in the package's one file.
  const started = process.argv[1] ?? ''
  // As a verb of the command, whatever file that was started from.
  if (process.argv[2] === 'conformance') return [process.execPath, '--no-warnings', started, 'conformance', ...args]
  return [process.execPath, '--no-warnings', join(dirname(started), 'main.ts'), ...args]
}

/** Whether this process was started as `node conformance/main.ts`. */
export function isStartedDirectly(): boolean {
  return !isSea() && (process.argv[1] ?? '').endsWith('/conformance/main.ts')
}
