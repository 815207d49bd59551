/** What a plugin must survive: crowds, sudden death at any moment, full disks, and long random histories. */
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Attachment, Blocked, type CallOptions, type Case, type Context, NotTestable } from '../case.ts'
import { isObject, objects, parsed } from '../json.ts'
import { MS_RDONLY, MS_REMOUNT, mount, unmount } from '../libc.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { Random } from '../random.ts'
import { leftovers, withLeases } from './leases.ts'

/** One line per way of dying: the n-th call of this name in a thread. */
interface Death {
  readonly syscall: string
  readonly nth: number
}

/** System calls after which the world may be another. */
const EFFECTS =
  'sendto,sendmsg,write,pwrite64,openat,open,creat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,setns,ioctl,flock,fcntl,fsync,ftruncate,setsockopt,socket,execve,clone,clone3,vfork,exit_group'

/** Every place where a call could die, from one traced run. */
function placesToDie(context: Context, verb: string, attachment: Attachment, options: CallOptions): readonly Death[] {
  const log = join(context.world.folder, 'strace.log')
  const wrapper = ['strace', '-f', '-o', log, '-e', `trace=${EFFECTS}`, '-e', 'signal=none']
  const outcome = context.call(verb, attachment, { ...options, wrapper, timeoutMs: 60_000 })
  if (!succeeded(outcome)) throw new Blocked(`${verb} under strace: ${describeOutcome(outcome)}`)
  const counts = new Map<string, number>()
  const places = new Map<string, Death>()
  // Only the plugin's own process: what it executes dies on its own account.
  const lines = readFileSync(log, 'utf8').split('\n')
  for (const line of lines) {
    const match = /^([0-9]+) +([a-z0-9_]+)\(/.exec(line)
    if (match === null) continue
    const [, pid = '', syscall = ''] = match
    if (syscall === 'execve') continue
    const nth = (counts.get(`${pid} ${syscall}`) ?? 0) + 1
    counts.set(`${pid} ${syscall}`, nth)
    places.set(`${syscall} ${nth}`, { syscall, nth })
  }
  return [...places.values()]
}

function sampled<T>(list: readonly T[], most: number): readonly T[] {
  if (list.length <= most) return list
  return Array.from({ length: most }, (_none, i) => list[Math.floor((i * list.length) / most)]).filter(
    one => one !== undefined
  )
}

function killCase(verb: 'ADD' | 'DEL'): Case {
  return {
    id: `kill-in-${verb.toLowerCase()}`,
    title: `${verb} killed at every system call, then DEL`,
    part: 'endurance',
    clauses: ['robust.kill'],
    when: ({ type }) => !['static', 'loopback', 'host-device', 'sbr'].includes(type),
    seconds: 600,
    run: context => {
      context.requireKernel()
      if (!context.world.try('strace', '-V')) throw new NotTestable('needs the command strace (Debian package strace)')
      const config = withLeases(context)
      // Someone else is on the network throughout, so that everything shared is there.
      const keeper = context.attachment()
      context.mustAdd(keeper, { config })
      const options = { config }
      const attachment = context.attachment()
      context.mustAdd(attachment, options)
      if (verb === 'ADD') context.must('DEL', attachment, options)
      const before = verb === 'ADD' ? context.world.snapshot() : undefined
      const places = placesToDie(context, verb, attachment, options)
      if (verb === 'ADD') context.must('DEL', attachment, options)
      const clean = before ?? context.world.snapshot()
      const most = Math.max(12, Math.round(400 * context.effort))
      const victim = { verb, attachment, keeper, options, clean }
      for (const [index, death] of sampled(places, most).entries()) {
        // Now and then the runtime forgets the container altogether: then GC has to do.
        const byGc = context.supports('1.1.0') && index % 4 === 3
        if (!dieAndRecover(context, victim, death, byGc)) return
      }
    }
  }
}

interface Victim {
  readonly verb: 'ADD' | 'DEL'
  readonly attachment: Attachment
  readonly keeper: Attachment
  readonly options: CallOptions
  /** The host without the victim. */
  readonly clean: readonly string[]
}

/** One death and what follows. @returns whether the host is as before */
function dieAndRecover(context: Context, victim: Victim, { syscall, nth }: Death, byGc: boolean): boolean {
  const { verb, attachment, keeper, options, clean } = victim
  const where = `${verb} killed at ${syscall} number ${nth}`
  const say = (holds: boolean, expected: string, seen: () => string) =>
    context.judge('robust.kill', holds, `${where}: ${expected}`, seen)
  if (verb === 'DEL') context.mustAdd(attachment, options)
  const inject = `inject=${syscall}:signal=KILL:when=${nth}`
  const wrapper = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${syscall}`, '-e', inject]
  context.call(verb, attachment, { ...options, wrapper, timeoutMs: 60_000 })
  let sound = true
  if (byGc) {
    const list = [{ containerID: keeper.containerId, ifname: keeper.ifName }]
    const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }
    const config = { ...options.config, 'cni.dev/valid-attachments': list }
    const gc = context.call('GC', attachment, { env, config })
    sound = say(succeeded(gc), 'GC succeeds', () => describeOutcome(gc))
    const left = leftovers(context, clean)
    sound = say(left.length === 0, 'after GC the host is as before', () => left.join('; ')) && sound
  }
  const del = context.call('DEL', attachment, { ...options, noPrevResult: true })
  sound = say(succeeded(del), 'DEL succeeds', () => describeOutcome(del)) && sound
  const left = leftovers(context, clean)
  sound = say(left.length === 0, 'after DEL the host is as before', () => left.join('; ')) && sound
  const inside = attachment.netns.inside(() => context.world.links().map(link => link['ifname']))
  const gone = context.profile.role !== 'interface' || !inside.includes(attachment.ifName)
  return say(gone, 'after DEL the interface is gone', () => inside.join(', ')) && sound
}

const STATE_PARENTS = ['/var/lib/cni', '/run/cni', '/run/patchbay']

const DISK: Case = {
  id: 'disk-full-or-read-only',
  title: 'no room, or no right, to keep state',
  part: 'endurance',
  clauses: ['robust.disk'],
  when: ({ type }) => !['static', 'loopback', 'host-device'].includes(type),
  seconds: 120,
  run: context => {
    context.requireKernel()
    const config = withLeases(context)
    for (const kind of ['full', 'read-only']) {
      const attachment = context.attachment()
      const before = context.world.snapshot()
      for (const folder of STATE_PARENTS) {
        mkdirSync(folder, { recursive: true })
        mount('tmpfs', folder, { data: 'size=16k,mode=755' })
        if (kind === 'full') fill(join(folder, 'filler'))
        else mount('tmpfs', folder, { flags: MS_REMOUNT | MS_RDONLY })
      }
      const add = context.call('ADD', attachment, { config })
      for (const folder of STATE_PARENTS) unmount(folder)
      const honest = succeeded(add) || isObject(parsed(add.stdout))
      context.judgeOutcome('robust.disk', honest, `disk ${kind}: ADD succeeds, or fails with an error object`, add)
      if (!succeeded(add)) {
        const left = leftovers(context, before)
        context.judge('robust.disk', left.length === 0, `disk ${kind}: a failed ADD leaves nothing`, () =>
          left.join('; ')
        )
      }
      const del = context.call('DEL', attachment, { config })
      context.judgeOutcome('robust.disk', succeeded(del), `disk ${kind}: DEL succeeds once there is room again`, del)
    }
  }
}

function fill(path: string): void {
  for (const size of [4096, 1]) {
    try {
      for (let i = 0; i < 20; i += 1) writeFileSync(path, 'x'.repeat(size), { flag: 'a' })
    } catch {
      // Full: that is the purpose.
    }
  }
}

/** Sets all times of the plugin's files, as a clock that was set makes them look. */
function date(context: Context, seconds: number): void {
  for (const line of context.world.snapshot()) {
    const file = /^file (\S+)/.exec(line)?.[1]
    if (file !== undefined) utimesSync(file, seconds, seconds)
  }
}

const TEN_YEARS_S = 10 * 365 * 86_400

const CLOCK: Case = {
  id: 'clock-set',
  title: 'the clock is set back ten years, then forward, between the calls',
  part: 'endurance',
  clauses: ['robust.clock'],
  when: ({ type }) => !['static', 'loopback', 'host-device'].includes(type),
  seconds: 120,
  run: context => {
    const config = withLeases(context)
    const before = context.world.snapshot()
    const say = (when: string, verb: string, attachment: Attachment) => {
      const outcome = context.call(verb, attachment, { config })
      context.judgeOutcome('robust.clock', succeeded(outcome), `${when}: ${verb} succeeds`, outcome)
    }
    const now = Date.now() / 1000
    for (const [when, seconds] of [
      ['files from the future', now + TEN_YEARS_S],
      ['files from 1970', 0]
    ] as const) {
      const first = context.attachment()
      context.mustAdd(first, { config })
      // One whose CHECK is never content proves nothing here.
      const canCheck = context.supports('0.4.0') && succeeded(context.call('CHECK', first, { config }))
      date(context, seconds)
      if (canCheck) say(when, 'CHECK', first)
      const second = context.attachment()
      say(when, 'ADD', second)
      const given = [first, second].flatMap(({ result }) => objects(result?.['ips']).map(ip => ip['address']))
      const seen = () => given.join(', ')
      context.judge('robust.clock', new Set(given).size === given.length, `${when}: no address is given twice`, seen)
      date(context, seconds)
      say(when, 'DEL', first)
      say(when, 'DEL', second)
      const left = leftovers(context, before)
      context.judge('robust.clock', left.length === 0, `${when}: the host is as before`, () => left.join('; '))
    }
  }
}

const STATE: Case = {
  id: 'state-damaged',
  title: 'damaged files of its own state',
  part: 'hostile',
  clauses: ['robust.state'],
  seconds: 120,
  run: context => {
    const config = withLeases(context)
    const damage: readonly (readonly [string, string | Uint8Array])[] = [
      ['empty', ''],
      ['garbage', '\u0000\u0001{{{"'],
      ['long', 'x'.repeat(100_000)],
      ['another kind of JSON', '[1,2,3]']
    ]
    for (const [how, content] of damage) {
      const attachment = context.attachment()
      context.mustAdd(attachment, { config })
      const files = context.world.snapshot().flatMap(line => /^file (\S+)/.exec(line)?.[1] ?? [])
      for (const file of files) writeFileSync(file, content)
      const del = context.call('DEL', attachment, { config })
      context.judgeOutcome('robust.state', succeeded(del), `state files ${how}: DEL succeeds`, del)
      const next = context.attachment()
      const add = context.call('ADD', next, { config })
      context.judgeOutcome('robust.state', succeeded(add), `state files ${how}: another ADD succeeds`, add)
      context.call('DEL', next, { config })
      for (const file of files) rmSync(file, { force: true })
    }
  }
}

type Condition = 'absent' | 'attached' | 'unknown'

const HISTORY: Case = {
  id: 'random-history',
  title: 'random ADD, CHECK, DEL and kill, against a model',
  part: 'endurance',
  clauses: ['robust.random'],
  when: ({ type }) => ['bridge', 'ptp', 'macvlan', 'host-local'].includes(type),
  seconds: 1800,
  run: context => {
    context.requireKernel()
    const steps = Math.max(60, Math.round(10_000 * context.effort))
    const random = new Random(context.seed)
    const options = { config: withLeases(context) }
    const boxes = Array.from({ length: 5 }, () => ({
      attachment: context.attachment(),
      condition: 'absent' as Condition
    }))
    const before = context.world.snapshot()
    const say = (holds: boolean, step: number, expected: string, seen: () => string) =>
      context.judge('robust.random', holds, `seed ${context.seed}, step ${step}: ${expected}`, seen)
    for (let step = 1; step <= steps; step += 1) {
      const box = boxes[random.below(boxes.length)]
      if (box === undefined) continue
      const { attachment } = box
      const dice = random.below(10)
      if (box.condition === 'absent' && dice < 7) {
        const outcome = context.call('ADD', attachment, options)
        if (!say(succeeded(outcome), step, 'ADD succeeds', () => describeOutcome(outcome))) return
        box.condition = 'attached'
      } else if (box.condition === 'absent') {
        const wrapper = ['timeout', '-s', 'KILL', String((1 + random.below(12)) / 1000)]
        context.call('ADD', attachment, { ...options, wrapper })
        box.condition = 'unknown'
      } else if (box.condition === 'attached' && dice < 4 && context.supports('0.4.0')) {
        const outcome = context.call('CHECK', attachment, options)
        if (!say(succeeded(outcome), step, 'CHECK succeeds', () => describeOutcome(outcome))) return
      } else {
        const outcome = context.call('DEL', attachment, { ...options, noPrevResult: random.below(2) === 0 })
        if (!say(succeeded(outcome), step, 'DEL succeeds', () => describeOutcome(outcome))) return
        box.condition = 'absent'
      }
      if (step % 50 === 0 || step === steps) {
        const wanted = boxes.filter(({ condition }) => condition === 'attached').length
        const unknown = boxes.filter(({ condition }) => condition === 'unknown').length
        const leases = context.world
          .snapshot()
          .filter(line => /^file \/var\/lib\/cni\/networks\/[^/]+\/[0-9.]+ /.test(line)).length
        const holds = leases >= wanted && leases <= wanted + unknown
        if (!say(holds, step, `${wanted} to ${wanted + unknown} leases`, () => `${leases} leases`)) return
      }
    }
    for (const { attachment } of boxes) context.must('DEL', attachment, { ...options, noPrevResult: true })
    const left = leftovers(context, before)
    say(left.length === 0, steps, 'after the last DEL the host is as before', () => left.join('; '))
  }
}

export const ENDURANCE_CASES: readonly Case[] = [killCase('ADD'), killCase('DEL'), DISK, CLOCK, STATE, HISTORY]
