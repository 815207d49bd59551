/** Address pools of host-local that are used up, or nearly. */
import { parseAddress } from '../../../lib/ip/address.ts'
import { lastAddress, networkOf, parsePrefix, prefixContains } from '../../../lib/ip/prefix.ts'
import { rangeSize } from '../../../lib/ip/range.ts'
import { rangesOf } from '../../../lib/runtime/network-ranges.ts'
import type { Check, Finding } from '../finding.ts'

/** Used to so many hundredths, a pool is told of. */
const NEARLY = 90

export const pools: Check = {
  name: 'pools',
  title: 'address pools have room',
  find: ({ networks, view }) =>
    networks.flatMap(network => {
      const leases = view.networks.find(one => one.name === network.name)?.leases ?? []
      return rangesOf(network).flatMap(({ subnet, start, end }) => {
        const prefix = parsePrefix(subnet)
        if (prefix === undefined) return []
        const bits = prefix.address.family === 4 ? 32 : 128
        // The network's own address, its gateway's and, with IPv4, that of broadcasts are not given out.
        const ends = prefix.length >= bits - 1 ? 0 : prefix.address.family === 4 ? 2 : 1
        const first = parseAddress(start) ?? networkOf(prefix).address
        const last = parseAddress(end) ?? lastAddress(prefix)
        const reserved = start === '' && end === '' ? ends + 1 : 0
        const size = Math.max(1, rangeSize({ first, last }) - reserved)
        const used = leases.filter(lease => {
          const address = parseAddress(lease.address)
          return address !== undefined && prefixContains(prefix, address)
        }).length
        return used * 100 >= size * NEARLY ? [finding(network.name, subnet, used, size)] : []
      })
    })
}

function finding(network: string, subnet: string, used: number, size: number): Finding {
  const isFull = used >= size
  return {
    severity: isFull ? 'error' : 'warning',
    what: `network ${network} has ${isFull ? 'no address left' : 'few addresses left'}`,
    evidence: [`${String(used)} of ${String(size)} addresses of ${subnet} are leased`],
    remedy: `patchbay gc ${network} gives back those of containers that are gone; else a larger subnet, or a second range`
  }
}
