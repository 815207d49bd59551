import { isSameAttachment } from '../lib/daemon/attachment.ts'
import { formatAddress, type IpAddress, parseAddress } from '../lib/ip/address.ts'
import { assert, rejectsLike, suite } from '../lib/testing/suite.ts'
import { AddressPool, type AddressSet } from './address-pool.ts'
import type { AddressOwner } from './endpoint.ts'
import type { Follower, Registry } from './registry.ts'

const test = suite('agent/address-pool')

/** A registry in memory that several hosts share; news reach a follower only when `deliver` is called. */
class SharedPool {
  readonly keys = new Map<string, AddressOwner>()
  readonly #followers: Follower[] = []
  #news: (readonly [string, AddressOwner | undefined])[] = []

  registry(): Registry {
    return {
      learns: false,
      start: () => undefined,
      stop: async () => undefined,
      trouble: () => '',
      whenReady: async () => undefined,
      put: async () => 1,
      value: async () => undefined,
      read: async () => ({ entries: [], revision: 1 }),
      share: async () => undefined,
      follow: (_prefix, follower) => {
        this.#followers.push(follower)
        return { whenSynced: async () => undefined, stop: () => undefined }
      },
      forget: keys => {
        for (const key of keys) this.#write(key, undefined)
      },
      forgotten: async () => undefined,
      claim: async (key, owner) => {
        await new Promise(resolve => setImmediate(resolve))
        const other = this.keys.get(key)
        if (other !== undefined && !isSameAttachment(other, owner)) return other
        this.#write(key, owner)
        return undefined
      }
    }
  }

  deliver(): void {
    for (const [key, owner] of this.#news.splice(0)) {
      const name = key.split('/').at(-1) ?? ''
      for (const one of this.#followers) one.change(name, owner === undefined ? undefined : JSON.stringify(owner), 1)
    }
  }

  #write(key: string, owner: AddressOwner | undefined): void {
    if (owner === undefined) this.keys.delete(key)
    else this.keys.set(key, owner)
    this.#news.push([key, owner])
  }
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

function set(first: string, last: string, wanted?: string): AddressSet {
  const spans = [{ first: address(first), last: address(last) }]
  return { path: 'ipam.ranges[0]', spans, wanted: wanted === undefined ? undefined : address(wanted) }
}

function owner(host: string, containerId: string): AddressOwner {
  return { host, network: 'net', containerId, ifName: 'eth0' }
}

test('two hosts that hear nothing of each other fill a pool to its last address without giving one twice', async () => {
  const shared = new SharedPool()
  const pools = ['a', 'b'].map(host => ({ host, pool: new AddressPool('p', shared.registry()) }))
  const taken = await Promise.all(
    Array.from({ length: 30 }, (_, i) => {
      const { host, pool } = pools[i % 2] ?? { host: '', pool: new AddressPool('p', shared.registry()) }
      return pool.take([set('10.0.0.1', '10.0.0.30')], owner(host, `c${i}`), 1000)
    })
  )
  assert.is(new Set(taken.flat()).size, 30)
  shared.deliver()
  const more = pools[0]?.pool.take([set('10.0.0.1', '10.0.0.30')], owner('a', 'more'), 1000)
  await rejectsLike(more ?? Promise.resolve(), { code: 100, message: /30 of 30 addresses of pool "p" are taken/ })
})

test('an owner gets the same again: while it holds it, after it gave it back, and on another host', async () => {
  const shared = new SharedPool()
  const [a, b] = [new AddressPool('p', shared.registry()), new AddressPool('p', shared.registry())]
  const range = [set('10.0.0.1', '10.0.0.200')]
  const [first = ''] = await a.take(range, owner('a', 'c1'), 1000)
  assert.equal(await a.take(range, owner('a', 'c1'), 1000), [first])
  shared.deliver()
  assert.equal(await b.take(range, owner('b', 'c1'), 1000), [first])
  shared.deliver()
  assert.is(a.ownerOf(first)?.host, 'b')
  b.release([first])
  shared.deliver()
  assert.is(shared.keys.size, 0)
  assert.equal(await a.take(range, owner('a', 'c1'), 1000), [first])
})

test('an address that is asked for: had, refused with its holder, refused to an owner that holds another', async () => {
  const pool = new AddressPool('p', new SharedPool().registry())
  const want = (id: string, ip: string) => pool.take([set('10.0.0.1', '10.0.0.9', ip)], owner('a', id), 1000)
  assert.equal(await want('c1', '10.0.0.5'), ['10.0.0.5'])
  assert.equal(await want('c1', '10.0.0.5'), ['10.0.0.5'])
  await rejectsLike(want('c2', '10.0.0.5'), { code: 101, message: /container "c1" on host "a" has it/ })
  await rejectsLike(want('c1', '10.0.0.6'), { code: 101, message: /holds "10\.0\.0\.5" already/ })
})

test('an address that somebody has given back a moment ago is had: what is known here may be old', async () => {
  const shared = new SharedPool()
  const [a, b] = [new AddressPool('p', shared.registry()), new AddressPool('p', shared.registry())]
  const want = (pool: AddressPool, id: string) =>
    pool.take([set('10.0.0.1', '10.0.0.9', '10.0.0.5')], owner(id, id), 1000)
  await want(a, 'a')
  shared.deliver()
  a.release(['10.0.0.5'])
  assert.is(b.ownerOf('10.0.0.5')?.host, 'a')
  assert.equal(await want(b, 'b'), ['10.0.0.5'])
})

test('of two on one host that ask for one address at the same moment, one is told who has it', async () => {
  const pool = new AddressPool('p', new SharedPool().registry())
  const want = (id: string) => pool.take([set('10.0.0.1', '10.0.0.9', '10.0.0.5')], owner('a', id), 1000)
  const first = want('c1')
  await rejectsLike(want('c2'), { code: 101, message: /container "c1" on host "a" has it/ })
  assert.equal(await first, ['10.0.0.5'])
})

test('a failure gives back what was taken before it; large IPv6 ranges are no trouble', async () => {
  const shared = new SharedPool()
  const pool = new AddressPool('p', shared.registry())
  await pool.take([set('10.0.0.1', '10.0.0.1')], owner('a', 'c1'), 1000)
  const both = [set('fd00::1', 'fd00::ffff:ffff:ffff:ffff'), set('10.0.0.1', '10.0.0.1')]
  await rejectsLike(pool.take(both, owner('a', 'c2'), 1000), { code: 100 })
  assert.is(shared.keys.size, 1)
  const [six = ''] = await pool.take([both[0] as AddressSet], owner('a', 'c3'), 1000)
  assert.match(formatAddress(address(six)), /^fd00::/)
  assert.equal(await pool.usage(set('10.0.0.1', '10.0.0.4'), 1000), { taken: 1, size: 4 })
})

test.run()
