/** Rules of containers that somebody flushes under a running agent, and under none; nft and iptables are the judges. */
// needs: iptables ip6tables nft
import { join } from 'node:path'
import { LabAgent, until } from '../lib/testing/lab-agent.ts'
import { inLab, type LabHost, type OverlayLab, ok } from '../lib/testing/overlay-lab.ts'
import { BIN_DIR } from '../lib/testing/overlay-site.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('agent/flushed-rules')

interface Made {
  readonly id: string
  readonly netns: string
  /** What DEL is called with, last first. */
  readonly configs: readonly Record<string, unknown>[]
}

/** A chain of the interface plugin, portmap and firewall, each laid over what is usual. */
function attach(lab: OverlayLab, host: LabHost, i: number, [first, ...chained]: readonly object[]): Made {
  const id = `c${i}`
  const netns = lab.container().path
  const ranges = [[{ subnet: `10.${i}.0.0/24` }], [{ subnet: `fd00:${i}::/64` }]]
  const ipam = { type: 'host-local', dataDir: join(host.directory, 'leases'), ranges }
  const bridge = { type: 'bridge', bridge: `br${i}`, isGateway: true, ipMasq: true }
  const portMappings = [{ hostPort: 8000 + i, containerPort: 80, protocol: 'tcp' }]
  const all = [
    { ...bridge, ...first },
    { type: 'portmap', runtimeConfig: { portMappings } },
    { type: 'firewall', ingressPolicy: 'isolated' }
  ]
  let prevResult: unknown
  const configs: Record<string, unknown>[] = []
  for (const [at, one] of all.entries()) {
    const config = { name: `net${i}`, ...one, ...chained[at - 1], ...(at === 0 ? { ipam } : { prevResult }) }
    const reply = lab.call(host, 'ADD', config, { id, netns })
    if (reply.status !== 0) throw new Error(`ADD ${id}: ${reply.stdout}${reply.stderr}`)
    prevResult = reply.json
    configs.unshift(config)
  }
  return { id, netns, configs }
}

/** All rules, sorted: who makes them again has no reason to keep their order among containers. */
function rules(host: LabHost): string {
  const listed = [
    ok(host.namespace, 'nft -s list ruleset'),
    ok(host.namespace, 'iptables-save'),
    ok(host.namespace, 'ip6tables-save')
  ].join('\n')
  // Counters of rules and policies, and the lines that say when.
  const lines = listed.replaceAll(/^#.*\n/gm, '').replaceAll(/\[\d+:\d+\]|counter packets \d+ bytes \d+/g, '')
  return lines.split('\n').sort().join('\n')
}

test('whatever was flushed is there again without an ADD, of every plugin and with both backends', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const host = lab.host(0)
    const agent = new LabAgent(lab, host, { compareSeconds: 1 })
    await until('the agent answers', async () => (await agent.get('/metrics')).status === 200)
    const iptables = { backend: 'iptables' }
    const made = [
      attach(lab, host, 1, [{ macspoofchk: true }, {}, { directRouting: false }]),
      attach(lab, host, 2, [{ ipMasqBackend: 'iptables' }, iptables, iptables]),
      attach(lab, host, 3, [{ type: 'ptp' }, {}, { ingressPolicy: 'same-bridge' }]),
      attach(lab, host, 4, [{ type: 'vxlan', vni: 4, peers: ['192.0.2.9'] }])
    ]
    const before = rules(host)
    for (const table of ['masquerade', 'portmap', 'localhost', 'firewall', 'spoof-check'])
      assert.match(before, new RegExp(`table \\S+ patchbay-${table}`))
    assert.match(before, /MASQUERADE/)
    for (const flush of [
      'nft flush ruleset',
      'iptables -F; ip6tables -F; iptables -t nat -F; ip6tables -t nat -F',
      'iptables -t nat -F; iptables -t nat -X; ip6tables -F; ip6tables -X',
      'nft delete table ip patchbay-portmap; nft delete table bridge patchbay-spoof-check'
    ]) {
      const { status, stderr } = host.namespace.run('sh', ['-ec', flush])
      assert.is(status, 0, stderr)
      await until(`${flush} is mended`, () => rules(host) === before)
    }
    await agent.kill()
    ok(host.namespace, 'nft flush ruleset')
    agent.restart()
    await until('what was flushed without an agent is mended', () => rules(host) === before)

    for (const { id, netns, configs } of made)
      for (const config of configs) assert.is(lab.call(host, 'DEL', config, { id, netns }).status, 0)
    assert.not.match(rules(host), /patchbay-|10\.\d\.0\.|fd00:|CNI-DN-|DROP/)
  })
})

test.run()
