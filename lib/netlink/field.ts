/** What may be written into a field. */

/** A value that does not fit its field: a mistake of the caller, found before the kernel sees it. */
export class EncodeError extends Error {
  /** The C symbol of the field, such as `IFLA_IFNAME`. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(`encode ${path}: ${reason}`)
    this.name = 'EncodeError'
    this.path = path
  }
}

/** One name of an enumeration and its number. */
export interface Choice {
  readonly value: number
  readonly name: string
}

/** The value. @throws {EncodeError} unless it is a whole number of that range */
export function inRange(symbol: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new EncodeError(symbol, `must be an integer from ${String(min)} to ${String(max)}, got ${String(value)}`)
}

/** The text in UTF-8. @throws {EncodeError} unless it fits `limit` together with a NUL, and holds none */
export function textBytes(symbol: string, value: string, limit: number): Uint8Array {
  const bytes = new TextEncoder().encode(value)
  if (bytes.length >= limit) {
    throw new EncodeError(
      symbol,
      `${JSON.stringify(value)} has ${String(bytes.length)} bytes, at most ${String(limit - 1)} fit`
    )
  }
  for (let i = 0; i < bytes.length; i += 1) {
    if (bytes[i] === 0) throw new EncodeError(symbol, `${JSON.stringify(value)} has a NUL in it`)
  }
  return bytes
}

/** The number of a name. @throws {EncodeError} when the enumeration has no such name */
export function numberOf(symbol: string, value: string | undefined, choices: readonly Choice[]): number | undefined {
  if (value === undefined) return undefined
  const choice = choices.find(candidate => candidate.name === value)
  if (choice === undefined) throw new EncodeError(symbol, `${JSON.stringify(value)} is none of its names`)
  return choice.value
}
