import { assert, suite } from '../lib/testing/suite.ts'
import { findCycle, layerProblem, specifiersOf } from './layers.ts'

const test = suite('build/layers')

/** Whether `from` may import `target`, both paths from the root. */
function allowed(from: string, target: string): boolean {
  return layerProblem({ from, specifier: `../${target}`, target }) === undefined
}

test('a plugin may import verbs and the protocol, never codecs, system calls or another plugin', () => {
  for (const target of ['lib/net/net.ts', 'lib/cni/run.ts', 'lib/undo.ts', 'plugins/bridge/vlans.ts']) {
    assert.ok(allowed('plugins/bridge/bridge.ts', target), target)
  }
  for (const target of [
    'lib/bytes/writer.ts',
    'lib/netlink/rows.ts',
    'lib/sys/files.ts',
    'plugins/ptp/ptp.ts',
    'ipam/static/static.ts'
  ]) {
    assert.not.ok(allowed('plugins/bridge/bridge.ts', target), target)
  }
  assert.not.ok(allowed('ipam/host-local/host-local.ts', 'plugins/bridge/bridge.ts'))
})

test('the lower layers import nothing above them', () => {
  assert.not.ok(allowed('lib/ip/address.ts', 'lib/config/json.ts'))
  assert.not.ok(allowed('lib/netlink/message.ts', 'lib/net/net.ts'))
  assert.not.ok(allowed('lib/nft/nft.ts', 'lib/net/net.ts'))
  assert.not.ok(allowed('lib/sys/files.ts', 'lib/netlink/conn.ts'))
  assert.not.ok(allowed('lib/cni/run.ts', 'lib/net/net.ts'))
  assert.ok(allowed('lib/net/kernel-net.ts', 'lib/netlink/rt/link.ts'))
})

test('conformance shares no code with what it judges, not even in its tests', () => {
  for (const file of ['conformance/main.ts', 'conformance/x.test.ts']) {
    assert.ok(allowed(file, 'lib/runtime/chain.ts'))
    for (const target of ['lib/ip/address.ts', 'plugins/bridge/bridge.ts', 'ipam/static/static.ts', 'lib/cni/run.ts']) {
      assert.not.ok(allowed(file, target), `${file} ${target}`)
    }
  }
})

test('tests may import all of lib, but not other plugins; code may not import lib/testing', () => {
  assert.ok(allowed('plugins/bridge/bridge.test.ts', 'lib/testing/suite.ts'))
  assert.ok(allowed('plugins/bridge/bridge.kernel.test.ts', 'lib/sys/netns.ts'))
  assert.not.ok(allowed('plugins/bridge/bridge.test.ts', 'plugins/ptp/ptp.ts'))
  assert.not.ok(allowed('cli/main.ts', 'lib/testing/suite.ts'))
})

test('packages, missing endings and #libc are judged too', () => {
  const problem = (from: string, specifier: string) => layerProblem({ from, specifier, target: specifier })
  assert.match(problem('plugins/bridge/bridge.ts', 'netmask') ?? '', /imports the package netmask/)
  assert.match(problem('lib/net/net.ts', './link') ?? '', /write the \.ts ending/)
  assert.match(problem('lib/net/net.ts', '#libc') ?? '', /only lib\/sys/)
  assert.is(problem('lib/sys/socket.ts', '#libc'), undefined)
  assert.is(problem('plugins/bridge/bridge.ts', 'node:fs'), undefined)
  assert.match(problem('docs/x.ts', './y.ts') ?? '', /no layer holds this file/)
})

test('imports are found in all their forms, and not in comments', () => {
  const source = [
    "import { a } from './a.ts'",
    "import type { B } from './b.ts'",
    'import {\n  c,\n  d\n} from "./c.ts"',
    "export * as e from './e.ts'",
    "import './f.ts'",
    `const g = await ${'import'}('./g.ts')`,
    "// import { x } from './x.ts'",
    "/*\nimport { y } from './y.ts'\n*/",
    'const text = 1'
  ].join('\n')
  assert.equal(specifiersOf(source), ['./a.ts', './b.ts', './c.ts', './e.ts', './f.ts', './g.ts'])
})

test('cycles are found', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']]
  ])
  assert.equal(findCycle(graph), ['b', 'c', 'b'])
  assert.is(
    findCycle(
      new Map([
        ['a', ['b', 'c']],
        ['b', ['c']],
        ['c', []]
      ])
    ),
    undefined
  )
})

test.run()
