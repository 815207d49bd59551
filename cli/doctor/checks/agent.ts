/** Networks that need the agent, and an agent that does not answer. */
import { existsSync } from 'node:fs'
import { jsonObject, jsonString, memberOf } from '../../../lib/config/json.ts'
import { askAgent } from '../../../lib/overlay/agent-call.ts'
import { type Network, pluginType } from '../../../lib/runtime/network.ts'
import { messageOf } from '../../../lib/sys/errors.ts'
import type { Check } from '../finding.ts'

const PATIENCE_MS = 3000

export const agent: Check = {
  name: 'agent',
  title: 'the agent answers, where networks need it',
  find: ({ networks, places }) => {
    const needing = networks.filter(needsAgent)
    const problem = needing.length === 0 ? '' : problemAt(places.agentSocket)
    if (problem === '') return []
    const names = needing.map(one => one.name).join(', ')
    return [
      {
        severity: 'error',
        what: `the agent does not answer, which networks need: ${names}`,
        evidence: [problem],
        remedy: existsSync(places.agentSocket)
          ? 'systemctl restart patchbay-agent, and read what it logs'
          : 'start it: patchbay agent (systemctl start patchbay-agent)'
      }
    ]
  }
}

/** For names, and for overlays and addresses of several hosts. */
function needsAgent(network: Network): boolean {
  return network.plugins.some(plugin => {
    const ipam = memberOf(plugin, 'ipam')
    const type = pluginType(plugin)
    const isCluster = ipam !== undefined && memberOf(ipam, 'type')?.text === 'cluster'
    return type === 'dns' || isCluster || (type === 'vxlan' && memberOf(plugin, 'registry') !== undefined)
  })
}

function problemAt(socket: string): string {
  try {
    askAgent({ socket, milliseconds: PATIENCE_MS }, jsonObject([['do', jsonString('status')]]))
    return ''
  } catch (error) {
    return messageOf(error)
  }
}
