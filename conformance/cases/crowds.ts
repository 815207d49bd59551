/** Many containers at the same time, on a network that nobody used before and on a slow disk. */
import { existsSync, readFileSync } from 'node:fs'
import { canonical } from '../addresses-compared.ts'
import { runTogether, type TimedCall, timedCall } from '../bench/measure.ts'
import { type Attachment, type Case, type Context, NotTestable } from '../case.ts'
import { isObject, type JsonObject, objects, parsed } from '../json.ts'
import { addressesOf, resultIn } from '../result-form.ts'
import { leftovers, withLeases } from './leases.ts'

const CROWD = 64

/** Keys that make the containers of a crowd share a table of rules as well. */
function sharing(type: string): JsonObject {
  if (type === 'bridge' || type === 'ptp' || type === 'vxlan') return { ipMasq: true }
  return type === 'firewall' ? { ingressPolicy: 'same-bridge' } : {}
}

/** All at once: starts the calls together and gives what each printed. */
function together(calls: readonly TimedCall[]): readonly string[] {
  runTogether(calls)
  return calls.map(({ outputPath }) => readFileSync(outputPath, 'utf8'))
}

interface CrowdOptions {
  readonly config: JsonObject
  readonly wrapper?: readonly string[]
}

/** One call, ready to be started with others. */
function prepared(context: Context, verb: string, attachment: Attachment, options: CrowdOptions): TimedCall {
  const { config, wrapper = [] } = options
  const prevResult = context.prevResult(verb, attachment, context.newest())
  const input = context.config(context.newest(), {
    ...config,
    ...attachment.keys,
    ...(prevResult === undefined ? {} : { prevResult })
  })
  const [command = context.path, ...args] = [...wrapper, context.path]
  return timedCall(verb, [command, ...args], context.env(verb, attachment), JSON.stringify(input))
}

/**
 * Whether an IPAM plugin is told which address to give, and so gives it to everybody: two containers that come one after the
 * other have it, and nothing is written down of either. One that does write down whom it has given what is wrong to give it
 * twice.
 */
export function givesOneToAll(context: Context, config: JsonObject): boolean {
  const both = ['judge-one', 'judge-two'].map(containerId => context.attachment({ containerId }))
  const [first = [], second = []] = both.map(one => addressesOf(context.mustAdd(one, { config })))
  const remembers = context.world.snapshot().some(line => both.some(({ containerId }) => line.includes(containerId)))
  for (const one of both) context.must('DEL', one, { config })
  return !remembers && first.some(address => second.includes(address))
}

/** Addresses of a result but those that it says are the host's, such as a gateway's that all have in common. */
function containersOwn(result: JsonObject): readonly string[] {
  const interfaces = objects(result['interfaces'])
  const isHosts = (index: unknown) => {
    const entry = typeof index === 'number' ? interfaces[index] : undefined
    return entry !== undefined && (entry['sandbox'] ?? '') === ''
  }
  return objects(result['ips'])
    .filter(ip => !isHosts(ip['interface']))
    .map(ip => canonical(String(ip['address'])))
}

/** Judges that everybody was added, and nobody's address given to somebody else. */
function judgeCrowd(context: Context, clause: string, printed: readonly string[], isShared = false): void {
  const added = printed.map(parsed)
  const failed = added.filter(one => !isObject(one) || 'code' in one)
  const first = () => `${failed.length} failed: ${JSON.stringify(failed[0])}`
  context.judge(clause, failed.length === 0, 'every ADD succeeds', first)
  if (isShared) return
  const addresses = added.filter(isObject).flatMap(containersOwn)
  const distinct = new Set(addresses).size
  const seen = () => `${addresses.length} addresses, ${distinct} different ones`
  context.judge(clause, distinct === addresses.length, 'no address is given twice', seen)
}

