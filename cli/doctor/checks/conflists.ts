/** Network configurations that runtimes cannot use, or not as they were meant. */
import { isKnownVersion, KNOWN_VERSIONS } from '../../../lib/cni/version.ts'
import { memberOf } from '../../../lib/config/json.ts'
import { findPlugin, PluginMissing } from '../../../lib/runtime/execute.ts'
import { type Network, pluginType } from '../../../lib/runtime/network.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

/** Plugins that need an interface which an earlier one has made. */
const CHAINED = ['bandwidth', 'dns', 'dnsname', 'firewall', 'portmap', 'sbr', 'tuning', 'vrf']

export const conflists: Check = {
  name: 'conflists',
  title: 'every network configuration can be used',
  find: facts => [
    ...facts.networkProblems.map(
      (problem): Finding => ({
        severity: 'error',
        what: 'a network configuration does not count',
        evidence: [problem.message],
        remedy: problem.advice
      })
    ),
    ...facts.networks.flatMap(network => [...missing(network, facts), ...order(network), ...version(network)])
  ]
}

/** The plugins of a network and of its address pools that are in none of the directories. */
function absent(network: Network, directories: readonly string[]): readonly PluginMissing[] {
  const ipams = network.plugins.flatMap(plugin => {
    const ipam = memberOf(plugin, 'ipam')
    const type = ipam === undefined ? '' : (memberOf(ipam, 'type')?.text ?? '')
    return type === '' || type.includes('/') ? [] : [type]
  })
  return [...new Set([...network.plugins.map(pluginType), ...ipams])].flatMap(type => {
    try {
      findPlugin(type, directories, 'ADD')
      return []
    } catch (error) {
      if (error instanceof PluginMissing) return [error]
      throw error
    }
  })
}

function missing(network: Network, { places }: Facts): readonly Finding[] {
  const here = absent(network, places.binDirs)
  const [first] = here
  if (first === undefined) return []
  const anywhere = absent(network, [...places.binDirs, ...places.otherBinDirs])
  const names = (list: readonly PluginMissing[]): string => list.map(one => one.plugin).join(', ')
  const evidence = [network.path, ...here.map(one => one.message)]
  if (anywhere.length === 0) {
    return [
      {
        severity: 'note',
        what: `network ${network.name} has plugins that only some runtimes find: ${names(here)}`,
        evidence: [...evidence, `they are in one of ${places.otherBinDirs.join(', ')}`],
        remedy: 'nothing where only podman uses the network; else install them where the other runtime looks'
      }
    ]
  }
  const what = `network ${network.name} needs plugins that are not installed: ${names(anywhere)}`
  return [{ severity: 'error', what, evidence, remedy: first.details }]
}

function order(network: Network): readonly Finding[] {
  const [first] = network.plugins.map(pluginType)
  if (first === undefined || !CHAINED.includes(first)) return []
  return [
    {
      severity: 'error',
      what: `network ${network.name} begins with plugin ${first}, which changes an interface that nobody has made yet`,
      evidence: [`plugins in ${network.path}: ${network.plugins.map(pluginType).join(', ')}`],
      remedy: 'put the plugin that makes the interface first: bridge, ptp, macvlan ...'
    }
  ]
}

function version(network: Network): readonly Finding[] {
  if (isKnownVersion(network.cniVersion)) return []
  return [
    {
      severity: 'error',
      what: `network ${network.name} is of a version of CNI that no plugin here speaks`,
      evidence: [`cniVersion ${network.cniVersion} in ${network.path}`],
      remedy: `one of ${KNOWN_VERSIONS.join(', ')}`
    }
  ]
}
