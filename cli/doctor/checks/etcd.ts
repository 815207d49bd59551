/** The cluster's registry, asked as the agent asks it. */
import { parseConfig } from '../../../agent/config.ts'
import { messageOf } from '../../../lib/sys/errors.ts'
import { readText } from '../../../lib/sys/files.ts'
import type { Check } from '../finding.ts'

export const etcd: Check = {
  name: 'etcd',
  title: 'etcd answers, where the agent uses it',
  find: async ({ places }) => {
    const text = readText(places.agentConfig)
    if (text === undefined) return []
    try {
      const config = parseConfig(text)
      if (config.etcd !== undefined) await (await import('../../../agent/cluster-view.ts')).readCluster(config.etcd)
      return []
    } catch (error) {
      return [
        {
          severity: 'error',
          what: 'the registry of the cluster cannot be read: new containers of overlay networks cannot be attached',
          evidence: [messageOf(error), places.agentConfig],
          remedy: 'look at etcd (etcdctl endpoint health --cluster), at the way there, and at certificates'
        }
      ]
    }
  }
}
