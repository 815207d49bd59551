/** The versions of the specification, oldest first, and their order. */

export const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

export type Version = (typeof VERSIONS)[number]

export function isVersion(text: unknown): text is Version {
  return VERSIONS.some(version => version === text)
}

export function atLeast(version: Version, other: Version): boolean {
  return VERSIONS.indexOf(version) >= VERSIONS.indexOf(other)
}
