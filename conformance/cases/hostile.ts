/** Input from somebody who means ill, or whose program is broken. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Blocked, type Case, type Context } from '../case.ts'
import { isObject, parsed } from '../json.ts'
import { describeOutcome, type Outcome, succeeded } from '../plugin-call.ts'
import { Random } from '../random.ts'

/** Values that have broken parsers before. */
const ODD_VALUES: readonly [string, ...string[]] = [
  'null',
  'true',
  '-1',
  '0',
  '1e999',
  '18446744073709551616',
  '9007199254740993',
  '0.5',
  '-0',
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"a/../../etc"',
  `"${'x'.repeat(5000)}"`,
  '[]',
  '{}',
  '[[[[[]]]]]',
  '{"":{}}',
  '"10.0.0.0/33"',
  '"::ffff:300.1.1.1"',
  '"fe80::1%eth0"',
  '"00:00:00:00:00:00:00"',
  '"\\n"',
  '"%s%n"'
]

const ODD_TEXTS: readonly [string, ...string[]] = [
  '',
  ' ',
  '-',
  '..',
  '/',
  '/proc/self/ns/net',
  '/proc/1/ns/mnt',
  'a'.repeat(300),
  '%n%s',
  'é',
  '\u0001',
  'a\nb',
  '{}',
  '0'
]

/** A document that is like the given one but for a few places. */
function mutated(text: string, random: Random): string {
  const kind = random.below(8)
  if (kind === 0) return text.slice(0, random.below(text.length))
  if (kind === 1) {
    const at = random.below(text.length)
    return text.slice(0, at) + String.fromCharCode(random.below(128)) + text.slice(at + 1)
  }
  if (kind === 2) return text.repeat(2)
  if (kind === 3) return `${'['.repeat(1 + random.below(3000))}${text}`
  const document: unknown = parsed(text)
  return odd(document, random, 1 + random.below(3))
}

