/**
 * Files below /proc/sys/net: which of them exist and what they hold depends on the namespace that reads them.
 *
 * @source man 5 proc, /proc/sys/net
 */
import { KernelError } from '../netlink/kernel-error.ts'
import { errnoOf } from '../sys/errors.ts'
import { readText, writeInto } from '../sys/files.ts'
import { inNamespace } from '../sys/netns.ts'
import { type Setting, Sysctls } from './sysctls.ts'

const ROOT = '/proc/sys/net/'

/**
 * The absolute path of a sysctl.
 *
 * @throws {KernelError} EINVAL for anything that would lead out of /proc/sys/net
 */
export function sysctlPath(path: string): string {
  if (leadsElsewhere(path))
    throw new KernelError('open sysctl', JSON.stringify(path), 'EINVAL', 'not a path below /proc/sys/net')
  return ROOT + path
}

function leadsElsewhere(path: string): boolean {
  if (path.includes('\0')) return true
  for (const part of path.split('/')) if (part === '' || part === '.' || part === '..') return true
  return false
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
      const text = inNamespace(this.#namespaceFd, () => readText(file))
      return text?.endsWith('\n') === true ? text.slice(0, -1) : text
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === '') throw error
      throw new KernelError('read sysctl', JSON.stringify(path), errno, '')
    }
  }

  override write(path: string, value: string): void {
    inNamespace(this.#namespaceFd, () => writeHere(path, value))
  }

  override writeIfPresent(settings: readonly Setting[]): void {
    if (settings.length === 0) return
    inNamespace(this.#namespaceFd, () => {
      for (const { path, value } of settings) writeHereIfPresent(path, value)
    })
  }
}

function writeHere(path: string, value: string): void {
  const errno = writeInto(sysctlPath(path), value)
  if (errno !== '') throw writeError(path, value, errno)
}

function writeHereIfPresent(path: string, value: string): void {
  const errno = writeInto(sysctlPath(path), value)
  if (errno !== '' && errno !== 'ENOENT' && errno !== 'EROFS') throw writeError(path, value, errno)
}

function writeError(path: string, value: string, errno: string): KernelError {
  return new KernelError('write sysctl', `${JSON.stringify(path)} = ${JSON.stringify(value)}`, errno, '')
}
