// needs: bridge
/** `patchbay map` over namespaces that `ip` has wired: what it reads, draws and writes, and that nobody's names hurt. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import stringWidth from 'string-width'
import type { Namespace, Outcome } from '../../lib/testing/namespace.ts'
import { programFromText } from '../../lib/testing/program.ts'
import { type Site, withSite } from '../../lib/testing/site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import type { Parsed } from '../../lib/testing/world.ts'
import type { LinkView, NamespaceView, View } from '../../lib/view/model.ts'
import { dotMap } from './dot.ts'
import { terminalMap } from './terminal.ts'

const test = suite('cli/map')

const ROOT = join(import.meta.dirname, '..', '..')

function map(site: Site, args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  const done = site.patchbay(['map', ...site.places(), ...args], env)
  if (done.status !== 0) throw new Error(`patchbay map: ${done.stderr}`)
  return done
}

function viewOf(site: Site): View {
  return JSON.parse(map(site, ['--json']).stdout)
}

function at(view: View, namespace: Namespace): NamespaceView {
  const id = String(statSync(namespace.path).ino)
  const found = view.namespaces.find(one => one.id === id)
  if (found === undefined) throw new Error(`the view has no namespace ${id}`)
  return found
}

function linkOf(namespace: NamespaceView, name: string): LinkView {
  const link = namespace.links.find(one => one.name === name)
  if (link === undefined) throw new Error(`${namespace.name} has no ${name}`)
  return link
}

/** A bridge with red and blue, and a wire between the two. */
function wire(site: Site): void {
  const [red, blue] = [site.box(0), site.box(1)]
  site.ip(
    site.host,
    'link add patch0 type bridge',
    'addr add 10.77.0.1/24 dev patch0',
    'link set patch0 up',
    'link add up0 type ifb',
    'addr add 192.0.2.10/24 dev up0',
    'link set up0 up',
    'route add default via 192.0.2.1',
    `link add vred type veth peer name eth0 netns ${String(red.pid)}`,
    `link add vblue type veth peer name eth0 netns ${String(blue.pid)}`,
    'link set vred master patch0 up',
    'link set vblue master patch0 up'
  )
  site.ip(red, 'addr add 10.77.0.2/24 dev eth0', 'link set eth0 up', 'route add default via 10.77.0.1')
  site.ip(blue, 'addr add 10.77.0.3/24 dev eth0', 'link set eth0 up')
  site.ip(red, `link add side type veth peer name side netns ${String(blue.pid)}`)
}

/** A runtime has made red, a plugin of ours blue; c9 is gone. */
function record(site: Site): void {
  const [red, blue] = [site.box(0), site.box(1)]
  const netns = red.path
  site.file('conf/web.conflist', {
    cniVersion: '1.0.0',
    name: 'web',
    plugins: [
      { type: 'bridge', ipam: { type: 'host-local', subnet: '10.77.0.0/24', dataDir: join(site.directory, 'leases') } }
    ]
  })
  site.file('cache/results/web-c1-eth0', {
    kind: 'cniCacheV1',
    containerId: 'c1',
    networkName: 'web',
    ifName: 'eth0',
    netns,
    config: '',
    cniArgs: [
      ['K8S_POD_NAMESPACE', 'shop'],
      ['K8S_POD_NAME', 'red']
    ],
    capabilityArgs: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    result: { ips: [{ address: '10.77.0.2/24' }] }
  })
  site.file('cache/results/web-c9-eth0', {
    kind: 'cniCacheV1',
    containerId: 'c9',
    networkName: 'web',
    ifName: 'eth0',
    netns: '/proc/1/fd/none',
    config: ''
  })
  const netnsId = `${String(statSync(blue.path).dev)}:${String(statSync(blue.path).ino)}`
  site.file('state/web/c2:eth0.bridge.json', { bridge: 'patch0', hostEnd: 'vblue', netns: blue.path, netnsId })
  site.file('state/web/c2:eth0.dns.json', {
    netns: blue.path,
    netnsId,
    names: ['blue', 'azure'],
    addresses: ['10.77.0.3']
  })
  const mapping = { protocol: 'udp', hostIP: '192.0.2.10', first: 5000, last: 5009, containerPort: 6000 }
  site.file('state/web/c2:eth0.portmap.json', { mappings: [mapping] })
  site.file('leases/web/10.77.0.2', {})
  writeFileSync(join(site.directory, 'leases/web/10.77.0.2'), 'c1\r\neth0')
}

function shownByIp(namespace: Namespace): readonly unknown[] {
  const links: readonly Parsed[] = JSON.parse(namespace.run('ip', ['-j', '-d', 'address']).stdout)
  return links.map(one => {
    const addresses = one.addr_info.map((address: Parsed) => `${address.local}/${address.prefixlen}`)
    return [one.ifindex, one.ifname, one.address, one.mtu, one.linkinfo?.info_kind ?? '', addresses]
  })
}

