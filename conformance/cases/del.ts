/** DEL: everything goes, nothing is missed, and nobody else suffers. */
import type { Attachment, Case, Context } from '../case.ts'
import { objects, stable } from '../json.ts'
import { describeOutcome, type Outcome, succeeded } from '../plugin-call.ts'
import { difference } from '../world.ts'
import { isSharedFile } from './add.ts'

/** A way of asking for DEL when not everything is at hand any more. */
interface Condition {
  readonly id: string
  readonly title: string
  readonly clause: string
  readonly run: (context: Context, attachment: Attachment) => Outcome
  /** The container's namespace still exists afterwards, so that the interface in it can be looked for. */
  readonly seesInside: boolean
}

const CONDITIONS: readonly Condition[] = [
  {
    id: 'usual',
    title: 'with namespace and prevResult',
    clause: 'del.removes',
    run: (context, attachment) => context.call('DEL', attachment),
    seesInside: true
  },
  {
    id: 'no-prev-result',
    title: 'without prevResult',
    clause: 'del.no-prev',
    run: (context, attachment) => context.call('DEL', attachment, { noPrevResult: true }),
    seesInside: true
  },
  {
    id: 'empty-netns',
    title: 'without namespace and prevResult, the container being gone',
    clause: 'del.no-netns',
    run: (context, attachment) => {
      attachment.netns.remove()
      return context.call('DEL', attachment, { env: { CNI_NETNS: '' }, noPrevResult: true })
    },
    seesInside: false
  },
  {
    id: 'vanished-netns',
    title: 'with the path of a namespace that is gone',
    clause: 'del.vanished-netns',
    run: (context, attachment) => {
      attachment.netns.remove()
      return context.call('DEL', attachment)
    },
    seesInside: false
  },
  {
    id: 'interface-gone',
    title: 'after somebody removed the interface',
    clause: 'del.interface-gone',
    run: (context, attachment) => {
      attachment.netns.inside(() => context.world.run('ip', 'link', 'del', attachment.ifName))
      return context.call('DEL', attachment)
    },
    seesInside: true
  }
]

/** The kernel takes namespaces apart in its own time: looks again until the host is quiet, at most two seconds. */
export function settled(context: Context, before: readonly string[]): readonly string[] {
  const until = Date.now() + 2000
  for (;;) {
    const added = difference(before, context.world.snapshot()).added.filter(line => !isSharedFile(line))
    if (added.length === 0 || Date.now() > until) return added
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
}

function conditionCase(condition: Condition): Case {
  return {
    id: `del-${condition.id}`,
    title: `DEL ${condition.title}`,
    part: 'protocol',
    clauses: [condition.clause, 'del.complete', 'del.repeat'],
    // A device of the host that is deleted inside the container cannot come home.
    when: ({ role, type }) =>
      condition.id !== 'interface-gone' || ((role === 'interface' || role === 'meta') && type !== 'host-device'),
    run: context => {
      // One attachment lives through the whole case, so that what the network shares is there before and after.
      const keeper = context.attachment()
      if (context.profile.type !== 'host-device') context.mustAdd(keeper)
      const attachment = context.attachment()
      const before = context.world.snapshot()
      context.mustAdd(attachment)
      const outcome = condition.run(context, attachment)
      context.judgeOutcome(condition.clause, succeeded(outcome), 'DEL succeeds', outcome)
      judgeGone(context, condition, attachment)
      if (context.profile.role !== 'chained') {
        const left = settled(context, before)
        context.judge('del.complete', left.length === 0, 'the host is as before ADD', () => left.join('; '))
      } else {
        judgeChainedRest(context, before)
      }
      const env = attachment.netns.isRemoved() ? { CNI_NETNS: '' } : {}
      const again = context.call('DEL', attachment, { env, noPrevResult: true })
      context.judgeOutcome('del.repeat', succeeded(again), 'DEL once more succeeds', again)
    }
  }
}

function judgeGone(context: Context, condition: Condition, attachment: Attachment): void {
  if (!condition.seesInside || !['interface', 'meta'].includes(context.profile.role)) return
  const names = attachment.netns.inside(() => context.world.links().map(link => link['ifname']))
  const gone = !names.includes(attachment.ifName)
  context.judge(condition.clause, gone, `${attachment.ifName} is gone`, () => `in the container: ${names.join(', ')}`)
}

/** What the judge wired by hand stays or goes with the namespace; only rules, qdiscs and files are the plugin's. */
function judgeChainedRest(context: Context, before: readonly string[]): void {
  const left = settled(context, before).filter(
    line => !/^(link|address|route|neighbour|fdb) .*judge(host|br)/.test(line)
  )
  context.judge('del.complete', left.length === 0, 'the host is as before ADD', () => left.join('; '))
}

export const DEL_CASES: readonly Case[] = [
  ...CONDITIONS.map(conditionCase),
  {
    id: 'del-never-added',
    title: 'DEL of what was never added',
    part: 'protocol',
    clauses: ['del.never-added', 'del.no-netns'],
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const first = context.call('DEL', attachment, { noPrevResult: true })
      context.judgeOutcome('del.never-added', succeeded(first), 'DEL succeeds', first)
      const empty = context.call('DEL', attachment, { noPrevResult: true, env: { CNI_NETNS: undefined } })
      context.judgeOutcome('del.no-netns', succeeded(empty), 'DEL without CNI_NETNS succeeds', empty)
    }
  },
  {
    id: 'del-others',
    title: 'DEL of one container leaves the other',
    part: 'protocol',
    clauses: ['del.others'],
    roles: ['interface', 'chained', 'meta'],
    when: ({ type }) => type !== 'host-device',
    since: '0.4.0',
    run: context => {
      const one = context.attachment()
      const other = context.attachment()
      context.mustAdd(one)
      context.mustAdd(other)
      // One whose CHECK is not content before can say nothing afterwards.
      const isChecked = succeeded(context.call('CHECK', other))
      const inside = () => other.netns.inside(() => context.world.networkLines())
      const before = inside()
      context.must('DEL', one)
      const names = other.netns.inside(() => objects(context.world.links()).map(link => link['ifname']))
      context.judge('del.others', names.includes(other.ifName), 'the other interface is there', () => stable(names))
      const lost = difference(before, inside()).removed
      context.judge('del.others', lost.length === 0, 'nothing of the other is gone', () => lost.join('; '))
      if (!isChecked) return
      const check = context.call('CHECK', other)
      context.judge('del.others', succeeded(check), 'CHECK of the other still succeeds', () => describeOutcome(check))
    }
  }
]
