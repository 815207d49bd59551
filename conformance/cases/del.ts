/** DEL: everything goes, nothing is missed, and nobody else suffers. */
import type { Attachment, Case, Context } from '../case.ts'
import { objects, stable } from '../json.ts'
import { describeOutcome, type Outcome, succeeded } from '../plugin-call.ts'
import { difference } from '../world.ts'
import { isLock, isOfProgram, isShared, isSharedFile, withoutRoutes } from './add.ts'

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

/** The path in a snapshot's line about a file. */
function pathIn(line: string): string | undefined {
  return /^file (\S+)/.exec(line)?.[1]
}

/**
 * What is there and was not before, without what is of the whole network. A file that came with one container, while
 * another was on the network, is of that container whatever it is called.
 */
function leftBehind(before: readonly string[], after: readonly string[], hasKeeper: boolean): readonly string[] {
  const known = new Set(before.map(pathIn))
  return difference(before, after).added.filter(line => {
    const path = pathIn(line)
    if (isLock(line)) return false
    const isNew = hasKeeper && path !== undefined && !known.has(path)
    return isNew || !isSharedFile(line)
  })
}

/** The kernel takes namespaces apart in its own time: looks again until the host is quiet, at most two seconds. */
export function settled(
  context: Context,
  before: readonly string[],
  hasKeeper = true,
  mayStay: (line: string) => boolean = () => false
): readonly string[] {
  const until = Date.now() + 2000
  for (;;) {
    const added = leftBehind(before, context.world.snapshot(), hasKeeper).filter(line => !mayStay(line))
    if (added.length === 0 || Date.now() > until) return added
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
}

function conditionCase(condition: Condition): Case {
  return {
    id: `del-${condition.id}`,
    title: `DEL ${condition.title}`,
    part: 'protocol',
    clauses: [condition.clause, 'del.complete', 'del.repeat', ...(takesBack(condition) ? ['del.container'] : [])],
    // A device of the host that is deleted inside the container cannot come home.
    when: ({ role, type }) =>
      condition.id !== 'interface-gone' || ((role === 'interface' || role === 'meta') && type !== 'host-device'),
    run: context => {
      // One attachment lives through the whole case, so that what the network shares is there before and after.
      const keeper = context.attachment()
      const hasKeeper = context.profile.type !== 'host-device'
      if (hasKeeper) context.mustAdd(keeper)
      const attachment = context.attachment()
      const before = context.world.snapshot()
      const inside = () => attachment.netns.inside(() => context.world.networkLines())
      const empty = inside()
      context.mustAdd(attachment)
      const outcome = condition.run(context, attachment)
      context.judgeOutcome(condition.clause, succeeded(outcome), 'DEL succeeds', outcome)
      judgeGone(context, condition, attachment)
      if (takesBack(condition)) judgeTakenBack(context, attachment.ifName, empty, inside())
      if (context.profile.role !== 'chained') {
        const left = settled(context, before, hasKeeper)
        context.judge('del.complete', left.length === 0, 'the host is as before ADD', () => left.join('; '))
      } else {
        judgeChainedRest(context, before, condition)
      }
      // With a namespace go the links that are in it and all that leads to them, whatever the plugin does.
      if (condition.seesInside && hasKeeper) judgeKept(context, before)
      const env = attachment.netns.isRemoved() ? { CNI_NETNS: '' } : {}
      const again = context.call('DEL', attachment, { env, noPrevResult: true })
      context.judgeOutcome('del.repeat', succeeded(again), 'DEL once more succeeds', again)
    }
  }
}

/** Whether the container is there afterwards and nobody else has changed it: a DEL with all that it may need. */
function takesBack({ id }: Condition): boolean {
  return id === 'usual'
}

/**
 * A container may live on after it was disconnected from a network. Its loopback is whoever's set it up first, and what goes
 * with the interface goes with the DEL of the plugin that made it.
 */
function judgeTakenBack(context: Context, ifName: string, before: readonly string[], after: readonly string[]): void {
  const goesAlong = (line: string) =>
    ['lo', ifName].some(name => line.includes(`"dev":"${name}"`) || line.startsWith(`address ${name} `))
  const left = difference(before, after).added.filter(line => !goesAlong(line))
  context.judge('del.container', left.length === 0, 'the container is as before ADD', () => left.join('; '))
}

function judgeGone(context: Context, condition: Condition, attachment: Attachment): void {
  if (!condition.seesInside || !['interface', 'meta'].includes(context.profile.role)) return
  const names = attachment.netns.inside(() => context.world.links().map(link => link['ifname']))
  const gone = !names.includes(attachment.ifName)
  context.judge(condition.clause, gone, `${attachment.ifName} is gone`, () => `in the container: ${names.join(', ')}`)
}

/** Judges that ADD and DEL took nothing from the host that was there before. */
function judgeKept(context: Context, before: readonly string[]): void {
  const lost = difference(before, context.world.snapshot()).removed
  const kernels = lost.filter(line => /^(link|address|route|rule|qdisc|mount|namespace) /.test(line))
  context.judge('del.complete', kernels.length === 0, 'all that the host had is still there', () => kernels.join('; '))
}

/** What the judge wired by hand stays or goes with the namespace; only rules, qdiscs and files are the plugin's. */
function judgeChainedRest(context: Context, before: readonly string[], { id }: Condition): void {
  // Only prevResult tells which interface of the host is the container's; its queues go with it.
  const queues = id === 'no-prev-result' ? /^(qdisc|filter) .*on judgehost/ : /^$/
  const isWired = (line: string) =>
    /^(link|address|route|neighbour|fdb) .*judge(host|br)/.test(line) || queues.test(line)
  const left = settled(context, before, true, isWired)
  context.judge('del.complete', left.length === 0, 'the host is as before ADD', () => left.join('; '))
}

/** Adds two attachments and takes the second off again: of the first nothing may go, not on the host either. */
function judgeOthers(context: Context, one: Attachment, other: Attachment): void {
  context.mustAdd(other)
  const inside = () => other.netns.inside(() => context.world.networkLines())
  // However the plugin writes down whom it serves: how often the container is named is what counts.
  const mentions = () => context.world.snapshot().join('\n').split(other.containerId).length - 1
  const before = { mentions: mentions(), lines: inside() }
  context.mustAdd(one)
  // What the second ADD took away of a container that both are in is no fault of DEL's, and a CHECK that fails before it says
  // nothing after it.
  const taken = difference(before.lines, inside()).removed
  const isChecked = context.supports('0.4.0') && succeeded(context.call('CHECK', other))
  context.must('DEL', one)
  if (context.profile.role !== 'ipam') {
    const names = other.netns.inside(() => objects(context.world.links()).map(link => link['ifname']))
    context.judge('del.others', names.includes(other.ifName), 'the other interface is there', () => stable(names))
  }
  const lost = difference(before.lines, inside()).removed.filter(line => !taken.includes(line))
  context.judge('del.others', lost.length === 0, 'nothing of the other is gone', () => lost.join('; '))
  const left = mentions()
  const expected = `the host names its container ${before.mentions} times, as before`
  context.judge('del.others', left >= before.mentions, expected, () => String(left))
  if (!isChecked) return
  const check = context.call('CHECK', other)
  context.judge('del.others', succeeded(check), 'CHECK of the other still succeeds', () => describeOutcome(check))
}

/** Whether a line is of the network and may stay when its last container has gone. */
function isOfNetwork(line: string): boolean {
  return isShared(line) || isOfProgram(line) || /judge(0|br|host)/.test(line)
}

export const DEL_CASES: readonly Case[] = [
  ...CONDITIONS.map(conditionCase),
  {
    id: 'del-last',
    title: 'DEL of the only container that the network ever had',
    part: 'protocol',
    clauses: ['del.complete'],
    run: context => {
      const attachment = context.attachment()
      const before = context.world.snapshot()
      context.mustAdd(attachment)
      context.must('DEL', attachment)
      const left = settled(context, before, false, isOfNetwork)
      context.judge('del.complete', left.length === 0, 'nothing but what is of the network', () => left.join('; '))
    }
  },
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
    roles: ['interface', 'chained', 'meta', 'ipam'],
    when: ({ type }) => type !== 'host-device',
    since: '0.3.0',
    run: context => judgeOthers(context, context.attachment(), context.attachment())
  },
  {
    id: 'del-alike',
    title: 'DEL of a container and of an interface whose names others begin with',
    part: 'protocol',
    clauses: ['del.others'],
    roles: ['interface', 'chained', 'meta', 'ipam'],
    when: ({ type, oneGateway }) => type !== 'host-device' && oneGateway !== true,
    since: '0.3.0',
    run: context => {
      const [longer, shorter] = ['judge-box-10', 'judge-box-1'].map(containerId => context.attachment({ containerId }))
      if (longer !== undefined && shorter !== undefined) judgeOthers(context, shorter, longer)
      if (context.profile.role === 'meta') return
      const other = context.attachment({ containerId: 'judge-box-2', ifName: 'net10' })
      const { netns, containerId } = other
      judgeOthers(context, withoutRoutes(context.attachment({ netns, containerId, ifName: 'net1' })), other)
    }
  },
  {
    id: 'del-other-interface',
    title: 'DEL of one interface of a container leaves its other one',
    part: 'protocol',
    clauses: ['del.others'],
    roles: ['interface', 'chained', 'ipam'],
    when: ({ type, oneGateway }) => type !== 'host-device' && oneGateway !== true,
    since: '0.3.0',
    run: context => {
      const first = context.attachment()
      const { netns, containerId } = first
      judgeOthers(context, withoutRoutes(context.attachment({ netns, containerId, ifName: 'net1' })), first)
    }
  }
]
