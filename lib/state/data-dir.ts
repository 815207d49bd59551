/** `ipam.dataDir`: below it are the leases of every network. */
import type { Section } from '../config/section.ts'
import { readDirectory, readDirectoryForRemoval } from './directory.ts'

const DEFAULT_DATA_DIR = '/var/lib/cni/networks'

/**
 * @returns undefined on DEL when no lease in it can be believed, or none is there
 * @throws {SysError} where it cannot be made
 */
export function readDataDir(ipam: Section, command: string): string | undefined {
  const read = command === 'DEL' ? readDirectoryForRemoval : readDirectory
  return read(ipam, 'dataDir', DEFAULT_DATA_DIR)
}
