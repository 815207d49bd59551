// needs: nft iptables ip6tables reference-plugins
// time-out: 300 s
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { BridgedContainers } from '../../lib/testing/bridged-containers.ts'
import { askAll, EchoServer, expectAnswers } from '../../lib/testing/echo.ts'
import { PluginProgram } from '../../lib/testing/plugin-program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('plugins/portmap and firewall with iptables-legacy')

const LEGACY = '/usr/sbin/xtables-legacy-multi'

/** Kernels are built without the old tables nowadays. */
function obstacle(): string | undefined {
  if (!existsSync(LEGACY)) return 'iptables-legacy is not installed'
  const tried = spawnSync('unshare', ['--net', LEGACY, 'iptables', '-t', 'nat', '-S'], { encoding: 'utf8' })
  return tried.status === 0 ? undefined : `this kernel has no tables for iptables-legacy: ${tried.stderr.trim()}`
}

interface Stage {
  readonly lab: BridgedContainers
  readonly portmap: PluginProgram
  readonly firewall: PluginProgram
  readonly reference: PluginProgram
  /** One table's rules of the older iptables, without its policies. */
  readonly legacy: (table: string) => string
}

/** A host whose `iptables` is the older one. */
function onStage(body: (stage: Stage) => void): void {
  const lab = new BridgedContainers()
  const ours = (name: string) =>
    new PluginProgram(lab.host, name, PluginProgram.fromSource(new URL(`../${name}/${name}.ts`, import.meta.url), name))
  const portmap = ours('portmap')
  const firewall = ours('firewall')
  const reference = new PluginProgram(lab.host, 'portmap', ['/usr/lib/cni/portmap'])
  const bin = join(portmap.directory, 'bin')
  mkdirSync(bin)
  for (const family of ['iptables', 'ip6tables']) {
    for (const suffix of ['', '-save', '-restore']) symlinkSync(LEGACY, join(bin, `${family}${suffix}`))
    // By the names that Debian gives them.
    for (const suffix of ['', '-save', '-restore']) symlinkSync(LEGACY, join(bin, `${family}-legacy${suffix}`))
  }
  for (const one of [portmap, firewall, reference])
    one.env = { ...one.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` }
  const listed = (family: string, table: string) => lab.host.run(LEGACY, [family, '-t', table, '-S']).stdout
  const legacy = (table: string) => `${listed('iptables', table)}${listed('ip6tables', table)}`.replace(/^-P.*\n/gm, '')
  try {
    body({ lab, portmap, firewall, reference, legacy })
  } finally {
    for (const one of [portmap, firewall, reference]) one.close()
    lab.close()
  }
}

const PORTS = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }

test.unless(obstacle(), 'portmap: reached from everywhere; CHECK, DEL; only the guard of 127.0.0.1 in nf_tables', () =>
  onStage(({ lab, portmap, legacy }) => {
    const config = { backend: 'iptables', prevResult: lab.prevResult(lab.first), runtimeConfig: PORTS }
    const server = EchoServer.start(lab.first, 'c', ['tcp 80'])
    try {
      portmap.ok('ADD', 'c1', config, lab.first.path)
      assert.match(legacy('nat'), /-A CNI-DN-\w+ -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10\.4\.0\.2:80/)
      assert.is(lab.host.run('nft', ['list', 'tables']).stdout, 'table ip patchbay-localhost\n')
      const places = ['tcp 192.0.2.1 8080', 'tcp fd00:9::1 8080']
      expectAnswers(lab.outside, places, ['c 192.0.2.9', 'c fd00:9::9'])
      expectAnswers(lab.second, places, ['c 10.4.0.1', 'c fd00:4::1'])
      expectAnswers(lab.host, ['tcp 127.0.0.1 8080'], ['c 10.4.0.1'])
      portmap.ok('CHECK', 'c1', config, lab.first.path)
      portmap.ok('DEL', 'c1', { backend: 'iptables' })
      assert.not.match(legacy('nat'), /CNI-DN-/)
      assert.is(lab.host.run('nft', ['list', 'ruleset']).stdout, '')
    } finally {
      server.close()
    }
  })
)

test.unless(obstacle(), 'portmap by nf_tables sees what the reference plugin has there, and removes it', () =>
  onStage(({ lab, portmap, reference, legacy }) => {
    const prevResult = { ...lab.prevResult(lab.first, [4]), cniVersion: '1.0.0' }
    reference.ok('ADD', 'c1', { cniVersion: '1.0.0', prevResult, runtimeConfig: PORTS }, lab.first.path)
    assert.match(legacy('nat'), /CNI-DN-/)
    const other = { prevResult: lab.prevResult(lab.second, [4]), runtimeConfig: PORTS }
    const refused = portmap.call('ADD', 'c2', other, lab.second.path)
    assert.is(refused.json.code, 101, JSON.stringify(refused.json))
    assert.match(refused.json.msg, /mapped already by name: "net1" id: "c1"/)
    portmap.ok('DEL', 'c1', {})
    assert.not.match(legacy('nat'), /CNI-DN-/)
    portmap.ok('ADD', 'c2', other, lab.second.path)
  })
)

test.unless(obstacle(), 'firewall: where the old tables drop what is forwarded, the exception is made there', () =>
  onStage(({ lab, firewall, legacy }) => {
    for (const family of ['iptables', 'ip6tables']) lab.host.run(LEGACY, [family, '-P', 'FORWARD', 'DROP'])
    const config = { ingressPolicy: 'same-bridge', prevResult: lab.prevResult(lab.first) }
    const server = EchoServer.start(lab.outside, 'o', ['tcp 80'])
    try {
      assert.equal(askAll(lab.first, ['tcp 192.0.2.9 80']), [''])
      firewall.ok('ADD', 'c1', config, lab.first.path)
      assert.match(legacy('filter'), /-A CNI-FORWARD -s 10\.4\.0\.2\/32 -j ACCEPT/)
      expectAnswers(lab.first, ['tcp 192.0.2.9 80', 'tcp fd00:9::9 80'], ['o 10.4.0.2', 'o fd00:4::2'])
      firewall.ok('CHECK', 'c1', config, lab.first.path)
      firewall.ok('DEL', 'c1', {})
      assert.not.match(legacy('filter'), /10\.4\.0\.2|fd00:4::2|br1/)
    } finally {
      server.close()
    }
  })
)

test.run()
