/** What `network ls`, `inspect` and `prune` show, in every form, over plugins that are shell scripts. */
// needs: ip
import { createHash } from 'node:crypto'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { type CommandStage, withCommandStage } from '../lib/testing/command-stage.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { runCommandLine } from './command-line.ts'

const test = suite('cli/network, showing')

/** As podman makes an id: printf NAME | sha256sum. */
function idOf(name: string): string {
  return createHash('sha256').update(name).digest('hex')
}

/** Beside the stage's `blue`, a network `green` of two labels and one of nerdctl's. */
const withNetworks = (body: (stage: CommandStage) => Promise<void>): Promise<void> =>
  withCommandStage(runCommandLine, async stage => {
    const labels = ['--label', 'tier=front', '--label', 'team']
    const range = [
      '--subnet',
      '198.51.100.0/24',
      '--ip-range',
      '198.51.100.128/25',
      '--aux-address',
      'x=198.51.100.200'
    ]
    await stage.run('network', 'create', 'green', ...range, ...labels, '-o', 'mtu=1400')
    const nerdctl = {
      cniVersion: '1.0.0',
      name: 'nerd',
      nerdctlID: 'cafe'.repeat(16),
      nerdctlLabels: { 'io.x': 'y' },
      plugins: [{ type: 'macvlan', master: 'eth0', mode: 'bridge' }]
    }
    writeFileSync(join(stage.directory, 'net.d', 'nerdctl-nerd.conflist'), JSON.stringify(nerdctl))
    await body(stage)
  })

test('ls: the table, ids cut and whole, names alone', () =>
  withNetworks(async ({ run }) => {
    const lines = (await run('network', 'ls')).out.split('\n').map(line => line.trimEnd())
    const short = ['blue', 'green'].map(name => idOf(name).slice(0, 12))
    assert.equal(lines, [
      'ID            NAME   DRIVER   SCOPE  SUBNETS          CONTAINERS',
      `${short[0]}  blue   one      local  -                0`,
      'cafecafecafe  nerd   macvlan  local  -                0',
      `${short[1]}  green  bridge   local  198.51.100.0/24  0`,
      '-             host   host     local  -                -',
      '-             none   null     local  -                -',
      ''
    ])
    assert.match((await run('network', 'ls', '--no-trunc')).out, new RegExp(`^${idOf('green')}  green`, 'm'))
    for (const quiet of [['-q'], ['-o', 'name']])
      assert.is((await run('network', 'ls', ...quiet)).out, 'blue\nnerd\ngreen\nhost\nnone\n')
  }))

test('ls: every filter, several of one key and of several keys', () =>
  withNetworks(async ({ run, netns }) => {
    await run('network', 'connect', 'blue', netns)
    const named = async (...filters: readonly string[]): Promise<string> => {
      const { out, err } = await run('network', 'ls', '-q', ...filters.flatMap(one => ['-f', one]))
      return err === '' ? out.trimEnd().replaceAll('\n', ' ') : err
    }
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['driver=bridge'], 'green'],
      [['driver=bridge', 'driver=macvlan'], 'nerd green'],
      [['name=re'], 'green'],
      [['name=e', 'driver=bridge'], 'green'],
      [['id=cafe'], 'nerd'],
      [['label=tier'], 'green'],
      [['label=tier=front', 'label=team'], 'green'],
      [['label=tier=back'], ''],
      [['label=tier', 'label=io.x'], ''],
      [['scope=local', 'type=custom'], 'blue nerd green'],
      [['scope=cluster'], ''],
      [['type=builtin'], 'host none'],
      [['dangling=true'], 'nerd green'],
      [['dangling=0', 'type=custom'], 'blue']
    ]
    for (const [filters, expected] of cases) assert.is(await named(...filters), expected, filters.join())
    assert.match(await named('drivr=x'), /did you mean "driver"\?/)
    assert.match(await named('type=x'), /must be builtin or custom/)
    assert.match(await named('dangling=maybe'), /must be true or false/)
  }))

