/** biome-ignore-all lint/complexity/noExcessiveLinesPerFunction: one migration from its beginning to its end: each step needs the one before */
/** From the reference plugins to ours and back, on a host whose pods run through it. */
import { equal, ok, rejects } from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outcomeOf, run } from '../command.ts'
import { Containerd } from '../containerd.ts'
import { Cri, type Pod } from '../cri.ts'
import { BIN_DIR, configure, HOST_IPV4, installPlugins, OUTSIDE, ROOT, shippedConfig } from '../host.ts'
import { HERE, who } from '../reach.ts'
import { type Case, expectNone, type Suite } from '../suite.ts'
import { leasesLeft, left, recordsLeft, rulesNaming } from '../traces.ts'

const NETWORK = 'containerd-net'
const PATCHBAY = join(ROOT, 'dist', 'node', 'patchbay')

export const migrationSuite: Suite = {
  name: 'migration',
  needs: ['containerd', 'runc', 'reference'],
  sets: ['native'],
  prepare: async set => {
    installPlugins('reference')
    configure('10-containerd-net.conflist', shippedConfig('containerd.conflist'))
    const containerd = new Containerd('containerd-1')
    await containerd.start()
    containerd.loadImages('k8s.io')
    const cri = new Cri(containerd.socket)
    await cri.ready()
    return {
      cases: casesOf(new Lab(cri, set === 'node' ? 'node' : 'native')),
      warmUp: async () => {
        await cri.remove(await cri.run('warm', { ports: [{ container_port: 80, host_port: 8079 }] }))
      },
      close: async () => {
        for (const pod of await cri.list()) await cri.remove(pod).catch(() => undefined)
        cri.close()
        await containerd.stop('SIGTERM')
      },
      log: () => containerd.log()
    }
  }
}

class Lab {
  readonly cri: Cri
  readonly engine: 'native' | 'node'

  constructor(cri: Cri, engine: 'native' | 'node') {
    this.cri = cri
    this.engine = engine
  }

  pod(name: string, port: number): Promise<Pod> {
    return this.cri.run(name, { ports: [{ container_port: 80, host_port: port }] })
  }

  /** As docs/migration.md says. */
  switchOver(): string {
    return run(PATCHBAY, ['install', BIN_DIR, '--runtime', 'containerd', '--engine', this.engine, '--force'])
  }

  switchBack(): void {
    const kept = join(BIN_DIR, '.before-patchbay')
    for (const name of readdirSync(kept)) renameSync(join(kept, name), join(BIN_DIR, name))
  }
}

function expectServes(pod: Pod, port: number): void {
  equal(who(OUTSIDE, HOST_IPV4, port)?.name, pod.name, `${pod.name} at port ${port}`)
}

/** Everything of a pod but what its namespace takes with it. */
function tracesOf(pod: Pod): readonly string[] {
  const leases = leasesLeft().filter(line => pod.addresses.some(address => line.endsWith(`/${address}`)))
  return [...leases, ...recordsLeft().filter(line => line.includes(pod.id)), ...rulesNaming([pod.id, ...pod.addresses])]
}

/** The cases follow one another: pods of one are used in the next. */
function casesOf(lab: Lab): readonly Case[] {
  const { cri } = lab
  const pods = new Map<string, Pod>()
  const pod = (name: string): Pod => {
    const one = pods.get(name)
    if (one === undefined) throw new Error(`pod ${name} was not started`)
    return one
  }
  return [
    {
      name: 'pods of the reference plugins outlive the switch',
      body: async () => {
        pods.set('old1', await lab.pod('old1', 8081))
        pods.set('old2', await lab.pod('old2', 8082))
        const refused = outcomeOf(PATCHBAY, ['install', BIN_DIR, '--runtime', 'containerd', '--engine', lab.engine])
        equal(refused.status, 1, 'without --force nothing is replaced')
        ok(!existsSync(join(BIN_DIR, 'patchbay-cni')), 'and nothing is written')
        const said = lab.switchOver()
        ok(said.includes('replaced /opt/cni/bin/bridge'), said)
        expectServes(pod('old1'), 8081)
        expectServes(pod('old2'), 8082)
      }
    },
    {
      name: 'pods of both side by side: other addresses, and they talk',
      body: async () => {
        pods.set('new1', await lab.pod('new1', 8083))
        const addresses = ['old1', 'old2', 'new1'].flatMap(name => pod(name).addresses)
        equal(new Set(addresses).size, 6, addresses.join(' '))
        for (const [from, to] of [
          ['old1', 'new1'],
          ['new1', 'old1']
        ] as const) {
          for (const address of pod(to).addresses) equal(who(pod(from).netns, address, 80)?.name, pod(to).name)
        }
        for (const [name, port] of [
          ['old1', 8081],
          ['old2', 8082],
          ['new1', 8083]
        ] as const) {
          expectServes(pod(name), port)
          equal(who(HERE, '127.0.0.1', port)?.name, pod(name).name)
        }
      }
    },
    {
      name: 'a port of an old pod is not given away',
      body: async () => {
        await rejects(lab.pod('late', 8081), /8081/)
        for (const one of await cri.list())
          if (![...pods.values()].some(({ id }) => id === one.id)) await cri.remove(one)
        expectServes(pod('old1'), 8081)
      }
    },
    {
      name: 'a pod of the reference plugins is removed by ours',
      body: async () => {
        await cri.remove(pod('old1'))
        expectNone(tracesOf(pod('old1')))
        equal(who(OUTSIDE, HOST_IPV4, 8081), undefined)
        expectServes(pod('old2'), 8082)
        expectServes(pod('new1'), 8083)
      }
    },
    {
      // The reference's DEL fails where its own rules are missing, so what ours made is removed by ours.
      name: 'back: our pods end first, those of the reference plugins outlive the second switch too',
      body: async () => {
        await cri.remove(pod('new1'))
        expectNone(tracesOf(pod('new1')))
        lab.switchBack()
        expectServes(pod('old2'), 8082)
        pods.set('last', await lab.pod('last', 8083))
        expectServes(pod('last'), 8083)
        equal(who(pod('last').netns, pod('old2').addresses[0] ?? '', 80)?.name, pod('old2').name)
      }
    },
    {
      name: 'the reference plugins remove theirs, and gc finds nothing more',
      body: async () => {
        for (const name of ['old2', 'last']) await cri.remove(pod(name))
        for (const name of ['old2', 'last']) expectNone(tracesOf(pod(name)))
        const said = run(PATCHBAY, ['gc', NETWORK, '--bin-dir', join(ROOT, 'dist', lab.engine, 'bin')])
        ok(said.includes('removed 0'), said)
        expectNone(left())
        // The reference opened the bridge for 127.0.0.1 and leaves it open: so the guard stays until somebody closes it.
        const opened = '/proc/sys/net/ipv4/conf/cni0/route_localnet'
        equal(readFileSync(opened, 'utf8').trim(), '1')
        ok(run('nft', ['list', 'chains', 'ip']).includes('kept-cni0'), 'the guard is there')
        writeFileSync(opened, '0')
        run('nft', ['delete', 'table', 'ip', 'patchbay-localhost'])
      }
    }
  ]
}
