/** Ports that are published at an address which the host does not have: nobody reaches them there, and nothing fails. */
import { isLoopback, isUnspecified, parseAddress } from '../../../lib/ip/address.ts'
import { plainAddresses } from '../facts.ts'
import type { Check } from '../finding.ts'

export const publishedAddresses: Check = {
  name: 'published-addresses',
  title: 'ports are published at addresses that the host has',
  find: ({ view, hostView }) => {
    const own = new Set(hostView.links.flatMap(plainAddresses))
    return view.networks.flatMap(({ name, attachments }) =>
      attachments
        .filter(one => one.namespace !== '')
        .flatMap(({ containerId, ifName, ports }) =>
          ports
            .filter(({ hostAddress }) => isMissing(hostAddress, own))
            .map(({ hostAddress, hostPort, protocol }) => ({
              severity: 'warning' as const,
              what: `port ${String(hostPort)}/${protocol} is published at ${hostAddress}, which the host does not have`,
              evidence: [
                `${containerId} (${ifName}) of network ${name}`,
                `addresses of the host: ${[...own].join(', ')}`
              ],
              remedy: `publish it at one that it has, or at all; nothing where ${hostAddress} moves between hosts`
            }))
        )
    )
  }
}

/** Every address of 127.0.0.0/8 is the host's. */
function isMissing(text: string, own: ReadonlySet<string>): boolean {
  const address = parseAddress(text)
  return address !== undefined && !isUnspecified(address) && !isLoopback(address) && !own.has(text)
}
