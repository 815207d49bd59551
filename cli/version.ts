/** `patchbay version`. */
import { KNOWN_VERSIONS, PATCHBAY_VERSION } from '../lib/cni/version.ts'
import { pluginNames } from '../plugins/names.ts'
import type { Call } from './call.ts'
import { jsonLine } from './output.ts'

export async function version(call: Call): Promise<number> {
  const plugins = pluginNames()
  if (call.asJson) {
    call.output.out(jsonLine({ version: PATCHBAY_VERSION, cniVersions: KNOWN_VERSIONS, plugins }))
    return 0
  }
  const lines = [
    `Patchbay v${PATCHBAY_VERSION}`,
    `CNI versions: ${KNOWN_VERSIONS.join(', ')}`,
    `plugins: ${plugins.join(' ')}`
  ]
  call.output.out(`${lines.join('\n')}\n`)
  return 0
}
