/** What this machine is called, for names and addresses that must be the same again tomorrow, here and only here. */
import { readText } from '../sys/files.ts'

let id: string | undefined

/**
 * The machine's id: that of systemd, else the one of this boot.
 *
 * @source man 5 machine-id; Documentation/admin-guide/sysctl/kernel.rst random/boot_id
 */
export function machineId(): string {
  if (id === undefined) id = readId('/etc/machine-id') ?? readId('/proc/sys/kernel/random/boot_id') ?? ''
  return id
}

function readId(path: string): string | undefined {
  const text = (readText(path) ?? '').trim()
  return text === '' || text === 'uninitialized' ? undefined : text
}
