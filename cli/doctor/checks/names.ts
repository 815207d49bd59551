/** Containers whose resolver is 127.0.0.11, where nobody listens. @source man 5 proc, /proc/net/udp: address and port in hex, host order */
import { readFileSync } from 'node:fs'
import type { NamespaceView } from '../../../lib/view/model.ts'
import type { Check } from '../finding.ts'

/**
 * A socket of 127.0.0.11 at any port: the agent listens on a high one, to which the container's nf_tables translate port 53. In
 * the column of local addresses: in that of remote ones it is a program that asks.
 */
const RESOLVER = /^ *\d+: 0B00007F:/m

export const names: Check = {
  name: 'names',
  title: 'names are answered in every container that asks for them',
  find: ({ view }) => {
    const named = new Set(
      view.networks.flatMap(network =>
        network.attachments.filter(one => one.names.length > 0).map(one => one.namespace)
      )
    )
    const silent = view.namespaces.filter(one => named.has(one.id) && one.processes.pid !== 0 && !isAnswered(one))
    if (silent.length === 0) return []
    return [
      {
        severity: 'error',
        what: 'containers ask 127.0.0.11 for names, and nobody answers there',
        evidence: silent.map(one => `${one.name}: no socket at 127.0.0.11`),
        remedy: 'start the agent: patchbay agent (systemctl start patchbay-agent)'
      }
    ]
  }
}

/** One that has ended meanwhile asks no more. */
function isAnswered(namespace: NamespaceView): boolean {
  try {
    return RESOLVER.test(readFileSync(`/proc/${String(namespace.processes.pid)}/net/udp`, 'utf8'))
  } catch {
    return true
  }
}