/** The document as text with up to `count` of its values replaced. */
function odd(document: unknown, random: Random, count: number): string {
  const paths = pathsOf(document)
  const chosen = new Set(Array.from({ length: count }, () => paths[random.below(paths.length)]))
  const render = (value: unknown, path: string): string => {
    if (chosen.has(path)) return random.pick(ODD_VALUES)
    if (Array.isArray(value)) return `[${value.map((one, i) => render(one, `${path}/${i}`)).join(',')}]`
    if (!isObject(value)) return JSON.stringify(value) ?? 'null'
    const members = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}:${render(one, `${path}/${key}`)}`)
    return `{${members.join(',')}}`
  }
  return render(document, '')
}

function pathsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return [path, ...value.flatMap((one, i) => pathsOf(one, `${path}/${i}`))]
  if (!isObject(value)) return [path]
  return [path, ...Object.entries(value).flatMap(([key, one]) => pathsOf(one, `${path}/${key}`))]
}

/** What must hold of every call, however senseless. */
function judgeCall(context: Context, what: string, verb: string, outcome: Outcome): void {
  const say = (holds: boolean, expected: string) =>
    context.judge('robust.input', holds, `${what}: ${expected}`, () => describeOutcome(outcome))
  say(outcome.signal === undefined, 'no crash')
  const silent = outcome.stdout === ''
  const object = isObject(parsed(outcome.stdout))
  if (!succeeded(outcome)) say(object, 'an error object, nothing else')
  else say(verb === 'ADD' || verb === 'VERSION' ? object : silent || object, 'one JSON object or nothing')
}

/** The interfaces inside, read without starting anything. */
function interfacesInside(): readonly string[] {
  const lines = readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n').slice(2)
  return lines.flatMap(line => line.split(':')[0]?.trim() || [])
}

const FUZZ: Case = {
  id: 'fuzz-input',
  title: 'mutated configurations and variables',
  part: 'hostile',
  clauses: ['robust.input'],
  seconds: 900,
  run: context => {
    const random = new Random(context.seed)
    const rounds = Math.max(40, Math.round(2000 * context.effort))
    const attachment = context.attachment()
    const usual = attachment.netns.inside(interfacesInside)
    const prevResult = context.prevResult('ADD', attachment, context.newest())
    const config = context.config(context.newest(), prevResult === undefined ? {} : { prevResult })
    const text = JSON.stringify(config)
    const names = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS', 'CNI_PATH', 'CNI_COMMAND'] as const
    for (let round = 1; round <= rounds; round += 1) {
      const verb = random.pick(['ADD', 'ADD', 'ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'])
      const env = random.below(5) === 0 ? { [random.pick(names)]: random.pick(ODD_TEXTS) } : {}
      const what = `seed ${context.seed}, round ${round}`
      let outcome: Outcome
      try {
        outcome = context.call(verb, attachment, { stdin: mutated(text, random), env })
      } catch (error) {
        if (!(error instanceof Blocked)) throw error
        context.judge('robust.input', false, `${what}: it ends`, () => error.message)
        return
      }
      judgeCall(context, what, env['CNI_COMMAND'] ?? verb, outcome)
      const after = attachment.netns.inside(interfacesInside)
      const made = after.filter(name => !usual.includes(name))
      if (made.length === 0) continue
      const honest = succeeded(outcome) || made.every(name => name !== attachment.ifName)
      context.judge('robust.input', honest, `${what}: a failed call makes no interface`, () => describeOutcome(outcome))
      attachment.netns.inside(() => made.map(name => context.world.try('ip', 'link', 'del', name)))
    }
  }
}

const DEEP: Case = {
  id: 'huge-input',
  title: 'a megabyte of nesting, of text, of keys',
  part: 'hostile',
  clauses: ['robust.input'],
  run: context => {
    const attachment = context.attachment()
    const wide = Object.fromEntries(Array.from({ length: 50_000 }, (_none, i) => [`key${i}`, i]))
    const inputs: readonly (readonly [string, string])[] = [
      ['a million brackets', '['.repeat(1_000_000)],
      ['half a million objects', '{"a":'.repeat(500_000)],
      ['a name of a megabyte', JSON.stringify(context.config(context.newest(), { name: 'n'.repeat(1_000_000) }))],
      ['fifty thousand unknown keys', JSON.stringify(context.config(context.newest(), { unknown: wide }))],
      ['zero bytes', '\u0000'.repeat(100_000)]
    ]
    for (const [what, stdin] of inputs) judgeCall(context, what, 'ADD', context.call('ADD', attachment, { stdin }))
  }
}

const STREAMS: Case = {
  id: 'streams',
  title: 'closed and broken standard streams, and SIGTERM',
  part: 'hostile',
  clauses: ['robust.closed-stdout', 'robust.signals'],
  run: context => {
    context.requireKernel()
    const shells: readonly (readonly [string, string])[] = [
      ['stdout closed', 'exec "$0" >&-'],
      ['stdout a device that is full', 'exec "$0" >/dev/full'],
      ['stdout a pipe that nobody reads', '"$0" | :'],
      ['stderr closed', 'exec "$0" 2>&-']
    ]
    for (const [what, script] of shells) {
      const attachment = context.attachment()
      const outcome = context.call('ADD', attachment, { wrapper: ['/bin/sh', '-c', script] })
      const ended = outcome.status !== undefined && outcome.status < 128
      context.judgeOutcome('robust.closed-stdout', ended, `${what}: it ends by itself`, outcome)
      context.call('DEL', attachment)
    }
    const fifo = join(context.world.folder, 'fifo')
    context.world.run('mkfifo', fifo)
    // Opened for both, the pipe never ends: the plugin waits for input until it is told to go.
    const script = `exec timeout -k 3 -s TERM 0.5 "$0" <>${fifo}`
    const outcome = context.call('ADD', context.attachment(), { wrapper: ['/bin/sh', '-c', script] })
    context.judgeOutcome('robust.signals', outcome.status === 124, 'SIGTERM ends it', outcome)
  }
}

export const HOSTILE_CASES: readonly Case[] = [FUZZ, DEEP, STREAMS]
