/** The order of the frame, with a plugin that only says what it is asked for. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from '../cni/plugin.ts'
import { EMPTY_RESULT, type Result } from '../cni/result.ts'
import { jsonObject } from '../config/json.ts'
import { FakeKernel } from '../testing/fake-kernel/fake-kernel.ts'
import { FIXED_IPAM, PluginCaller } from '../testing/plugin-caller.ts'
import { assert, suite } from '../testing/suite.ts'
import { attachmentPlugin, forget, inJournal, oneByOne } from './attachment-plugin.ts'
import type { Session } from './session.ts'

const test = suite('lib/attach: attachment-plugin')

const BOX = '/run/netns/box'
const IPAM = { type: FIXED_IPAM, result: { ips: [{ address: '192.0.2.7/24' }] } }
const C1 = { containerID: 'c1', ifname: 'eth0' }

interface Frame {
  readonly caller: PluginCaller
  /** What was done, in order; the IPAM plugin's verbs as `ipam DEL`. */
  readonly done: () => readonly string[]
  /** The step that fails from now on; '' none. */
  failing: string
  /** For ADD. */
  add: (session: Session) => Result
}

function inFrame(body: (frame: Frame) => void, isExclusive = false): void {
  const kernel = new FakeKernel()
  kernel.addNamespace(BOX)
  const log: string[] = []
  const step = (what: string): void => {
    log.push(kernel.host().isLocked() ? `${what}, locked` : what)
    if (frame.failing === what) throw new Error(`${what}: refused`)
  }
  const plugin: Plugin = attachmentPlugin(kernel, {
    name: 'frame',
    since: '0.1.0',
    hasAddresses: true,
    isExclusive,
    records: inJournal,
    add: session => frame.add(session),
    check: () => [],
    removeRules: session => step(`rules ${session.request.containerId}`),
    removeLinks: session => step(`links ${session.request.containerId}`),
    removeLinksTogether: oneByOne,
    forget: (session, entry) => {
      step(`forget ${session.request.containerId}`)
      forget(session, entry)
    },
    collectStrays: () => step('strays'),
    status: () => undefined
  })
  const caller = new PluginCaller(plugin, BOX, { ipam: IPAM })
  caller.onIpam = verb => log.push(`ipam ${verb}`)
  const frame: Frame = {
    caller,
    done: () => log.splice(0),
    failing: '',
    add: session => {
      session.record(jsonObject([]))
      session.undo.push('link', () => step('undo link'))
      session.lease()
      return EMPTY_RESULT
    }
  }
  try {
    body(frame)
  } finally {
    caller.close()
  }
}

test('DEL: rules, links, addresses, what was written down', () =>
  inFrame(({ caller, done }) => {
    caller.ok('ADD')
    assert.equal(done(), ['ipam ADD'])
    caller.ok('DEL')
    assert.equal(done(), ['rules c1', 'links c1', 'ipam DEL', 'forget c1'])
    assert.equal(caller.journal(), [])
    // Again, with nothing left: the names may have said more than what was written down.
    caller.ok('DEL')
    assert.equal(done(), ['rules c1', 'links c1', 'ipam DEL'])
  }))

test('DEL: what fails keeps the addresses and what was written down, but not the links', () =>
  inFrame(frame => {
    const { caller, done } = frame
    for (const failing of ['rules c1', 'links c1']) {
      caller.ok('ADD')
      done()
      frame.failing = failing
      assert.match(caller.fails('DEL').msg, new RegExp(`${failing}: refused`))
      assert.equal(done(), ['rules c1', 'links c1'])
      assert.equal([caller.leases.size, caller.journal().length], [1, 1])
      frame.failing = ''
      caller.ok('DEL', { netns: '' })
      assert.equal(done(), ['rules c1', 'links c1', 'ipam DEL', 'forget c1'])
    }
  }))

test('ADD: what fails is undone in the order of DEL; what cannot be undone keeps addresses and entry for the next DEL', () =>
  inFrame(frame => {
    const { caller, done } = frame
    const { add } = frame
    frame.add = session => {
      add(session)
      throw new Error('no more room')
    }
    assert.is(caller.fails('ADD').msg, 'no more room')
    assert.equal(done(), ['ipam ADD', 'undo link', 'ipam DEL', 'forget c1'])
    frame.failing = 'undo link'
    assert.match(caller.fails('ADD').msg, /^no more room; could not undo link \(undo link: refused\)$/)
    assert.equal(done(), ['ipam ADD', 'undo link'])
    assert.equal([caller.leases.size, caller.journal().length], [1, 1])
    caller.ok('DEL')
    assert.equal([caller.leases.size, caller.journal().length], [0, 0])
  }))

test('ADD: a delegate that failed is asked to take back what it may have given; the error stays its own', () =>
  inFrame(({ caller, done }) => {
    caller.failIpam = true
    assert.is(caller.fails('ADD').msg, 'take address: the pool is empty')
    assert.equal(done(), ['ipam ADD', 'undo link', 'ipam DEL', 'forget c1'])
    caller.failIpamDel = true
    assert.is(caller.fails('ADD').msg, 'take address: the pool is empty')
  }))

