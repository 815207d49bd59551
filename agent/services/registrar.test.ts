/** What happens between reading and writing, with a registry that lets others write in between. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { AloneRegistry } from '../alone-registry.ts'
import type { Shared, Unchanged } from '../registry.ts'
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
    await body(new Registrar({ host: 'h1', registry, confDir: directory, portProblem: () => '' }), registry)
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

test.run()
