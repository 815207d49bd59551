/** GC and STATUS, since 1.1.0. */
import type { Attachment, Case, Context } from '../case.ts'
import type { JsonObject } from '../json.ts'
import { describeOutcome, errorCode, type Outcome, printed, succeeded } from '../plugin-call.ts'
import { difference } from '../world.ts'
import { isLock } from './add.ts'
import { settled } from './del.ts'

const NO_CONTAINER = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }

/** The list under the name of the pinned text, the name after it (which libcni writes), or both. */
const GC_KEYS = ['cni.dev/attachments', 'cni.dev/valid-attachments'] as const

function gc(context: Context, valid: readonly Attachment[], more: JsonObject = {}, keys: readonly string[] = GC_KEYS) {
  const list = valid.map(one => ({ containerID: one.containerId, ifname: one.ifName }))
  const lists = Object.fromEntries(keys.map(key => [key, list]))
  // The list is of the same network: what the attachments' configurations share is in it.
  return context.call('GC', context.attachment(), { env: NO_CONTAINER, config: { ...lists, ...more } })
}

/** One that stays and one whose container is gone, as a runtime that crashed leaves them. */
function keptAndLost(context: Context, makeLost = (_keeper: Attachment) => context.attachment()) {
  const keeper = context.attachment()
  context.mustAdd(keeper)
  const lost = makeLost(keeper)
  const before = context.world.snapshot()
  context.mustAdd(lost)
  lost.netns.remove()
  return { keeper, before }
}

/** Says whether an attachment is untouched: by the kernel, and by CHECK where that was content before. */
function untouched(context: Context, attachment: Attachment): (clause: string, what: string) => void {
  const lines = () => attachment.netns.inside(() => context.world.networkLines())
  const before = lines()
  const isChecked = context.supports('0.4.0') && succeeded(context.call('CHECK', attachment))
  return (clause, what) => {
    const { added, removed } = difference(before, lines())
    const changed = [...added, ...removed]
    context.judge(clause, changed.length === 0, `${what}: the container is as before`, () => changed.join('; '))
    if (!isChecked) return
    const check = context.call('CHECK', attachment)
    context.judgeOutcome(clause, succeeded(check), `${what}: CHECK still succeeds`, check)
  }
}

/** What is left of the attachment that is not listed; namespaces are taken apart in the kernel's own time. */
function left(context: Context, before: readonly string[]): readonly string[] {
  return settled(context, before, true, line => /judge(host|br)/.test(line))
}

