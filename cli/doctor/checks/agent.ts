/** Networks that need the agent, and an agent that does not answer. */
import { existsSync } from 'node:fs'
import { type Json, jsonBoolean, jsonObject, jsonString, memberOf } from '../../../lib/config/json.ts'
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
    const problem = needing.length === 0 ? '' : problemAt(places.agentSocket, needing.some(needsRegistry))
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
  return needsRegistry(network) || network.plugins.some(plugin => pluginType(plugin) === 'dns')
}

/** For what several hosts share. An agent without a registry, which is one host's alone, answers for names. */
function needsRegistry(network: Network): boolean {
  return network.plugins.some(plugin => {
    const ipam = memberOf(plugin, 'ipam')
    const isCluster = ipam !== undefined && memberOf(ipam, 'type')?.text === 'cluster'
    const namesAgent = ['registry', 'encrypted'].some(key => memberOf(plugin, key)?.type === 'object')
    return isCluster || (pluginType(plugin) === 'vxlan' && namesAgent)
  })
}

/** Asks what the plugins' STATUS asks. */
function problemAt(socket: string, withRegistry: boolean): string {
  const call: [string, Json][] = withRegistry
    ? [['do', jsonString('status')]]
    : [
        ['do', jsonString('name-status')],
        ['cluster', jsonBoolean(false)]
      ]
  try {
    askAgent({ socket, milliseconds: PATIENCE_MS }, jsonObject(call))
    return ''
  } catch (error) {
    return messageOf(error)
  }
}
