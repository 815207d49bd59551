/** The articles that need several hosts. */
import { rmSync } from 'node:fs'
import { cluster } from '../articles/cluster.ts'
import { run } from '../command.ts'
import { installPlugins, OUTSIDE_IPV4 } from '../host.ts'
import { makeWeb, WEB } from '../image.ts'
import { Patchbay } from '../patchbay.ts'
import { ClusterPrograms, SecondHost } from '../second-host.ts'
import type { Suite } from '../suite.ts'

const FIRST = 'amsterdam'

export const articlesClusterSuite: Suite = {
  name: 'articles of two hosts',
  needs: ['etcd'],
  sets: ['native'],
  prepare: async set => {
    installPlugins(set)
    makeWeb(WEB)
    const secondHost = await SecondHost.start('berlin')
    const programs = new ClusterPrograms()
    await programs.startEtcd()
    await programs.startAgent(FIRST, [])
    await programs.startAgent(secondHost.name, secondHost.enter)
    return {
      cases: cluster({ first: new Patchbay(), second: secondHost.patchbay(), firstName: FIRST, secondHost }),
      warmUp: async () => undefined,
      close: async () => {
        await programs.stop()
        await secondHost.stop()
        run('ip', ['route', 'del', 'default', 'via', OUTSIDE_IPV4])
        // The agent's own notes outlive it on purpose.
        for (const path of ['/run/patchbay/agent', '/var/lib/patchbay']) rmSync(path, { recursive: true, force: true })
      },
      log: () => programs.log()
    }
  }
}
