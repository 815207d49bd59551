/** Networks as people name them, and by the beginnings of ids, which they have as Docker's have. */
import { createHash } from 'node:crypto'
import { type KnownNetwork, networkOfConflist } from '../agent/networks/conflist.ts'
import { memberOf } from '../lib/config/json.ts'
import { loadNetwork, loadNetworks, type Network, NetworkError } from '../lib/runtime/network.ts'
import { CommandError } from './output.ts'

/** What is shorter may well be a mistyped name. */
const SHORTEST_ID = 4

/** The network of the cluster that the agent has written a file for; undefined for every other. */
export function clusterNetworkOf(network: Network): KnownNetwork | undefined {
  return networkOfConflist(network.text)
}

/** 64 hexadecimal digits: the cluster's, nerdctl's, else made of the name, as podman makes it. */
export function idOf(network: Network): string {
  const known = clusterNetworkOf(network)?.record.id ?? memberOf(network.config, 'nerdctlID')?.text
  return known ?? createHash('sha256').update(network.name).digest('hex')
}

/**
 * @param word a name, or the beginning of an id
 * @throws NetworkError when there is none, CommandError when several ids begin so
 */
export function findNetwork(confDir: string, word: string): Network {
  try {
    return loadNetwork(confDir, word)
  } catch (error) {
    if (!(error instanceof NetworkError) || !/^[0-9a-f]+$/.test(word) || word.length < SHORTEST_ID) throw error
    const meant = loadNetworks(confDir).networks.filter(one => idOf(one).startsWith(word))
    if (meant.length > 1) {
      const names = meant.map(one => one.name).join(', ')
      throw new CommandError(`find network ${word}: the ids of ${names} begin so`, 'give more of it, or the name')
    }
    if (meant[0] === undefined) throw error
    return meant[0]
  }
}
