/** What happens between reading and writing, with a registry that lets others write in between. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { AloneRegistry } from '../alone-registry.ts'
import type { Shared, Unchanged } from '../registry.ts'
import { ServiceLeases } from './leases.ts'
import { type NewService, Registrar } from './registrar.ts'

const test = suite('agent/services/registrar')

class BusyRegistry extends AloneRegistry {
  /** What others do before the first transaction. */
  meanwhile: readonly Shared[] = []

  override async share(all: readonly Shared[], conditions: readonly Unchanged[]): Promise<number | undefined> {
    const first = this.meanwhile
    this.meanwhile = []
    if (first.length > 0) await super.share(first, [])
    return super.share(all, conditions)
  }
}

const WISH: NewService = {
  name: 'web',
  network: 'blue',
  alias: 'web',
  mode: 'dnsrr',
  vips: [],
  isSticky: false,
  published: []
}

async function withRegistrar(body: (registrar: Registrar, registry: BusyRegistry) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-registrar-'))
  try {
    const plugins = [{ type: 'bridge' }, { type: 'dns' }]
    writeFileSync(join(directory, 'blue.conflist'), JSON.stringify({ cniVersion: '1.0.0', name: 'blue', plugins }))
    const own = { values: () => new Map(), claims: () => new Map() }
    const registry = new BusyRegistry({ directory: join(directory, 'registry'), own })
    await registry.share([{ key: 'networks/blue', value: '{}' }], [])
    const leases = new ServiceLeases('h1', directory)
    await body(new Registrar({ host: 'h1', registry, confDir: directory, leases, portProblem: () => '' }), registry)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test('a network that is removed meanwhile gets no service; one that is made meanwhile beside it changes nothing', async () => {
  await withRegistrar(async (registrar, registry) => {
    registry.meanwhile = [{ key: 'networks/blue', value: undefined }]
    const refused = await registrar.create(WISH, 1000).catch((error: Error) => error)
    assert.ok(refused instanceof Error)
    assert.match(refused.message, /^create service "web": network "blue" was removed meanwhile$/)
    assert.is(await registry.value('services/web'), undefined)

    await registry.share([{ key: 'networks/blue', value: '{}' }], [])
    registry.meanwhile = [{ key: 'networks/blue2', value: '{}' }]
    assert.is((await registrar.create(WISH, 1000)).name, 'web')
    assert.match((await registry.value('services/web')) ?? '', /"network":"blue"/)
  })
})

test('the network of a service without an address must be there, too', async () => {
  await withRegistrar(async registrar => {
    const refused = await registrar.create({ ...WISH, network: 'bleu' }, 1000).catch((error: Error) => error)
    assert.ok(refused instanceof Error)
    assert.match(refused.message, /load network "bleu": not in/)
  })
})

const PUBLISHED = [
  { port: 8001, target: 80, protocol: 6 },
  { port: 53, target: 53, protocol: 17 }
]
const UNCHANGED = { alias: undefined, isSticky: undefined, published: undefined, added: [], removed: [] }

/** A service with an address, as another host has made it. */
const MADE = JSON.stringify({
  id: '5'.repeat(64),
  created: '2026-11-27T08:00:00.000Z',
  network: 'blue',
  alias: 'web',
  mode: 'vip',
  vips: ['10.43.0.254'],
  pool: 'blue',
  publish: [
    { port: 8001, target: 80, protocol: 'tcp' },
    { port: 53, target: 53, protocol: 'udp' }
  ]
})

test('ports come and go one by one, also when another host changes the service meanwhile', async () => {
  await withRegistrar(async (registrar, registry) => {
    await registry.share([{ key: 'services/web', value: MADE }], [])
    const [web, dns] = PUBLISHED
    if (web === undefined || dns === undefined) throw new Error('two ports')
    const more = { port: 8002, target: 80, protocol: 6 }
    registry.meanwhile = [{ key: 'services/web', value: MADE.replace('"port":8001', '"port":8009') }]
    const added = await registrar.update('web', { ...UNCHANGED, added: [more] }, 1000)
    assert.equal(added.published, [{ ...web, port: 8009 }, dns, more])
    // Both that lead to the members' port go; the same in the same command comes anew.
    const other = { port: 8080, target: 80, protocol: 6 }
    const moved = await registrar.update('web', { ...UNCHANGED, removed: [web], added: [other] }, 1000)
    assert.equal(moved.published, [dns, other])
    for (const [change, words] of [
      [{ removed: [{ target: 81, protocol: 6 }] }, /: no port leads to 81\/tcp of its members$/],
      [{ removed: [{ target: 53, protocol: 6 }] }, /: no port leads to 53\/tcp of its members$/],
      [{ added: [{ ...other, target: 81 }] }, /: port 8080\/tcp leads to port 80 of its members already$/]
    ] as const) {
      const refused = await registrar.update('web', { ...UNCHANGED, ...change }, 1000).catch((error: Error) => error)
      assert.match(refused instanceof Error ? refused.message : '', words)
    }
    // What is there already is no change.
    assert.equal((await registrar.update('web', { ...UNCHANGED, added: [other] }, 1000)).published, [dns, other])
  })
})

test('what needs an address is refused where there is none, also later', async () => {
  await withRegistrar(async registrar => {
    await registrar.create(WISH, 1000)
    for (const [change, key] of [
      [{ added: PUBLISHED }, 'publish'],
      [{ published: PUBLISHED }, 'publish'],
      [{ isSticky: true }, 'sticky']
    ] as const) {
      const refused = await registrar.update('web', { ...UNCHANGED, ...change }, 1000).catch((error: Error) => error)
      assert.match(refused instanceof Error ? refused.message : '', new RegExp(`^update service "web": .*${key}`, 's'))
    }
  })
})

test.run()
