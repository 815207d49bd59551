/**
 * Addresses that are given back while no agent runs: a file for each attachment, in a directory beside the agent's socket,
 * which the agent empties when it starts. On tmpfs like the socket: after a reboot the host's lease is ended anyway.
 */
import { readdirSync } from 'node:fs'
import { errnoOf } from '../sys/errors.ts'
import { ensureDirectory, removeFile, writeAtomic } from '../sys/files.ts'

/** An attachment's names. */
export interface Released {
  readonly network: string
  readonly containerId: string
  readonly ifName: string
}

function directoryOf(socket: string): string {
  return `${socket}.released`
}

/** Writes it down for the agent's next start. */
export function noteReleased(socket: string, one: Released): void {
  ensureDirectory(directoryOf(socket), 0o700)
  writeAtomic(`${directoryOf(socket)}/${one.network}:${one.containerId}:${one.ifName}`, '', 0o600, false)
}

/** What has been written down; forgets it. */
export function takeReleased(socket: string): readonly Released[] {
  const released: Released[] = []
  for (const name of namesIn(directoryOf(socket))) {
    const parts = name.split(':')
    if (parts.length !== 3 || name.startsWith('.')) continue
    released.push({ network: parts[0] ?? '', containerId: parts[1] ?? '', ifName: parts[2] ?? '' })
    removeFile(`${directoryOf(socket)}/${name}`)
  }
  return released
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
