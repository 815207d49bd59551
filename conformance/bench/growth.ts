/** Scenarios that show how cost grows: among others' leases and mappings, and with others at the same time. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Attachment, Chain, ChainFailure, sum } from './chain.ts'
import { outputOf, runTogether } from './measure.ts'
import { BRIDGE_NEEDS, bridge, hostLocal, PATH, published, VERSION } from './networks.ts'
import type { Round, Scenario, Stage } from './scenario.ts'

const OPTIONS = { name: 'bench', cniVersion: VERSION, env: { PATH } }

function attachmentOf(stage: Stage, name: string): Attachment {
  return { containerId: `bench-${name}`, ifName: 'eth0', netns: stage.container(name) }
}

/** host-local among leases of others. */
function leases(count: number): Scenario {
  const prepare = (stage: Stage) => {
    const plugin = { type: 'host-local', ipam: hostLocal(stage) }
    const folder = join(stage.dataDir, OPTIONS.name)
    mkdirSync(folder, { recursive: true })
    // From the far end of the range, so that the next free address is found at once and only their number counts.
    for (let i = 0; i < count; i += 1) {
      writeFileSync(join(folder, `10.77.${255 - (i >> 8)}.${255 - (i & 255) || 1}`), `other-${i}\r\neth0`)
    }
    const chain = new Chain(stage.contestant.dir, { ...OPTIONS, plugins: [plugin] })
    const attachment = attachmentOf(stage, 'c1')
    return (): Round => ({ ADD: sum(chain.add(attachment), [0]), DEL: sum(chain.del(attachment), [0]) })
  }
  const title = `host-local, ${count} leases present`
  return { id: `leases-${count}`, title, group: 'leases', needs: ['host-local'], prepare, counted: false }
}

/** Publishes as many ports of a container of its own. */
export function publishOthers(stage: Stage, count: number): void {
  if (count === 0) return
  const ports = Array.from({ length: count }, (_none, i) => [20000 + i, 20000 + i] as const)
  const chain = new Chain(stage.contestant.dir, { ...OPTIONS, plugins: [bridge(stage), published(...ports)] })
  chain.add(attachmentOf(stage, 'others'))
}

/** portmap among mappings of another container. */
function mappings(count: number): Scenario {
  const prepare = (stage: Stage) => {
    publishOthers(stage, count)
    const chain = new Chain(stage.contestant.dir, { ...OPTIONS, plugins: [bridge(stage), published([18080, 80])] })
    const attachment = attachmentOf(stage, 'c1')
    return (): Round => ({ ADD: sum(chain.add(attachment), [1]), DEL: sum(chain.del(attachment), [1]) })
  }
  return {
    id: `mappings-${count}`,
    title: `portmap, ${count} mappings of another container present`,
    group: 'mappings',
    needs: [...BRIDGE_NEEDS, 'portmap'],
    prepare,
    counted: false,
    slow: count >= 1000,
    withoutReference: count > 1000
  }
}

/** Many ADDs of one network at once, then as many DELs. */
function parallel(count: number): Scenario {
  const prepare = (stage: Stage) => {
    const chain = new Chain(stage.contestant.dir, { ...OPTIONS, plugins: [bridge(stage)] })
    const attachments = Array.from({ length: count }, (_none, i) => attachmentOf(stage, `p${i}`))
    const all = (verb: string) => {
      const calls = attachments.map(attachment => chain.call(0, verb, attachment, undefined))
      const { amount, status } = runTogether(calls)
      if (status !== 0) throw new ChainFailure(`${verb}: ${calls.map(outputOf).find(text => text.includes('code'))}`)
      return amount
    }
    return (): Round => ({ ADD: all('ADD'), DEL: all('DEL') })
  }
  return {
    id: `parallel-${count}`,
    title: `bridge + host-local, ${count} at once`,
    group: 'parallel',
    needs: BRIDGE_NEEDS,
    prepare,
    counted: false,
    slow: count > 8
  }
}

export const GROWTH: readonly Scenario[] = [
  ...[0, 100, 1000, 10000].map(leases),
  ...[0, 100, 1000, 5000, 10000].map(mappings),
  ...[1, 8, 64].map(parallel)
]