/** What docs/view.schema.json objects to. */
function formProblems(view: View): string {
  const schema = JSON.parse(readFileSync(join(ROOT, 'docs', 'view.schema.json'), 'utf8'))
  const validate = new Ajv2020({ allErrors: true, strict: true, formats: { 'date-time': true } }).compile(schema)
  return validate(view) ? '' : JSON.stringify(validate.errors?.slice(0, 3))
}

test('the view is of the documented form, and says what ip and the files say', () =>
  withSite(2, site => {
    wire(site)
    record(site)
    const view = viewOf(site)
    assert.is(formProblems(view), '')
    assert.is(formProblems(JSON.parse(readFileSync(join(ROOT, 'docs', 'view.example.json'), 'utf8'))), '')
    const [host, red, blue] = [at(view, site.host), at(view, site.box(0)), at(view, site.box(1))]
    assert.is(host.isHost, true)
    assert.equal(
      host.links.map(one => [one.index, one.name, one.mac, one.mtu, one.kind, one.addresses]),
      shownByIp(site.host)
    )
    assert.equal(linkOf(host, 'vred').peer, { namespace: red.id, index: linkOf(red, 'eth0').index })
    assert.equal(linkOf(red, 'eth0').peer, { namespace: host.id, index: linkOf(host, 'vred').index })
    assert.equal(linkOf(red, 'side').peer, { namespace: blue.id, index: linkOf(blue, 'side').index })
    assert.is(linkOf(host, 'vred').master, linkOf(host, 'patch0').index)
    assert.equal([red.name, red.containerId, blue.name, blue.containerId], ['shop/red', 'c1', 'blue', 'c2'])
    assert.equal(linkOf(host, 'vblue').owner, { network: 'web', containerId: 'c2', ifName: 'eth0' })
    const [route] = red.routes
    assert.equal([route?.dst, route?.gateway, route?.link], ['default', '10.77.0.1', 'eth0'])
    const web = view.networks.find(one => one.name === 'web')
    assert.equal(web?.subnets, [{ subnet: '10.77.0.0/24', gateway: '' }])
    assert.equal(web?.leases, [{ address: '10.77.0.2', containerId: 'c1', ifName: 'eth0' }])
    assert.equal(
      web?.attachments.map(one => [one.containerId, one.namespace, one.recordedBy.join(), one.names.join()]),
      [
        ['c1', red.id, 'cache', ''],
        ['c9', '', 'cache', ''],
        ['c2', blue.id, 'journal', 'blue,azure']
      ]
    )
  }))

test('counters are those of ip -s', () =>
  withSite(1, site => {
    const box = site.box(0)
    site.ip(
      site.host,
      `link add v0 type veth peer name eth0 netns ${String(box.pid)}`,
      'addr add 10.1.0.1/24 dev v0',
      'link set v0 up'
    )
    site.ip(box, 'addr add 10.1.0.2/24 dev eth0', 'link set eth0 up')
    site.host.run('ping', ['-c', '3', '-i', '0.01', '10.1.0.2'])
    // Nothing more is sent: without an address of IPv6 no router is looked for.
    site.ip(box, 'link set eth0 down')
    const counted = linkOf(at(viewOf(site), box), 'eth0').counters
    const [shown] = JSON.parse(box.run('ip', ['-j', '-s', '-s', 'link', 'show', 'eth0']).stdout)
    const { rx, tx } = shown.stats64
    assert.ok(counted.rxPackets >= 3, 'pings came through')
    assert.equal(
      [counted.rxBytes, counted.rxPackets, counted.rxDropped, counted.txBytes, counted.txPackets, counted.txDropped],
      [rx.bytes, rx.packets, rx.dropped, tx.bytes, tx.packets, tx.dropped]
    )
  }))

test('the drawing for a terminal: 80 columns and more, with and without Unicode', () =>
  withSite(2, site => {
    wire(site)
    record(site)
    const view = viewOf(site)
    for (const isAscii of [true, false]) {
      for (const width of [40, 80, 200]) {
        const text = terminalMap(view, { width, isAscii, showsAll: false })
        const widest = Math.max(...text.split('\n').map(line => stringWidth(line)))
        assert.ok(widest <= Math.max(80, width), `${String(width)}: ${String(widest)}\n${text}`)
        if (isAscii) assert.not.match(text, /[^\n\x20-\x7e]/)
        const arrow = isAscii ? '->' : '→'
        const ports = [`8080${arrow}80/tcp`, `192.0.2.10:5000-5009${arrow}6000-6009/udp`]
        const texts = ['bridge patch0', 'shop/red', 'vblue', 'default via 192.0.2.1', 'name azure', 'side']
        for (const one of [...ports, ...texts, 'gone: c9 (eth0) of network web'])
          assert.ok(text.includes(one), `${one} in\n${text}`)
      }
    }
    assert.match(map(site, [], { LC_ALL: 'C' }).stdout, /^\+- /)
    assert.match(map(site, [], { LC_ALL: '', LANG: 'de_DE.utf8' }).stdout, /^┌─ /)
  }))

