/** What a container of `run` sees in the place of the host's /etc/hosts and /etc/resolv.conf. */
import { existsSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isLoopback, parseAddress } from '../../lib/ip/address.ts'
import { readText } from '../../lib/sys/files.ts'
import { UsageError } from '../output.ts'
import type { Resolver } from './resolvers.ts'

export interface Names {
  readonly hostname: string
  readonly addresses: readonly string[]
  /** `NAME:ADDRESS`, or `NAME:host-gateway` */
  readonly addHosts: readonly string[]
  readonly gateway: string
  /** Behind the host name, '' for none. */
  readonly domain: string
  readonly resolver: Resolver
}

/** Writes both into `directory`. @returns which stands where; what the host has not is left out */
export function writeNames(
  directory: string,
  names: Names
): readonly { readonly source: string; readonly target: string }[] {
  const files = [
    { source: join(directory, 'hosts'), target: '/etc/hosts', text: hostsText(names) },
    { source: join(directory, 'resolv.conf'), target: '/etc/resolv.conf', text: resolverText(names.resolver) }
  ]
  return files
    .filter(one => existsSync(one.target))
    .map(({ source, target, text }) => {
      writeFileSync(source, text, { mode: 0o644 })
      return { source, target: realpathSync(target) }
    })
}

function hostsText({ hostname, domain, addresses, addHosts, gateway }: Names): string {
  const lines = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback']
  const own = domain === '' ? hostname : `${hostname}.${domain} ${hostname}`
  for (const address of addresses) lines.push(`${address.replace(/\/.*/, '')}\t${own}`)
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

/** @source man 5 resolv.conf: of several lines `search` the last counts, those of `options` add up */
function resolverText({ nameServers, search, options }: Resolver): string {
  const servers = nameServers.map(server => `nameserver ${server}\n`).join('')
  const base = nameServers.length > 0 ? servers : hostResolverText()
  const lines = base === '' || base.endsWith('\n') ? base : `${base}\n`
  const searched = search.length === 0 ? '' : `search ${search.join(' ')}\n`
  return `${lines}${searched}${options.length === 0 ? '' : `options ${options.join(' ')}\n`}`
}

/** The host's own, but for servers on its loopback: those are behind systemd-resolved, or not to be reached from a container. */
export function hostResolverText(): string {
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
