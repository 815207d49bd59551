/**
 * The list of sysctls that an administrator lets network configurations set: a regular expression per line, of which one
 * must be found in the key as it is configured. Without the file everything below /proc/sys/net is allowed.
 */
import { CniError, INVALID_CONFIG } from '../../lib/cni/error.ts'
import { readPolicyLines } from '../../lib/state/policy-file.ts'
import type { Sysctl } from './sysctl.ts'

/** Where the reference plugin has it. No configuration can name another place: who may write one would not obey it. */
export const ALLOWLIST = '/etc/cni/tuning/allowlist.conf'

/** @throws CniError code 7 that names the keys which are not allowed, or the line that is no regular expression */
export function checkAllowed(sysctls: readonly Sysctl[], path: string): void {
  if (sysctls.length === 0) return
  const lines = readPolicyLines(path)
  if (lines === undefined) return
  for (const line of lines) if (!isPattern(line)) throw badLine(line, path)
  let refused = keysOf(sysctls)
  for (const line of lines) refused = unmatched(refused, line)
  if (refused.length === 0) return
  const details = `leave the sysctl out, or let a regular expression in ${path} match it`
  throw new CniError(
    INVALID_CONFIG,
    `set sysctl ${refused.map(quoted).join(', ')}: not in the allow-list ${path}`,
    details
  )
}

function keysOf(sysctls: readonly Sysctl[]): readonly string[] {
  return sysctls.map(sysctl => sysctl.key)
}

function quoted(key: string): string {
  return JSON.stringify(key)
}

/** Those that the line is not found in; it is compiled once for all of them. */
function unmatched(keys: readonly string[], line: string): readonly string[] {
  const pattern = new RegExp(line)
  return keys.filter(key => !pattern.test(key))
}

function isPattern(line: string): boolean {
  // Go's dialect has these; here they would quietly mean something else.
  if (['[[:', '\\Q', '\\A', '\\z', '\\p'].some(foreign => line.indexOf(foreign) >= 0)) return false
  try {
    return new RegExp(line).source !== ''
  } catch {
    return false
  }
}

function badLine(line: string, path: string): CniError {
  const message = `read allow-list ${path}: ${JSON.stringify(line)} is no regular expression`
  return new CniError(INVALID_CONFIG, message, 'write one ECMAScript regular expression per line')
}
