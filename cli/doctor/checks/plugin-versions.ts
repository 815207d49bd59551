/** What the installed plugins say that they speak, against what networks ask for. */
import { spawnSync } from 'node:child_process'
import { memberOf, parseJson } from '../../../lib/config/json.ts'
import { findPlugin, PluginMissing } from '../../../lib/runtime/execute.ts'
import { type Network, pluginType } from '../../../lib/runtime/network.ts'
import type { Check, Finding } from '../finding.ts'

/** A plugin answers VERSION in milliseconds; what does not in this time is no plugin. */
const PATIENCE_MS = 5000

export const pluginVersions: Check = {
  name: 'plugin-versions',
  title: 'plugins speak the version that networks ask for',
  find: ({ networks, places }) => {
    const known = new Map<string, readonly string[] | string>()
    const wanted = networks.flatMap(network => network.plugins.map(plugin => ({ network, type: pluginType(plugin) })))
    return wanted.flatMap(({ network, type }) => {
      const versions = known.get(type) ?? versionsOf(type, places.binDirs)
      known.set(type, versions)
      return findingFor(network, type, versions)
    })
  }
}

function findingFor(network: Network, type: string, versions: readonly string[] | string): readonly Finding[] {
  if (versions === '' || (typeof versions !== 'string' && versions.includes(network.cniVersion))) return []
  const what =
    typeof versions === 'string'
      ? `plugin ${type} of network ${network.name} does not answer`
      : `plugin ${type} does not speak CNI ${network.cniVersion}, which network ${network.name} asks for`
  const evidence = typeof versions === 'string' ? [versions] : [`it speaks ${versions.join(', ')}`, network.path]
  return [{ severity: 'error', what, evidence, remedy: 'install a newer plugin, or ask for an older cniVersion' }]
}

/** @returns why it does not say; '' when it is not there, which conflists.ts tells */
function versionsOf(type: string, directories: readonly string[]): readonly string[] | string {
  let path: string
  try {
    path = findPlugin(type, directories, 'VERSION')
  } catch (error) {
    if (error instanceof PluginMissing) return ''
    throw error
  }
  const env = { CNI_COMMAND: 'VERSION', PATH: process.env['PATH'] }
  const input = '{"cniVersion":"1.0.0"}'
  const done = spawnSync(path, [], { env, input, encoding: 'utf8', timeout: PATIENCE_MS, killSignal: 'SIGKILL' })
  try {
    const versions = memberOf(parseJson(done.stdout), 'supportedVersions')?.items ?? []
    if (versions.length > 0) return versions.map(one => one.text)
  } catch {
    // what it did print is shown
  }
  return `${path} VERSION: ${done.error?.message ?? (done.stdout + done.stderr).slice(0, 200)}`
}
