import { FakeNft } from '../testing/fake-kernel/fake-nft.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { addMembers, type FoundMember, type Group, type GroupTable, nothingMore, removeMembers } from './groups.ts'
import { gotoElement, NftBatch } from './nft.ts'
import { verdict } from './rule.ts'

const test = suite('lib/nft/groups')

const TABLE: GroupTable = {
  family: 'ip',
  table: 't',
  map: 'm',
  baseUse: 2,
  addBase: batch => {
    batch.addSet('ip', 't', { name: 'm', key: ['ipv4_addr'], data: [], isInterval: false })
    batch.addChain('ip', 't', 'base', undefined)
  }
}

function group(chain: string): Group {
  return { chain, rules: [verdict('drop'), verdict('accept')], addMore: nothingMore, removeMore: nothingMore }
}

function add(nft: FakeNft, address: number, chain: string): void {
  const element = gotoElement(new Uint8Array([10, 0, 0, address]), chain, `owner ${String(address)}`)
  addMembers(nft, [{ table: TABLE, group: group(chain), element, addMore: nothingMore }])
}

function found(nft: FakeNft, ...addresses: number[]): readonly FoundMember[] {
  return nft
    .listElements('ip', 't', 'm')
    .filter(element => addresses.includes(element.key[3] ?? 0))
    .map(element => ({
      table: TABLE,
      element,
      group: group(element.verdict?.chain ?? ''),
      removeMore: nothingMore
    }))
}

test('table and chains come with the first member and go with the last', () => {
  const nft = new FakeNft(nothingMore)
  add(nft, 1, 'a')
  add(nft, 2, 'a')
  add(nft, 3, 'b')
  assert.is(nft.findTable('ip', 't')?.use, 4)
  assert.is(nft.listRules('ip', 't', 'a').length, 2)
  assert.is(
    removeMembers(nft, () => found(nft, 1)),
    true
  )
  assert.ok(nft.findChain('ip', 't', 'a') !== undefined)
  removeMembers(nft, () => found(nft, 2))
  assert.is(nft.findChain('ip', 't', 'a'), undefined)
  assert.ok(nft.findTable('ip', 't') !== undefined)
  removeMembers(nft, () => found(nft, 3))
  assert.is(nft.findTable('ip', 't'), undefined)
})

test('a taken key is refused and nothing is left of the attempt', () => {
  const nft = new FakeNft(nothingMore)
  add(nft, 1, 'a')
  throwsLike(() => add(nft, 1, 'b'), { errno: 'EEXIST' })
  assert.is(nft.findChain('ip', 't', 'b'), undefined)
})

test('members of one new table and of new chains are one transaction', () => {
  let commits = 0
  const nft = new FakeNft(() => {
    commits += 1
  })
  const members = Array.from({ length: 100 }, (_, i) => {
    const chain = i % 2 === 0 ? 'a' : 'b'
    const element = gotoElement(new Uint8Array([10, 0, 0, i]), chain, 'owner')
    return { table: TABLE, group: group(chain), element, addMore: nothingMore }
  })
  addMembers(nft, members)
  assert.equal([commits, nft.listElements('ip', 't', 'm').length], [1, 100])
})

test('nothing to remove: no transaction', () => {
  let commits = 0
  const nft = new FakeNft(() => {
    commits += 1
  })
  assert.is(
    removeMembers(nft, () => []),
    false
  )
  assert.is(commits, 0)
})

test('somebody makes the table between the look and the batch: the second try brings the rest', () => {
  let isFirst = true
  const nft: FakeNft = new FakeNft(() => {
    if (!isFirst) return
    isFirst = false
    add(nft, 9, 'a')
  })
  add(nft, 1, 'a')
  assert.is(nft.listRules('ip', 't', 'a').length, 2)
  assert.is(nft.listElements('ip', 't', 'm').length, 2)
})

test('somebody flushes between the look and the batch: everything is made anew', () => {
  let round = 0
  const nft: FakeNft = new FakeNft(() => {
    round += 1
    if (round !== 2) return
    const flush = new NftBatch()
    flush.removeTable('ip', 't')
    nft.commit(flush, undefined)
  })
  add(nft, 1, 'a')
  add(nft, 2, 'a')
  assert.equal(
    nft.listElements('ip', 't', 'm').map(one => one.comment),
    ['owner 2']
  )
})

test('an ADD while the last member leaves: its chain stays', () => {
  let round = 0
  const nft: FakeNft = new FakeNft(() => {
    round += 1
    if (round === 2) add(nft, 2, 'a')
  })
  add(nft, 1, 'a')
  removeMembers(nft, () => found(nft, 1))
  assert.equal(
    nft.listElements('ip', 't', 'm').map(one => one.comment),
    ['owner 2']
  )
  assert.is(nft.listRules('ip', 't', 'a').length, 2)
})

test('other refusals come through', () => {
  const nft = new FakeNft(() => {
    throw new Error('the kernel is out of memory')
  })
  assert.throws(() => add(nft, 1, 'a'), /out of memory/)
})

test.run()
