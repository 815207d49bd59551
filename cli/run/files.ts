/** What a container of `run` sees in the place of the host's /etc/hosts and /etc/resolv.conf. */
import { existsSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isLoopback, parseAddress } from '../../lib/ip/address.ts'
import { readText } from '../../lib/sys/files.ts'
import { UsageError } from '../output.ts'

export interface Names {
  readonly hostname: string
  readonly addresses: readonly string[]
  /** `NAME:ADDRESS`, or `NAME:host-gateway` */
  readonly addHosts: readonly string[]
  readonly gateway: string
  /** '' leaves the host's. */
  readonly nameServers: readonly string[]
}

/** Writes both into `directory`. @returns which stands where; what the host has not is left out */
export function writeNames(
  directory: string,
  names: Names
): readonly { readonly source: string; readonly target: string }[] {
  const files = [
    { source: join(directory, 'hosts'), target: '/etc/hosts', text: hostsText(names) },
    { source: join(directory, 'resolv.conf'), target: '/etc/resolv.conf', text: resolverText(names.nameServers) }
  ]
  return files
    .filter(one => existsSync(one.target))
    .map(({ source, target, text }) => {
      writeFileSync(source, text, { mode: 0o644 })
      return { source, target: realpathSync(target) }
    })
}

function hostsText({ hostname, addresses, addHosts, gateway }: Names): string {
  const lines = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback']
  for (const address of addresses) lines.push(`${address.replace(/\/.*/, '')}\t${hostname}`)
  for (const text of addHosts) {
    const { name, address } = addHost(text)
    lines.push(`${address === 'host-gateway' ? gateway : address}\t${name}`)
  }
  return lines.map(line => `${line}\n`).join('')
}

/** @throws UsageError */
export function addHost(text: string): { readonly name: string; readonly address: string } {
  const at = text.search(/[:=]/)
  const name = text.slice(0, at)
  const address = text.slice(at + 1).replace(/^\[(.*)\]$/, '$1')
  if (at > 0 && (address === 'host-gateway' || parseAddress(address) !== undefined)) return { name, address }
  throw new UsageError(`read --add-host ${JSON.stringify(text)}: must be NAME:ADDRESS or NAME:host-gateway`)
}

/** The host's own, but for servers on its loopback: those are behind systemd-resolved, or not to be reached from a container. */
function resolverText(nameServers: readonly string[]): string {
  if (nameServers.length > 0) return nameServers.map(server => `nameserver ${server}\n`).join('')
  const own = readText('/etc/resolv.conf') ?? ''
  if (!serversOf(own).some(isOwnLoopback)) return own
  return readText('/run/systemd/resolve/resolv.conf') ?? own.replaceAll(/^nameserver\s+(127\.|::1).*\n?/gm, '')
}

function serversOf(text: string): readonly string[] {
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(match => match[1] ?? '')
}

function isOwnLoopback(text: string): boolean {
  const address = parseAddress(text)
  return address !== undefined && isLoopback(address)
}
