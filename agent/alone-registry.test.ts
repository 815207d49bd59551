import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { AloneRegistry } from './alone-registry.ts'
import type { AddressOwner } from './endpoint.ts'
import { ownerValue } from './registry-value.ts'

const test = suite('agent/alone-registry')

function owner(containerId: string): AddressOwner {
  return { host: 'h0', network: 'blue', containerId, ifName: 'eth0' }
}

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = join(mkdtempSync(join(tmpdir(), 'patchbay-alone-')), 'registry')
  try {
    await body(directory)
  } finally {
    rmSync(join(directory, '..'), { recursive: true })
  }
}

function registryIn(directory: string, claims: ReadonlyMap<string, AddressOwner> = new Map()): AloneRegistry {
  const registry = new AloneRegistry({ directory, own: { values: () => new Map(), claims: () => claims } })
  registry.start()
  return registry
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => '',
    (error: Error) => error.message
  )
}

test('it serves the networks that are shared in it, and refuses endpoints, addresses and names of others', () =>
  inDirectory(async directory => {
    const registry = registryIn(directory)
    assert.is(registry.trouble(), 'the agent has none')
    assert.match(await refusal(registry.whenReady()), /reach the registry: the agent has none/)
    await registry.share([{ key: 'networks/blue', value: '{}' }], [])
    assert.is(registry.trouble(), '')
    await registry.whenReady()
    assert.is(await refusal(registry.put('endpoints/7/h0/blue/c1/eth0', '{}')), '')
    assert.match(await refusal(registry.put('endpoints/7/h0/red/c1/eth0', '{}')), /registry of network "red"/)
    assert.match(await refusal(registry.claim('addresses/red/10.0.0.2', owner('c1'))), /registry of network "red"/)
    assert.match(await refusal(registry.claim('name-owners/red/web', owner('c1'))), /registry of network "red"/)
    assert.match(await refusal(registry.put('names/red/h0/c1/eth0', '{}')), /registry of network "red"/)
    assert.is(await registry.claim('name-owners/blue/web', owner('c1')), undefined)
    assert.equal([registry.trouble('blue'), registry.trouble('red')], ['', 'the agent has none'])
  }))

test('what is shared outlives it, with a later revision; conditions hold or nothing is written', () =>
  inDirectory(async directory => {
    const first = registryIn(directory)
    const revision = await first.share([{ key: 'networks/blue', value: 'one' }], [{ under: 'networks/', since: 0 }])
    assert.ok(revision !== undefined)
    assert.equal(readdirSync(directory), ['format', 'networks%2Fblue'])
    const { mode } = statSync(join(directory, 'networks%2Fblue'))
    assert.equal([mode & 0o777, statSync(directory).mode & 0o777], [0o600, 0o700])
    const red = [{ key: 'networks/red', value: 'two' }]
    assert.is(await first.share(red, [{ under: 'networks/', since: (revision ?? 0) - 1 }]), undefined)
    assert.is(await first.share(red, [{ under: 'networks/', since: 0 }]), undefined)
    assert.equal(
      (await first.read('networks/')).entries.map(one => one.name),
      ['blue']
    )
    assert.ok((await first.share(red, [{ under: 'networks/', since: revision ?? 0 }])) !== undefined)

    for (const name of ['.networks%2Fx.77.tmp', '%', 'networks/..'.replace('/', '%2F'), 'a b'])
      writeFileSync(join(directory, name), 'x')
    const second = registryIn(directory)
    const { entries, revision: now } = await second.read('networks/')
    assert.equal(entries.map(one => [one.name, one.value]).sort(), [
      ['..', 'x'],
      ['blue', 'one'],
      ['red', 'two']
    ])
    assert.ok(now >= (revision ?? 0))
    assert.equal(readdirSync(directory).includes('.networks%2Fx.77.tmp'), false)
    await second.share([{ key: 'networks/red', value: undefined }], [])
    assert.is((await registryIn(directory).read('networks/')).entries.length, 2)
    assert.is(readFileSync(join(directory, 'networks%2Fblue'), 'utf8'), 'one')
  }))

test('what a newer agent has kept is refused with words', () =>
  inDirectory(async directory => {
    await registryIn(directory).share([{ key: 'networks/blue', value: '{}' }], [])
    registryIn(directory)
    writeFileSync(join(directory, 'format'), '2')
    assert.throws(
      () => registryIn(directory),
      /read the registry: it is of format 2, and this version of Patchbay knows 1/
    )
  }))

test('an address is one container’s, also after a restart; one that is shared is nobody’s to claim', () =>
  inDirectory(async directory => {
    const registry = registryIn(directory, new Map([['addresses/blue/10.0.0.2', owner('c1')]]))
    const vip = ownerValue({ ...owner('@web'), ifName: 'vip' })
    await registry.share(
      [
        { key: 'networks/blue', value: '{}' },
        { key: 'addresses/blue/10.0.0.9', value: vip }
      ],
      []
    )
    assert.is((await registry.claim('addresses/blue/10.0.0.2', owner('c2')))?.containerId, 'c1')
    assert.is(await registry.claim('addresses/blue/10.0.0.2', owner('c1')), undefined)
    assert.is((await registry.claim('addresses/blue/10.0.0.9', owner('c2')))?.containerId, '@web')
    registry.forget(['addresses/blue/10.0.0.2'])
    assert.is(await registry.claim('addresses/blue/10.0.0.2', owner('c2')), undefined)
    assert.is((await registryIn(directory).claim('addresses/blue/10.0.0.9', owner('c2')))?.containerId, '@web')
  }))

test('who follows hears what is there, and then every change', () =>
  inDirectory(async directory => {
    const registry = registryIn(directory)
    await registry.share([{ key: 'networks/blue', value: 'one' }], [])
    const heard: string[] = []
    const following = registry.follow('networks/', {
      reset: entries => heard.push(`reset ${entries.map(one => one.name).join()}`),
      change: (name, value) => heard.push(`${name} ${value ?? 'gone'}`),
      settled: () => heard.push('settled')
    })
    await registry.share([{ key: 'networks/red', value: 'two' }], [])
    await registry.share(
      [
        { key: 'services/web', value: 'x' },
        { key: 'networks/red', value: undefined }
      ],
      []
    )
    following.stop()
    await registry.share([{ key: 'networks/late', value: 'x' }], [])
    assert.equal(heard, ['reset blue', 'settled', 'red two', 'settled', 'red gone', 'settled'])
  }))

test.run()
