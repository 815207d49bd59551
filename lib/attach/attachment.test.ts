import { CniArgs } from '../cni/args.ts'
import { Ipam, type Request } from '../cni/plugin.ts'
import { EMPTY_RESULT, type Result } from '../cni/result.ts'
import { type Json, jsonObject } from '../config/json.ts'
import { Section } from '../config/section.ts'
import { parseMac } from '../ip/mac.ts'
import { NoRecords } from '../state/records.ts'
import { FakeKernel } from '../testing/fake-kernel/fake-kernel.ts'
import { assert, suite } from '../testing/suite.ts'
import { isOwnLink, isOwnNamespace, ownerMark, removeFromContainer, stableName, withNetns } from './attachment.ts'
import { openSession, type Session } from './session.ts'

const test = suite('lib/attach: attachment')

const BOX = '/run/netns/box'
const OURS = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
const MAC = '02:00:00:00:00:07'

class NoIpam extends Ipam {
  override type(): string {
    return ''
  }
  override add(): Result {
    return EMPTY_RESULT
  }
  override del(): void {}
  override check(): void {}
  override gc(): void {}
  override status(): void {}
}

function sessionOn(kernel: FakeKernel, prevResult?: Result): Session {
  const request: Request = {
    ...OURS,
    command: 'DEL',
    netns: BOX,
    cniVersion: '1.1.0',
    args: new CniArgs(''),
    config: new Section(jsonObject([])),
    prevResult,
    validAttachments: [],
    ipam: new NoIpam()
  }
  return openSession(kernel, request, new NoRecords())
}

function prevResultWith(mac: string): Result {
  return { ...EMPTY_RESULT, interfaces: [{ name: 'eth0', mac, sandbox: BOX }] }
}

test('the mark names the attachment, and fits into the 255 bytes of the kernel', () => {
  assert.is(ownerMark(OURS), 'cni net1 c1 eth0')
  const long = { network: 'n'.repeat(200), containerId: 'c'.repeat(64), ifName: 'eth0' }
  assert.ok(ownerMark(long).length <= 255)
  assert.is.not(ownerMark(long), ownerMark({ ...long, ifName: 'eth1' }))
})

test('names are stable, of 15 bytes, and differ between attachments', () => {
  const name = stableName('veth', OURS)
  assert.match(name, /^veth[0-9a-f]{11}$/)
  assert.is(stableName('veth', OURS), name)
  const others = [{ network: 'net2' }, { containerId: 'c2' }, { ifName: 'eth1' }]
  assert.is(new Set([name, ...others.map(one => stableName('veth', { ...OURS, ...one }))]).size, 4)
})

/** A link of DEL's container, what is written down, and whether DEL may remove it. */
interface Case {
  readonly alias: string
  readonly up: boolean
  readonly entry: 'none' | 'this namespace' | 'another namespace'
  readonly prevMac?: string
  readonly removed: boolean
}

const CASES: readonly Case[] = [
  { alias: 'cni net1 c1 eth0', up: true, entry: 'none', removed: true },
  { alias: 'cni net1 c1 eth0', up: true, entry: 'another namespace', removed: true },
  // Another network's, another runtime's, the container's own.
  { alias: 'cni net2 c1 eth0', up: true, entry: 'this namespace', prevMac: MAC, removed: false },
  { alias: '', up: true, entry: 'this namespace', removed: false },
  { alias: '', up: true, entry: 'none', removed: false },
  { alias: 'written by hand', up: false, entry: 'this namespace', removed: false },
  // Made by another implementation, whose result the runtime kept.
  { alias: '', up: true, entry: 'none', prevMac: MAC, removed: true },
  { alias: '', up: true, entry: 'none', prevMac: '02:00:00:00:00:08', removed: false },
  // What a killed ADD left.
  { alias: '', up: false, entry: 'this namespace', removed: true },
  { alias: '', up: false, entry: 'another namespace', removed: false },
  { alias: '', up: false, entry: 'none', removed: false }
]

test('a link is removed by its mark, by the MAC of prevResult, or as what a killed ADD left; never by name and kind', () => {
  for (const { alias, up, entry, prevMac, removed } of CASES) {
    const kernel = new FakeKernel()
    const box = kernel.addNamespace(BOX)
    const { index } = box.links.add({ name: 'eth0', kind: { kind: 'dummy' }, mac: parseMac(MAC) })
    box.links.set(index, { alias, up })
    const session = sessionOn(kernel, prevMac === undefined ? undefined : prevResultWith(prevMac))
    let written: Json | undefined
    if (entry !== 'none') written = withNetns(session, jsonObject([]))
    if (entry === 'another namespace') {
      kernel.removeNamespace(BOX)
      const next = kernel.addNamespace(BOX)
      const again = next.links.add({ name: 'eth0', kind: { kind: 'dummy' }, mac: parseMac(MAC) })
      next.links.set(again.index, { alias, up })
    }
    const del = sessionOn(kernel, session.request.prevResult)
    removeFromContainer(del, 'dummy', written)
    const what = JSON.stringify({ alias, up, entry, prevMac })
    assert.is(kernel.open(BOX).links.find('eth0') === undefined, removed, what)
  }
})

test('another kind is never ours without the mark', () => {
  const kernel = new FakeKernel()
  const box = kernel.addNamespace(BOX)
  const link = box.links.add({ name: 'eth0', kind: { kind: 'dummy' }, mac: parseMac(MAC) })
  const session = sessionOn(kernel, prevResultWith(MAC))
  const entry = withNetns(session, jsonObject([]))
  assert.equal([isOwnLink(session, box, link, { kind: 'veth', entry })], [false])
  assert.equal([isOwnLink(session, box, link, { kind: 'dummy', entry })], [true])
})

test('a namespace is told by what ADD wrote down, not by its path', () => {
  const kernel = new FakeKernel()
  kernel.addNamespace(BOX)
  const entry = withNetns(sessionOn(kernel), jsonObject([]))
  assert.is(isOwnNamespace(sessionOn(kernel), kernel.open(BOX), entry), true)
  kernel.removeNamespace(BOX)
  kernel.addNamespace(BOX)
  assert.is(isOwnNamespace(sessionOn(kernel), kernel.open(BOX), entry), false)
})

test.run()
