/**
 * What every failing system call becomes: operation, object and errno apart, so that callers ask for a code and
 * never look into a text.
 */
export class SysError extends Error {
  /** What was tried, in the words of the call or of `ip`: `setns`, `add link`. */
  readonly operation: string
  /** What it was tried on, ready to print: a path, an interface. */
  readonly object: string
  /** The symbol of errno, such as `EEXIST`. */
  readonly errno: string

  constructor(operation: string, object: string, errno: string, explanation: string) {
    const text = explanation === '' ? '' : ` (${explanation})`
    super(`${operation}${object === '' ? '' : ' '}${object}: ${errno}${text}`)
    this.name = 'SysError'
    this.operation = operation
    this.object = object
    this.errno = errno
  }
}

/**
 * What the native engine (scriptc 0.1.7) has no symbol for in the errors of node:fs: their code is then `E` and the
 * number, `E24` for EMFILE.
 *
 * @source asm-generic/errno-base.h, asm-generic/errno.h
 */
const UNNAMED: readonly (readonly [string, string])[] = [
  ['E3', 'ESRCH'],
  ['E4', 'EINTR'],
  ['E6', 'ENXIO'],
  ['E19', 'ENODEV'],
  ['E23', 'ENFILE'],
  ['E24', 'EMFILE'],
  ['E26', 'ETXTBSY'],
  ['E31', 'EMLINK'],
  ['E95', 'EOPNOTSUPP'],
  ['E110', 'ETIMEDOUT'],
  ['E116', 'ESTALE'],
  ['E117', 'EUCLEAN'],
  ['E122', 'EDQUOT']
]

/** The errno symbol that an error carries, ours or one of node:fs; the empty string when it has none. */
export function errnoOf(error: unknown): string {
  const known = asError(error)
  if (known instanceof SysError) return known.errno
  const code = (known as NodeJS.ErrnoException).code
  return typeof code === 'string' ? symbolOf(code) : ''
}

function symbolOf(code: string): string {
  const entry = UNNAMED.find(one => one[0] === code)
  return entry === undefined ? code : entry[1]
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Anything thrown, as an Error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
