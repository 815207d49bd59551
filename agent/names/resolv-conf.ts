/**
 * The host's resolvers: what its resolv.conf names, and where that is systemd-resolved's stub, what stands behind the stub,
 * for nobody but the host itself reaches 127.0.0.53.
 *
 * @source man 5 resolv.conf; man 8 systemd-resolved.service, "/etc/resolv.conf"
 */
import { readFileSync, statSync } from 'node:fs'
import { formatAddress, isLoopback, parseAddress } from '../../lib/ip/address.ts'
import { RESOLVER } from '../../lib/names/record.ts'
import type { Upstream } from './upstream.ts'

const RESOLV_CONF = '/etc/resolv.conf'
const BEHIND_THE_STUB = '/run/systemd/resolve/resolv.conf'
const STUBS: readonly string[] = ['127.0.0.53', '127.0.0.54']
/** glibc's MAXNS asks three; more only cost time. */
const MOST = 3
const REREAD_MS = 1000

/** The resolvers that a text names, without those that would be asked by us again. */
function resolversIn(text: string): readonly Upstream[] {
  const upstreams: Upstream[] = []
  for (const line of text.split('\n')) {
    const [word, value] = line.trim().split(/\s+/)
    if (word !== 'nameserver' || value === undefined) continue
    const address = parseAddress(value)
    if (address !== undefined && formatAddress(address) !== RESOLVER && upstreams.length < MOST)
      upstreams.push({ address })
  }
  return upstreams
}

/** Reads them again when the file has changed, at most once a second. */
export class HostResolvers {
  readonly #paths: readonly [string, string]
  #upstreams: readonly Upstream[] = []
  #stamp = ''
  #lookedAt = 0

  /** @param paths in the place of the host's, for tests */
  constructor(paths: readonly [string, string] = [RESOLV_CONF, BEHIND_THE_STUB]) {
    this.#paths = paths
  }

  get(): readonly Upstream[] {
    const now = Date.now()
    if (now - this.#lookedAt < REREAD_MS) return this.#upstreams
    this.#lookedAt = now
    const stamp = this.#paths.map(stampOf).join(' ')
    if (stamp !== this.#stamp) {
      this.#stamp = stamp
      this.#upstreams = this.#read()
    }
    return this.#upstreams
  }

  #read(): readonly Upstream[] {
    const [own, behind] = this.#paths
    const upstreams = resolversIn(textOf(own))
    const isStub = upstreams.length > 0 && upstreams.every(one => STUBS.includes(formatAddress(one.address)))
    const real = isStub ? resolversIn(textOf(behind)) : []
    // A stub with nothing behind it still answers us: we ask from the host's namespace.
    return real.length > 0 ? real.filter(one => !isLoopback(one.address) || !isStub) : upstreams
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, ino, size } = statSync(path)
    return `${mtimeMs} ${ino} ${size}`
  } catch {
    return 'absent'
  }
}
