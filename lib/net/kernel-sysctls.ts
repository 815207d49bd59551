/**
 * Files below /proc/sys/net: which of them exist and what they hold depends on the namespace that reads them.
 *
 * @source man 5 proc, /proc/sys/net
 */
import { constants, openSync, readFileSync } from 'node:fs'
import { KernelError } from '../netlink/kernel-error.ts'
import { errnoOf } from '../sys/errors.ts'
import { closeDescriptor, writeAll } from '../sys/files.ts'
import { inNamespace } from '../sys/netns.ts'
import { Sysctls } from './sysctls.ts'

const ROOT = '/proc/sys/net/'

/**
 * The absolute path of a sysctl.
 *
 * @throws {KernelError} EINVAL for anything that would lead out of /proc/sys/net
 */
export function sysctlPath(path: string): string {
  const inSlashes = `/${path}/`
  const bad = ['//', '/./', '/../', '\0'].some(part => inSlashes.includes(part))
  if (bad) throw new KernelError('open sysctl', JSON.stringify(path), 'EINVAL', 'not a path below /proc/sys/net')
  return ROOT + path
}

export class KernelSysctls extends Sysctls {
  readonly #namespaceFd: number

  constructor(namespaceFd: number) {
    super()
    this.#namespaceFd = namespaceFd
  }

  override read(path: string): string | undefined {
    const file = sysctlPath(path)
    try {
      const text = inNamespace(this.#namespaceFd, () => readFileSync(file, 'utf8'))
      return text.endsWith('\n') ? text.slice(0, -1) : text
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT') return undefined
      if (errno === '') throw error
      throw new KernelError('read sysctl', JSON.stringify(path), errno, '')
    }
  }

  override write(path: string, value: string): void {
    const file = sysctlPath(path)
    try {
      inNamespace(this.#namespaceFd, () => writeValue(file, value))
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === '') throw error
      throw new KernelError('write sysctl', `${JSON.stringify(path)} = ${JSON.stringify(value)}`, errno, '')
    }
  }
}

/** Without O_CREAT and O_TRUNC: the file is there or the sysctl does not exist. */
function writeValue(file: string, value: string): void {
  const fd = openSync(file, constants.O_WRONLY)
  try {
    writeAll(fd, new TextEncoder().encode(value), file)
  } finally {
    closeDescriptor(fd)
  }
}