const PARALLEL: Case = {
  id: 'parallel',
  title: `${CROWD} containers added at once to a network that nobody used before, then removed at once`,
  part: 'endurance',
  clauses: ['robust.parallel'],
  when: ({ type }) => !['loopback', 'host-device', 'static'].includes(type),
  seconds: 300,
  run: context => {
    context.requireKernel()
    const config = { ...withLeases(context), ...sharing(context.profile.type) }
    const attachments = Array.from({ length: CROWD }, () => context.attachment())
    const before = context.world.snapshot()
    const calls = (verb: string) => attachments.map(one => prepared(context, verb, one, { config }))
    judgeCrowd(context, 'robust.parallel', together(calls('ADD')))
    const removed = together(calls('DEL')).filter(text => text.trim() !== '')
    context.judge('robust.parallel', removed.length === 0, 'every DEL succeeds', () => removed.join(' ').slice(0, 500))
    const left = leftovers(context, before)
    context.judge('robust.parallel', left.length === 0, 'the host is as before', () => left.slice(0, 10).join('; '))
  }
}

const FEW: Case = {
  id: 'concurrent',
  title: 'eight containers added at once to one network, then removed at once',
  part: 'protocol',
  clauses: ['lifecycle.concurrent'],
  roles: ['interface', 'chained', 'ipam'],
  when: ({ type }) => !['host-device', 'static'].includes(type),
  run: context => {
    context.requireKernel()
    const { role } = context.profile
    // Without leases to compete for, the suite's own plugin gives each its address.
    const config = role === 'interface' && !context.has('host-local') ? {} : withLeases(context)
    const isShared = role === 'ipam' && givesOneToAll(context, config)
    const attachments = Array.from({ length: 8 }, () => context.attachment())
    for (const { containerId, parts } of attachments)
      context.ipam.answerAdd(containerId, JSON.stringify(resultIn(context.newest(), parts)))
    const calls = (verb: string) => attachments.map(one => prepared(context, verb, one, { config }))
    judgeCrowd(context, 'lifecycle.concurrent', together(calls('ADD')), isShared)
    const removed = together(calls('DEL')).filter(text => text.trim() !== '')
    const seen = () => removed.join(' ').slice(0, 500)
    context.judge('lifecycle.concurrent', removed.length === 0, 'every DEL succeeds', seen)
  }
}

/** What a disk is asked for; each of these takes this long on a slow one. */
const DISK_CALLS = '?fsync,?fdatasync,?rename,?renameat,?renameat2,?link,?linkat,?unlink,?unlinkat,?mkdir,?mkdirat'
const DISK_DELAY_US = 60_000

const SLOW: Case = {
  id: 'disk-slow',
  title: 'every second of eight containers is added and removed on a disk that takes 60 ms for each change',
  part: 'endurance',
  clauses: ['robust.slow-disk'],
  when: ({ type }) => !['static', 'loopback', 'host-device'].includes(type),
  seconds: 180,
  run: context => {
    context.requireKernel()
    const strace = ['/usr/bin/strace', '/bin/strace'].find(path => existsSync(path))
    if (strace === undefined) throw new NotTestable('needs the command strace (Debian package strace)')
    const delay = `inject=${DISK_CALLS}:delay_enter=${DISK_DELAY_US}`
    const slowly = [strace, '-f', '-qq', '-o', '/dev/null', '-e', `trace=${DISK_CALLS}`, '-e', delay]
    const config = { ...withLeases(context), ...sharing(context.profile.type) }
    const attachments = Array.from({ length: 8 }, () => context.attachment())
    const before = context.world.snapshot()
    const calls = (verb: string) =>
      attachments.map((one, i) => prepared(context, verb, one, { config, wrapper: i % 2 === 0 ? slowly : [] }))
    judgeCrowd(context, 'robust.slow-disk', together(calls('ADD')))
    const removed = together(calls('DEL')).filter(text => text.trim() !== '')
    const say = (holds: boolean, expected: string, seen: () => string) =>
      context.judge('robust.slow-disk', holds, expected, seen)
    say(removed.length === 0, 'every DEL succeeds', () => removed.join(' ').slice(0, 500))
    const left = leftovers(context, before)
    say(left.length === 0, 'the host is as before', () => left.slice(0, 10).join('; '))
  }
}

export const CROWD_CASES: readonly Case[] = [FEW, PARALLEL, SLOW]
