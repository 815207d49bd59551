/** `ipam.dataDir`: below it are the leases of every network. */
import type { Section } from '../config/section.ts'

export const DEFAULT_DATA_DIR = '/var/lib/cni/networks'

export function readDataDir(ipam: Section): string {
  const text = ipam.text('dataDir') ?? ''
  if (text === '') return DEFAULT_DATA_DIR
  // Leases below whatever directory a runtime happens to be in would be found by nobody, or planted by somebody.
  if (!text.startsWith('/')) ipam.problem('dataDir', 'must be an absolute path')
  return text
}