export const GC_AND_STATUS_CASES: readonly Case[] = [
  {
    id: 'gc-keeps-and-removes',
    title: 'GC removes what is not listed and keeps the rest',
    part: 'protocol',
    clauses: ['gc.keeps', 'gc.removes', 'gc.repeat'],
    when: ({ type }) => type !== 'host-device',
    since: '1.1.0',
    run: context => {
      const { keeper, before } = keptAndLost(context)
      const judge = untouched(context, keeper)
      const foreign = gc(context, [], { name: 'othernet' })
      context.judgeOutcome('gc.repeat', succeeded(foreign), 'GC of another network succeeds', foreign)
      judge('gc.keeps', 'after GC of another network')
      const outcome = gc(context, [keeper])
      context.judgeOutcome('gc.repeat', succeeded(outcome), 'GC succeeds', outcome)
      judge('gc.keeps', 'after GC that lists it')
      const rest = left(context, before)
      const expected = 'the host is as before the ADD that is not listed'
      context.judge('gc.removes', rest.length === 0, expected, () => rest.join('; '))
      const again = gc(context, [keeper])
      context.judgeOutcome('gc.repeat', succeeded(again), 'GC once more succeeds', again)
    }
  },
  {
    id: 'gc-by-interface',
    title: 'GC that lists one interface of a container and not its other one',
    part: 'protocol',
    clauses: ['gc.keeps', 'gc.removes'],
    when: ({ type, role }) => type !== 'host-device' && role !== 'loopback',
    since: '1.1.0',
    run: context => {
      // A restarted container: its ID is the same, the namespace of the interface that is not listed is gone.
      const { keeper, before } = keptAndLost(context, ({ containerId }) =>
        context.attachment({ containerId, ifName: 'net1' })
      )
      const judge = untouched(context, keeper)
      gc(context, [keeper])
      judge('gc.keeps', 'after GC that lists its interface')
      const rest = left(context, before)
      const expected = 'the host is as before the ADD of the interface that is not listed'
      context.judge('gc.removes', rest.length === 0, expected, () => rest.join('; '))
    }
  },
  {
    id: 'gc-keys',
    title: 'GC with its list under either name alone',
    part: 'protocol',
    clauses: ['gc.key', 'gc.key-of-tag'],
    when: ({ type }) => type !== 'host-device',
    since: '1.1.0',
    run: context => {
      const { keeper } = keptAndLost(context)
      const judge = untouched(context, keeper)
      for (const [clause, key] of [
        ['gc.key', 'cni.dev/valid-attachments'],
        ['gc.key-of-tag', 'cni.dev/attachments']
      ] as const) {
        const outcome = gc(context, [keeper], {}, [key])
        context.judgeOutcome(clause, succeeded(outcome), `GC with ${key} succeeds`, outcome)
        judge(clause, `after GC that lists it in ${key}`)
      }
    }
  },
  {
    id: 'gc-goes-on',
    title: 'GC when that of the IPAM plugin fails',
    part: 'protocol',
    clauses: ['gc.goes-on', 'delegate.error-returned'],
    roles: ['interface'],
    when: ({ type }) => type !== 'host-device',
    since: '1.1.0',
    run: context => {
      const { keeper, before } = keptAndLost(context)
      context.ipam.answer('GC', { stdout: '{"cniVersion":"1.1.0","code":111,"msg":"the judge says no"}', status: 1 })
      const outcome = gc(context, [keeper])
      context.judgeOutcome('delegate.error-returned', !succeeded(outcome), 'GC fails as that of IPAM does', outcome)
      const rest = left(context, before)
      const expected = 'what is not of IPAM is removed all the same'
      context.judge('gc.goes-on', rest.length === 0, expected, () => rest.join('; '))
    }
  },
  {
    id: 'gc-without-list',
    title: 'GC without the list of attachments',
    part: 'protocol',
    clauses: ['gc.no-list'],
    when: ({ type }) => type !== 'host-device',
    since: '1.1.0',
    run: context => {
      const keeper = context.attachment()
      context.mustAdd(keeper)
      const judge = untouched(context, keeper)
      context.call('GC', context.attachment(), { env: NO_CONTAINER })
      judge('gc.no-list', 'after GC without a list')
    }
  },
  {
    id: 'status-ready',
    title: 'STATUS when everything is there',
    part: 'protocol',
    clauses: ['status.ready', 'status.changes-nothing'],
    since: '1.1.0',
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const before = context.world.snapshot()
      const outcome = context.call('STATUS', attachment, { env: NO_CONTAINER })
      context.judgeOutcome('status.ready', succeeded(outcome), 'STATUS succeeds', outcome)
      const { added, removed } = difference(before, context.world.snapshot())
      const changed = [...added, ...removed].filter(line => !isLock(line))
      const expected = 'STATUS changes nothing'
      context.judge('status.changes-nothing', changed.length === 0, expected, () => changed.join('; '))
    }
  },
  {
    id: 'status-not-ready',
    title: 'STATUS when ADD could not succeed',
    part: 'protocol',
    clauses: ['status.not-ready', 'status.error', 'status.code'],
    when: ({ type, unready }) => unready !== undefined || type === 'host-local',
    since: '1.1.0',
    run: context => {
      context.requireKernel()
      const outcome = context.call('STATUS', context.attachment(), { config: unready(context), env: NO_CONTAINER })
      context.judgeOutcome('status.not-ready', !succeeded(outcome), 'STATUS fails', outcome)
      judgeFailedStatus(context, outcome)
    }
  },
  {
    id: 'status-no-gate',
    title: 'the other verbs while STATUS fails',
    part: 'protocol',
    clauses: ['status.no-gate', 'delegate.status', 'delegate.error-returned', 'status.error', 'status.code'],
    roles: ['interface'],
    since: '1.1.0',
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      context.ipam.answer('STATUS', { stdout: '{"cniVersion":"1.1.0","code":50,"msg":"no addresses"}', status: 1 })
      const status = context.call('STATUS', attachment, { env: NO_CONTAINER })
      const asked = context.ipam.calls().some(({ verb }) => verb === 'STATUS')
      context.judge('delegate.status', asked, 'IPAM is asked for its STATUS', () => describeOutcome(status))
      context.judgeOutcome('delegate.error-returned', !succeeded(status), 'STATUS fails as that of IPAM does', status)
      judgeFailedStatus(context, status)
      for (const verb of ['CHECK', 'GC', 'DEL', 'ADD']) {
        const list = [{ containerID: attachment.containerId, ifname: attachment.ifName }]
        const config = verb === 'GC' ? Object.fromEntries(GC_KEYS.map(key => [key, list])) : {}
        const outcome = context.call(verb, attachment, { config, ...(verb === 'GC' ? { env: NO_CONTAINER } : {}) })
        context.judgeOutcome('status.no-gate', succeeded(outcome), `${verb} succeeds`, outcome)
      }
    }
  }
]

function judgeFailedStatus(context: Context, outcome: Outcome): void {
  if (succeeded(outcome)) return
  const code = errorCode(outcome)
  const onStdout = typeof printed(outcome)?.['code'] === 'number'
  context.judgeOutcome('status.error', onStdout, 'an error object on stdout', outcome)
  context.judgeOutcome('status.code', code === 50 || code === 51, 'code 50 or 51', outcome)
}

/** A configuration that cannot work here and now: the profile's, or a pool with no address left. */
function unready(context: Context): JsonObject {
  const { type, unready: keys } = context.profile
  if (keys !== undefined) return keys
  const config = { ipam: { type, ranges: [[{ subnet: '10.78.0.0/30' }]] } }
  context.mustAdd(context.attachment(), { config })
  return config
}
