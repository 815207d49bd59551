import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { PATHS } from './paths.ts'
import { PLUGINS, SCENARIOS } from './scenarios.ts'
import { ABSOLUTE_TARGETS, INNER_TARGETS, PATH_TARGETS, TARGETS } from './targets.ts'

const test = suite('conformance/bench/scenarios')
const ROOT = join(import.meta.dirname, '..', '..')

/** Plugins without a scenario, and why. */
const WITHOUT: Readonly<Record<string, string>> = {
  cluster: 'asks an agent and etcd, whose time it would be: docs/overlay.md has it',
  dns: 'asks an agent: the scenarios of the group names have both',
  dhcp: 'asks a daemon and a DHCP server, whose time it would be'
}

test('every plugin has a scenario', () => {
  const folders = ['plugins', 'ipam'].flatMap(parent =>
    readdirSync(join(ROOT, parent)).filter(name => existsSync(join(ROOT, parent, name, `${name}.ts`)))
  )
  assert.ok(folders.length > 15)
  assert.equal(
    folders.filter(name => !PLUGINS.includes(name) && WITHOUT[name] === undefined),
    []
  )
})

test('no two scenarios have one name', () => {
  const ids = [...SCENARIOS, ...PATHS].map(({ id }) => id)
  assert.is(new Set(ids).size, ids.length)
})

test('every target names a scenario', () => {
  const ids = [...SCENARIOS, ...PATHS].map(({ id }) => id)
  const named = [
    ...[...TARGETS, ...ABSOLUTE_TARGETS].map(({ scenario }) => scenario),
    ...INNER_TARGETS.flatMap(({ above, below }) => [above[0], below[0]]),
    ...PATH_TARGETS.map(({ path }) => path)
  ]
  assert.equal(
    named.filter(id => !ids.includes(id)),
    []
  )
})

test.run()
