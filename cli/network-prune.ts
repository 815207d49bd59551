/** `patchbay network prune`: the networks that were made here and no container is on go. */
import { basename } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { loadNetworks, type Network } from '../lib/runtime/network.ts'
import { AgentClient } from './agent-client.ts'
import type { Call } from './call.ts'
import { createdAt, labelsOf, matchesLabel } from './network-facts.ts'
import { clusterNetworkOf } from './network-find.ts'
import { elsewhere, livingIds, removeAll } from './network-remove.ts'
import { CommandError, type Output, UsageError } from './output.ts'

/** `network prune` */
export async function prune(call: Call): Promise<number> {
  const fits = filterOf(call.texts('filter'))
  const made = loadNetworks(call.place.confDir).networks.filter(
    one => basename(one.path) === `patchbay-${one.name}.conflist` && fits(one)
  )
  const names = made.filter(one => isUnused(call, one)).map(one => one.name)
  const isAsked = names.length > 0 && !call.has('force') && !call.has('dry-run')
  if (isAsked && !(await isAgreed(names, call.output))) return 1
  return removeAll(call, names)
}

/** On all hosts, if it is on several. What cannot be told stays. */
function isUnused(call: Call, network: Network): boolean {
  if (livingIds(call, network.name, network).length > 0) return false
  if (clusterNetworkOf(network) === undefined) return true
  try {
    return elsewhere(call, network.name, new AgentClient(call.text('agent-socket'))).length === 0
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    call.output.err(`patchbay: network ${JSON.stringify(network.name)} is kept: ${error.message}\n`)
    return false
  }
}

/** As with Docker: `label=KEY[=VALUE]`, `label!=KEY[=VALUE]`, `until=24h` or a time; all of them must fit. */
function filterOf(texts: readonly string[]): (network: Network) => boolean {
  const filters = texts.map(text => {
    const [, key = '', value = ''] = /^(label!?|until)=(.+)$/s.exec(text) ?? []
    if (key === 'until') return madeBefore(value)
    if (key !== '') return (one: Network) => matchesLabel(labelsOf(one), value) === (key === 'label')
    throw new UsageError(
      `read --filter ${JSON.stringify(text)}: must be label=KEY, label=KEY=VALUE, label!=KEY or until=TIME`,
      'for example --filter until=24h'
    )
  })
  return network => filters.every(fits => fits(network))
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** @param text `1h30m` ago, or a point in time */
function madeBefore(text: string): (network: Network) => boolean {
  const isDuration = /^(?:[0-9]+[smhd])+$/.test(text)
  const parts = [...text.matchAll(/([0-9]+)([smhd])/g)]
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0)
  const limit = isDuration ? Date.now() - seconds * 1000 : Date.parse(text)
  if (Number.isNaN(limit))
    throw new UsageError(`read --filter until=${text}: must be like 24h, 1h30m or 2026-01-31T12:00:00Z`)
  return network => Date.parse(createdAt(network)) < limit
}

async function isAgreed(names: readonly string[], output: Output): Promise<boolean> {
  output.err(`These networks have no container and will be removed: ${names.join(', ')}\n`)
  if (!process.stdin.isTTY) {
    throw new UsageError(
      'remove unused networks: nobody is there to be asked',
      'add --force, or see them with --dry-run'
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question('Remove them? [y/N] ')).trim())
  } finally {
    terminal.close()
  }
}