test('ls: templates, columns, JSON, YAML, wide', () =>
  withNetworks(async ({ run }) => {
    const green = ['-f', 'name=green']
    const format = async (text: string): Promise<string> => (await run('network', 'ls', ...green, '--format', text)).out
    assert.is(await format('{{.ID}} {{.name}}\\t{{.Labels.tier}}'), `${idOf('green').slice(0, 12)} green\tfront\n`)
    assert.is(await format('table {{.Name}}\\t{{.Driver}}'), 'NAME   DRIVER\ngreen  bridge\n')
    assert.is(await format('Name,Scope'), 'NAME   SCOPE\ngreen  local\n')
    assert.is(await format('{{json .Subnets}}'), '["198.51.100.0/24"]\n')
    assert.is(await format('{{range .Subnets}}<{{.}}>{{end}}'), '<198.51.100.0/24>\n')
    assert.match((await run('network', 'ls', '--format', '{{.Nme}}')).err, /no field "Nme"; did you mean "Name"\?/)
    for (const wrong of ['{{if .Name}}', '{{end}}', '{{range .Labels}}x', '{{.Name'])
      assert.is((await run('network', 'ls', '--format', wrong)).status, 2, wrong)
    const [row] = JSON.parse((await run('network', 'ls', ...green, '-o', 'json')).out)
    assert.equal(
      [row.ID, row.IPv6, row.Internal, row.Labels],
      [idOf('green'), false, false, { team: '', tier: 'front' }]
    )
    assert.ok(Math.abs(Date.parse(row.CreatedAt) - Date.now()) < 60_000)
    assert.equal(parse((await run('network', 'ls', ...green, '-o', 'yaml')).out), [row])
    assert.match((await run('network', 'ls', ...green, '-o', 'wide')).out, /^ID .*PLUGINS .*CREATED AT .*PROBLEM/)
  }))

test('inspect: in Docker’s words, by name and by id; what is recorded, and what the kernel has', () =>
  withNetworks(async ({ run }) => {
    const [green] = JSON.parse((await run('network', 'inspect', idOf('green').slice(0, 6))).out)
    assert.equal(
      [green.Name, green.Id, green.Driver, green.Scope, green.Attachable],
      ['green', idOf('green'), 'bridge', 'local', true]
    )
    assert.equal(green.IPAM, {
      Driver: 'host-local',
      Config: [
        {
          Subnet: '198.51.100.0/24',
          Gateway: '198.51.100.1',
          RangeStart: '198.51.100.128',
          RangeEnd: '198.51.100.254',
          Exclude: ['198.51.100.200']
        }
      ]
    })
    // printf green | sha256sum
    assert.equal(green.Options, { bridge: 'br-ba4788b226aa', mtu: '1400', 'ip-masq': 'true' })
    const [nerd] = JSON.parse((await run('network', 'inspect', 'nerd')).out)
    assert.equal([nerd.Options, nerd.Labels], [{ parent: 'eth0', mode: 'bridge' }, { 'io.x': 'y' }])
  }))

test('inspect: a container, as recorded and as the kernel has it; its published ports', () =>
  withNetworks(async ({ run, box, netns, id, directory }) => {
    const published = {
      cniVersion: '1.1.0',
      name: 'shop',
      plugins: [{ type: 'one', capabilities: { portMappings: true } }]
    }
    writeFileSync(join(directory, 'net.d', 'shop.conflist'), JSON.stringify(published))
    const ports = 'portMappings=[{"hostPort":8080,"containerPort":80,"protocol":"udp"}]'
    await run('attach', 'shop', netns, '--ifname', 'eth7', '--cap', ports)
    const [shop] = JSON.parse((await run('network', 'inspect', 'shop')).out)
    assert.equal(shop.Containers[id].Ports, [{ HostIp: '', HostPort: 8080, ContainerPort: 80, Protocol: 'udp' }])
    await run('attach', 'blue', netns, '--name', 'web')
    const seen = async () => JSON.parse((await run('network', 'inspect', 'blue')).out)[0].Containers[id]
    const before = await seen()
    assert.equal(
      [before.Name, before.State, before.IPv4Address, before.IPv6Address, before.Live],
      ['web', 'running', '10.0.0.2/24', '', null]
    )
    assert.match(before.EndpointID, /^[0-9a-f]{64}$/)
    box.run('ip', [
      'link',
      'add',
      'eth0',
      'mtu',
      '1300',
      'address',
      '02:00:00:00:00:07',
      'type',
      'veth',
      'peer',
      'name',
      'p'
    ])
    box.run('ip', ['address', 'add', '10.0.0.3/24', 'dev', 'eth0'])
    assert.equal((await seen()).Live, {
      Up: false,
      Mtu: 1300,
      MacAddress: '02:00:00:00:00:07',
      Addresses: ['10.0.0.3/24']
    })
    const names = '{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}'
    assert.is((await run('network', 'inspect', '-f', names, 'blue')).out, 'web 10.0.0.2/24\n')
  }))

