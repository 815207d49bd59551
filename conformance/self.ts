/** How this program starts itself again: from source, or out of the packaged `patchbay`. */
import { join } from 'node:path'
import { isSea } from 'node:sea'

/** The command for another process of the suite with these arguments. */
export function selfCommand(args: readonly string[]): readonly [string, ...string[]] {
  if (isSea()) return [process.execPath, 'conformance', ...args]
  return [process.execPath, '--no-warnings', join(import.meta.dirname, 'main.ts'), ...args]
}