/** 15 bytes: the longest name that an interface can have. */
const NAME = '\x1b[2J<b>"\'&\u202e\x07'
const ALIAS = '</script><img src=x onerror=alert(1)>\x1b]0;owned\x07'

test('names and aliases of a container harm neither a terminal nor a page', () =>
  withSite(1, site => {
    const box = site.box(0)
    site.ip(
      site.host,
      'link add patch0 type bridge',
      'link set patch0 up',
      `link add v0 type veth peer name eth0 netns ${String(box.pid)}`,
      'link set v0 master patch0 up'
    )
    const renamed = box.run('ip', ['link', 'set', 'eth0', 'name', NAME, 'alias', ALIAS])
    assert.is(renamed.status, 0, renamed.stderr)
    const view = viewOf(site)
    assert.equal(
      at(view, box)
        .links.filter(link => link.name !== 'lo')
        .map(link => [link.name, link.alias]),
      [[NAME, ALIAS]],
      'JSON has them as they are'
    )
    const [svg, html] = [join(site.directory, 'map.svg'), join(site.directory, 'map.html')]
    map(site, ['--svg', svg, '--html', html])
    assert.is(statSync(html).mode & 0o777, 0o600)
    const texts = [
      terminalMap(view, { width: 80, isAscii: false, showsAll: true }),
      dotMap(view),
      readFileSync(svg, 'utf8'),
      readFileSync(html, 'utf8')
    ]
    for (const text of texts) {
      assert.not.match(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/u)
      assert.ok(text.includes('\\u{1b}[2J') || text.includes('\\\\u{1b}[2J'), 'written out')
    }
    const page = texts[3] ?? ''
    for (const markup of [texts[2] ?? '', page]) assert.not.match(markup, /<b>|<img/)
    assert.is(page.match(/<\/script>/g)?.length, 2)
    const data = /<script type="application\/json" id="view">(.*?)<\/script>/s.exec(page)?.[1] ?? ''
    assert.ok(JSON.stringify(JSON.parse(data)).includes('onerror=alert(1)'), 'the page has the alias as data')
    assert.match(page, /content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[A-Za-z0-9+/]{43}='/)
  }))

test('without root: the own namespace, and of others that they are there', () =>
  withSite(1, site => {
    site.ip(site.host, 'link add patch0 type bridge')
    const source = `import { readView } from './read.ts'
      process.setgid(65534); process.setuid(65534)
      const places = { confDir: '/none', cacheDir: '/none', stateDir: '/none', withRoutes: true }
      process.stdout.write(JSON.stringify(readView(places)))`
    const [node, ...args] = programFromText(source, join(ROOT, 'lib', 'view'))
    const done = site.host.run(node, args)
    assert.is(done.status, 0, done.stderr)
    const view: View = JSON.parse(done.stdout)
    const host = view.namespaces.find(one => one.isHost)
    assert.equal(
      host?.links.map(link => link.name),
      ['lo', 'patch0']
    )
    for (const one of view.namespaces) if (!one.isHost) assert.is(one.problem, 'EPERM')
  }))

test('5,000 links', () =>
  withSite(1, site => {
    const names = Array.from({ length: 5000 }, (_none, i) => `link add d${String(i)} type ifb`)
    site.ip(site.box(0), ...names)
    const links = at(viewOf(site), site.box(0)).links
    assert.is(links.length, 5001)
    assert.is(links.at(-1)?.name, 'd4999')
  }))

/** Makes namespaces and lets them go, as fast as it can. */
const CHURN = 'while :; do unshare --net true; done'

test('namespaces that come and go while they are read', () =>
  withSite(1, site => {
    site.ip(site.host, `link add v0 type veth peer name eth0 netns ${String(site.box(0).pid)}`)
    const source = `import { spawn } from 'node:child_process'
      import { readView } from './read.ts'
      const churns = [1, 2].map(() => spawn('sh', ['-c', ${JSON.stringify(CHURN)}], { stdio: 'ignore' }))
      const places = { confDir: '/none', cacheDir: '/none', stateDir: '/none', withRoutes: true }
      const seen = new Set()
      let wires = 0
      try {
        for (let i = 0; i < 5; i += 1) {
          const { namespaces } = readView(places)
          for (const one of namespaces) seen.add(one.id)
          wires += namespaces[0].links.filter(link => link.peer !== undefined).length
          await new Promise(resolve => setTimeout(resolve, 1))
        }
      } finally {
        for (const churn of churns) churn.kill('SIGKILL')
      }
      process.stdout.write(JSON.stringify({ wires, seen: seen.size }))`
    const [node, ...args] = programFromText(source, join(ROOT, 'lib', 'view'))
    const done = site.host.run(node, args)
    assert.is(done.status, 0, done.stderr)
    assert.is(JSON.parse(done.stdout).wires, 5, 'the wire that stays is seen each time')
  }))

test.run()
