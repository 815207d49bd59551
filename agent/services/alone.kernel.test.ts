/** Services of an agent that is alone, on a bridge with host-local: the address is a lease, which outlives a garbage collection. */
// needs: nft
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabAgent, until } from '../../lib/testing/lab-agent.ts'
import { inLab, type OverlayLab } from '../../lib/testing/overlay-lab.ts'
import { BIN_DIR } from '../../lib/testing/overlay-site.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/services, alone')

function writeNetwork(lab: OverlayLab, socket: string): void {
  const { directory } = lab.host(0)
  mkdirSync(join(directory, 'net.d'), { recursive: true })
  const stateDir = join(directory, 'state')
  const ranges = [[{ subnet: '10.44.0.0/28' }], [{ subnet: 'fd44::/64', rangeEnd: 'fd44::ff' }]]
  const ipam = { type: 'host-local', dataDir: join(directory, 'leases'), ranges }
  const plugins = [
    { type: 'bridge', bridge: 'br44', isGateway: true, stateDir, ipam },
    { type: 'dns', stateDir, capabilities: { aliases: true }, registry: { socket } }
  ]
  writeFileSync(
    join(directory, 'net.d', 'green.conflist'),
    JSON.stringify({ cniVersion: '1.0.0', name: 'green', plugins })
  )
}

/** As `map --json` has it. */
const SHOWN = {
  name: 'web',
  network: 'green',
  alias: 'web',
  mode: 'vip',
  addresses: ['10.44.0.14', 'fd44::ff'],
  isSticky: false,
  ports: [],
  members: []
}

test('made, leased, kept over a garbage collection and a restart, removed; wrong wishes are refused', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const { namespace, directory } = lab.host(0)
    const agent = new LabAgent(lab, lab.host(0), { compareSeconds: 1 })
    await until('the agent answers', async () => (await agent.get('/metrics')).status === 200)
    writeNetwork(lab, agent.socket)
    const [node, ...first] = patchbayProgram()
    const service = (...args: readonly string[]) =>
      namespace.run(node, [...first, 'service', ...args, '--agent-socket', agent.socket])
    const leases = join(directory, 'leases', 'green')

    for (const [args, words] of [
      [['create', 'web'], /--network is required/],
      [['create', 'web', '--network', 'none'], /load network "none": not in/],
      [['create', 'Web', '--network', 'green'], /must be of small letters/],
      [
        ['create', 'web', '--network', 'green', '--vip', '10.9.9.9'],
        /network "green" gives 10\.44\.0\.2-10\.44\.0\.14/
      ],
      [['create', 'web', '--network', 'green', '--mode', 'dnsrr', '-p', '80:80'], /exclude each other/],
      [['create', 'web', '--network', 'green', '-p', '80'], /the port of the hosts is missing/]
    ] as const) {
      const refused = service(...args)
      assert.ok(refused.status !== 0 && words.test(refused.stderr), `${args.join(' ')}: ${refused.stderr}`)
    }
    assert.not.ok(existsSync(leases) && readdirSync(leases).some(name => name.startsWith('10.')))

    const made = service('create', 'web', '--network', 'green')
    assert.is(made.status, 0, made.stderr)
    const [shown] = JSON.parse(service('inspect', 'web').stdout)
    assert.equal(shown.VirtualIPs, ['10.44.0.14', 'fd44::ff'])
    for (const vip of shown.VirtualIPs) assert.ok(existsSync(join(leases, vip)), vip)
    const mapped = namespace.run(node, [...first, 'map', '--json', '--agent-socket', agent.socket])
    assert.equal(JSON.parse(mapped.stdout).services, [SHOWN])
    rmSync(join(leases, '10.44.0.14'))
    await until('it is leased again', () => existsSync(join(leases, '10.44.0.14')))

    await agent.stop()
    agent.restart()
    await until('it is there again', () => service('ls', '-q').stdout === 'web\n')
    assert.is(service('rm', 'web', 'nobody').status, 1)
    assert.equal(
      readdirSync(leases).filter(name => /^(10|fd)/.test(name)),
      []
    )
    await agent.stop()
  })
})

test.run()
