/**
 * 127.0.0.1 of a host leads to members: the interface towards their network needs `route_localnet`, and a guard that keeps
 * neighbours there from what listens at 127.0.0.1 and nowhere else, as the plugin portmap has it for containers
 * (plugins/portmap/localhost.ts says more).
 *
 *     table ip patchbay-opened {
 *       set links { type ifname; elements = { "br-vx42" comment "opened" } }
 *       chain guard { type filter hook prerouting priority -300;
 *         iifname != "lo" ip daddr 127.0.0.0/8 drop; iifname != "lo" ip saddr 127.0.0.0/8 drop }
 *     }
 *
 * The set is the account, over restarts of the agent. An interface that was open before is `kept` so; what portmap has opened
 * the last one of both closes.
 */
import { parsePrefix } from '../../lib/ip/prefix.ts'
import type { Net } from '../../lib/net/net.ts'
import { keyElement, type Nft, NftBatch, type NftElement, nameField } from '../../lib/nft/nft.ts'
import { matchAddress, matchName, rule, verdict } from '../../lib/nft/rule.ts'
import { OPENED_LINKS, OPENED_TABLE, openedLink } from '../../lib/nft/service-ports.ts'

/** Before the connection table. */
const RAW_PRIORITY = -300
const GUARD = 'guard'
const OPENED = 'opened'
const KEPT = 'kept'
/** portmap's table, and its chain for an interface that it has opened. */
const PORTMAP_TABLE = 'patchbay-localhost'

/** Opens these interfaces and no others. Done under the namespace's lock, as portmap does it. */
export function openLinks(host: Net, nft: Nft, links: ReadonlySet<string>): void {
  const present = nft.listElements('ip', OPENED_TABLE, OPENED_LINKS)
  if (links.size === 0 && present.length === 0) return
  host.withLock(() => {
    for (const element of present) if (!links.has(nameOf(element))) close(host, nft, element)
    for (const link of links) open(host, nft, link)
  })
}

function open(host: Net, nft: Nft, link: string): void {
  const known = openedLink(nft, link)
  const value = host.sysctls.read(settingOf(link))
  if (value === undefined) return
  if (known === undefined) {
    const isPortmaps = nft.findChain('ip', PORTMAP_TABLE, `opened-${link}`) !== undefined
    const batch = new NftBatch()
    if (nft.findTable('ip', OPENED_TABLE) === undefined) addGuard(batch)
    const state = value === '1' && !isPortmaps ? KEPT : OPENED
    batch.addElements('ip', OPENED_TABLE, OPENED_LINKS, [keyElement(nameField(link), state)])
    nft.commit(batch, undefined)
  }
  // The guard is there by now.
  if (value !== '1') host.sysctls.write(settingOf(link), '1')
}

function close(host: Net, nft: Nft, element: NftElement): void {
  const link = nameOf(element)
  const isPortmaps = (nft.findChain('ip', PORTMAP_TABLE, `opened-${link}`)?.use ?? 0) > 0
  const isThere = host.sysctls.read(settingOf(link)) !== undefined
  if (isThere && element.comment === OPENED && !isPortmaps) host.sysctls.write(settingOf(link), '0')
  const batch = new NftBatch()
  const rest = nft.listElements('ip', OPENED_TABLE, OPENED_LINKS).filter(one => nameOf(one) !== link)
  if (rest.length === 0) batch.removeTable('ip', OPENED_TABLE)
  else batch.removeElements('ip', OPENED_TABLE, OPENED_LINKS, [keyElement(element.key, '')])
  nft.commit(batch, undefined)
}

function addGuard(batch: NftBatch): void {
  const loopback = parsePrefix('127.0.0.0/8')
  if (loopback === undefined) throw new Error('loopback prefix')
  batch.addTable('ip', OPENED_TABLE)
  const set = { name: OPENED_LINKS, key: ['ifname'], data: undefined, isInterval: false } as const
  batch.addSet('ip', OPENED_TABLE, set)
  const hook = { type: 'filter', hook: 'prerouting', priority: RAW_PRIORITY, policy: undefined } as const
  batch.addChain('ip', OPENED_TABLE, GUARD, hook)
  for (const side of ['daddr', 'saddr'] as const) {
    const parts = [matchName('iifname', 'lo', true), matchAddress(side, loopback), verdict('drop')]
    batch.addRule('ip', OPENED_TABLE, GUARD, rule(parts))
  }
}

function settingOf(link: string): string {
  return `ipv4/conf/${link}/route_localnet`
}

function nameOf({ key }: NftElement): string {
  const end = key.indexOf(0)
  return new TextDecoder().decode(end < 0 ? key : key.subarray(0, end))
}
