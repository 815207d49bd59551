/**
 * The versions of the protocol, and comparing them.
 * @source CNI specification 1.1.0, "Version"
 */

import { consistsOf, isDigit } from '../bytes/characters.ts'

/** Every version that Patchbay speaks, oldest first. */
export const KNOWN_VERSIONS: readonly string[] = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']

/** The version whose Result all plugins work in. */
export const NEWEST_VERSION = '1.1.0'

/** What a configuration without `cniVersion` means. */
export const IMPLIED_VERSION = '0.1.0'

/**
 * The level of the reference plugin set that Patchbay stands in for: what the banner shows, because runtimes read a
 * plugin's abilities from it (nerdctl wants 1.7.1 of `firewall`).
 */
export const REFERENCE_LEVEL = '1.9.1'

/** Patchbay's own version; a test compares it with package.json. */
export const PATCHBAY_VERSION = '0.2.0'

/** Whether `text` has the shape of a version, known or not. */
export function isVersion(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 3 && parts.every(part => part.length <= 9 && consistsOf(part, isDigit))
}

/** Whether Patchbay speaks exactly this version. */
export function isKnownVersion(text: string): boolean {
  return placeOf(text) >= 0
}

/** Whether `version` is `oldest` or newer. Both must have the shape of a version. */
export function isAtLeast(version: string, oldest: string): boolean {
  if (version === oldest) return true
  // In the order of the list, as all that comes here does but for versions of the future.
  const [place, least] = [placeOf(version), placeOf(oldest)]
  if (place >= 0 && least >= 0) return place > least
  const a = version.split('.')
  const b = oldest.split('.')
  for (let i = 0; i < 3; i += 1) {
    const difference = Number(a[i] ?? '0') - Number(b[i] ?? '0')
    if (difference !== 0) return difference > 0
  }
  return true
}

/** -1 for a version that Patchbay does not speak. */
function placeOf(version: string): number {
  let place = 0
  for (const known of KNOWN_VERSIONS) {
    if (known === version) return place
    place += 1
  }
  return -1
}

/** Whether a plugin that is no older than `since`, one of them, speaks the version. */
export function isSpokenSince(version: string, since: string): boolean {
  return placeOf(version) >= placeOf(since)
}

/** The versions spoken by a plugin that is no older than `since`, one of them; oldest first. */
export function versionsSince(since: string): readonly string[] {
  return KNOWN_VERSIONS.slice(KNOWN_VERSIONS.indexOf(since))
}