test('GC: the same for what the runtime does not know; of what cannot be removed IPAM keeps the addresses', () =>
  inFrame(frame => {
    const { caller, done } = frame
    for (const containerId of ['c1', 'c2', 'c3']) caller.ok('ADD', { containerId })
    done()
    frame.failing = 'links c2'
    const answer = caller.gc([C1])
    assert.match(answer.stdout, /links c2: refused/)
    const order = done()
    assert.equal(
      order.filter(one => one.endsWith('c3')),
      ['rules c3', 'links c3', 'forget c3']
    )
    assert.equal(
      order.filter(one => one.endsWith('c2')),
      ['rules c2', 'links c2']
    )
    assert.equal(order.slice(-2), ['strays', 'ipam GC'])
    assert.equal(caller.keptByIpam, ['c1', 'c2'])
    frame.failing = ''
    assert.is(caller.gc([C1]).status, 0)
    assert.equal(caller.keptByIpam, ['c1'])
    assert.equal(caller.journal().length, 1)
  }))

test('where an ADD makes again what others have lost, what is made and what is written down go under one lock', () =>
  inFrame(frame => {
    const { caller, done } = frame
    const removed = ['rules c1, locked', 'links c1, locked', 'ipam DEL', 'forget c1, locked']
    caller.ok('ADD')
    done()
    caller.ok('DEL')
    assert.equal(done(), removed)
    caller.ok('ADD')
    done()
    assert.is(caller.gc([]).status, 0)
    assert.equal(done().slice(0, 4), ['rules c1, locked', 'links c1, locked', 'forget c1, locked', 'strays, locked'])
    frame.add = session => {
      session.record(jsonObject([]))
      session.undo.push('link', () => frame.done)
      throw new Error('no more room')
    }
    assert.is(caller.fails('ADD').msg, 'no more room')
    assert.equal(done(), ['forget c1, locked'])
  }, true))

test('GC: an entry that cannot be removed keeps no address', () =>
  inFrame(frame => {
    const { caller } = frame
    for (const containerId of ['c1', 'c2']) caller.ok('ADD', { containerId })
    frame.failing = 'forget c2'
    assert.match(caller.gc([C1]).stdout, /forget c2: refused/)
    assert.equal(caller.keptByIpam, ['c1'])
  }))

test('what a newer version has written down is refused with words: its addresses and it stay for that one', () =>
  inFrame(({ caller, done }) => {
    for (const containerId of ['c1', 'c2']) caller.ok('ADD', { containerId })
    const path = join(caller.directory, 'state', caller.journal()[0] ?? '')
    const own = readFileSync(path, 'utf8')
    assert.is(JSON.parse(own).format, 1)
    writeFileSync(path, JSON.stringify({ ...JSON.parse(own), format: 2 }))
    done()
    for (const command of ['ADD', 'DEL']) {
      const { code, msg, details } = caller.fails(command)
      assert.equal(
        [code, msg.endsWith('c1:eth0.frame.json": it is of format 2, and this version of Patchbay knows 1')],
        [50, true]
      )
      assert.match(details ?? '', /install that one again/)
    }
    assert.equal(done().includes('ipam DEL'), false)
    // Others are not kept from being collected by it.
    assert.match(caller.gc([]).stdout, /of eth0 of container \\"c1\\": it is of format 2/)
    assert.equal(caller.keptByIpam, ['c1'])
    assert.equal(caller.journal(), ['net1/c1:eth0.frame.json'])
    writeFileSync(path, own)
    caller.ok('DEL')
    assert.equal([caller.leases.size, caller.journal().length], [1, 0])
  }))

test('addresses leased over the interface go before it', () =>
  inFrame(({ caller, done }) => {
    // Its name decides; what stands behind it here is the same.
    const ipam = { ...IPAM, type: 'dhcp' }
    caller.installIpam('dhcp')
    caller.ok('ADD', { config: { ipam } })
    done()
    caller.ok('DEL', { config: { ipam } })
    assert.equal(done(), ['ipam DEL', 'rules c1', 'links c1', 'forget c1'])
  }))

test("GC keeps another program's attachment while its namespace is there, and tells IPAM", () =>
  inFrame(({ caller, done }) => {
    caller.ok('ADD')
    done()
    const path = join(caller.directory, 'state', caller.journal()[0] ?? '')
    const entry = JSON.parse(readFileSync(path, 'utf8'))
    const own = readFileSync(`/proc/${process.ppid}/comm`, 'utf8').trim()
    assert.is(entry.runtime, own)
    assert.is(entry.netns, BOX)
    writeFileSync(path, JSON.stringify({ ...entry, runtime: `${own}2` }))
    caller.gc([])
    assert.equal(done(), ['strays', 'ipam GC'])
    assert.equal(caller.keptByIpam, ['c1'])
    writeFileSync(path, JSON.stringify({ ...entry, runtime: `${own}2`, netns: '/run/netns/gone' }))
    caller.gc([])
    assert.equal(done(), ['rules c1', 'links c1', 'forget c1', 'strays', 'ipam GC'])
    assert.equal(caller.keptByIpam, [])
  }))

test.run()