test('inspect: a template, YAML, services, several networks of which one is not there, and host', () =>
  withNetworks(async ({ run }) => {
    assert.is((await run('network', 'inspect', '-f', '{{.IPAM.Config.0.Subnet}}', 'green')).out, '198.51.100.0/24\n')
    assert.is(parse((await run('network', 'inspect', '-o', 'yaml', 'green')).out)[0].Name, 'green')
    assert.equal(JSON.parse((await run('network', 'inspect', '-v', 'green')).out)[0].Services, {})
    const some = await run('network', 'inspect', 'green', 'grey')
    assert.equal([some.status, JSON.parse(some.out).length], [1, 1])
    assert.match(some.err, /load network "grey"/)
    assert.equal(JSON.parse((await run('network', 'inspect', 'host')).out)[0], {
      Name: 'host',
      Driver: 'host',
      Scope: 'local'
    })
  }))

test('networks by id: the beginning must be long enough, and tell one', () =>
  withNetworks(async ({ run, directory }) => {
    assert.is((await run('network', 'inspect', 'caf')).status, 1)
    const twin = { cniVersion: '1.0.0', name: 'twin', nerdctlID: `cafe${'0'.repeat(60)}`, plugins: [{ type: 'one' }] }
    writeFileSync(join(directory, 'net.d', 'twin.conflist'), JSON.stringify(twin))
    assert.match((await run('network', 'rm', 'cafe')).err, /the ids of nerd, twin begin so/)
    assert.is((await run('network', 'rm', 'cafe00')).out, 'twin\n')
    assert.match((await run('network', 'rm', 'host')).err, /"host": it is built in/)
    assert.match((await run('network', 'create', 'none')).err, /the name means something else/)
  }))

test('prune: its filters; what somebody else made stays', () =>
  withNetworks(async ({ run, directory }) => {
    await run('network', 'create', 'old')
    const path = join(directory, 'net.d', 'patchbay-old.conflist')
    utimesSync(path, new Date(), new Date(Date.now() - 2 * 3_600_000))
    mkdirSync(join(directory, 'cache'), { recursive: true })
    const would = async (...filters: readonly string[]): Promise<string> =>
      (await run('network', 'prune', '--dry-run', ...filters.flatMap(one => ['--filter', one]))).out
    assert.is(await would(), 'would remove green\nwould remove old\n')
    assert.is(await would('label=tier'), 'would remove green\n')
    assert.is(await would('label!=tier'), 'would remove old\n')
    assert.is(await would('until=1h30m'), 'would remove old\n')
    assert.is(await would('until=3h'), '')
    assert.is(await would('until=2100-01-01T00:00:00Z', 'label=team'), 'would remove green\n')
    assert.is((await run('network', 'prune', '--filter', 'until=soon')).status, 2)
    assert.is((await run('network', 'prune', '--filter', 'name=old')).status, 2)
    assert.is(
      (await run('network', 'prune', '--force', '--json')).out,
      `${JSON.stringify({ removed: ['green', 'old'] }, undefined, 2)}\n`
    )
  }))

test.run()
