/** The configuration on stdin: JSON, the network's name, keys of others, letter case. */
import type { Attachment, Case, Context } from '../case.ts'
import { isObject, type JsonObject } from '../json.ts'
import { errorBody, errorCode, succeeded } from '../plugin-call.ts'
import { difference } from '../world.ts'
import { isLock } from './add.ts'

const NOT_OBJECTS = ['', 'not json', '{"name":', '[]', '"text"', '7', 'null', '\u0000']

/** The same JSON with every key's letters turned round: `isGateway` becomes `ISgATEWAY`. */
function otherCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(one => otherCase(one))
  if (typeof value !== 'object' || value === null) return value
  const turn = (key: string) => [...key].map(c => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())).join('')
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [turn(key), otherCase(one)]))
}

function wrongType(context: Context): JsonObject | undefined {
  const { type, wrongType: wrong } = context.profile
  if (type === 'host-local') return { ipam: { type, ranges: [[{ subnet: 7 }]] } }
  if (type === 'static') return { ipam: { type, addresses: [{ address: 7 }] } }
  return wrong
}

/** The same JSON in another layout: keys the other way round, a line for each, letters and slashes escaped. */
function otherLayout(value: unknown): string {
  const turned = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(turned)
    if (!isObject(one)) return one
    return Object.fromEntries(
      Object.entries(one)
        .reverse()
        .map(([key, each]) => [key, turned(each)])
    )
  }
  const text = JSON.stringify(turned(value), undefined, '\t')
  return `\n${text.replaceAll('judge', '\\u006audge').replaceAll('/', '\\/')}\n`
}

export const CONFIGURATION_CASES: readonly Case[] = [
  {
    id: 'stdin-not-json',
    title: 'input that is no JSON object',
    part: 'protocol',
    clauses: ['stdin.not-json', 'stdin.not-json-code'],
    run: context => {
      for (const stdin of NOT_OBJECTS) {
        const outcome = context.call('ADD', context.attachment(), { stdin })
        const what = `ADD with input ${JSON.stringify(stdin)}`
        const failed = context.judgeOutcome('stdin.not-json', !succeeded(outcome), `${what} fails`, outcome)
        if (!failed) continue
        const code = errorCode(outcome) ?? 0
        context.judgeOutcome('stdin.not-json-code', code >= 5 && code <= 7, `${what}: code 5, 6 or 7`, outcome)
      }
    }
  },
  {
    id: 'stdin-layout',
    title: 'configurations in another layout of JSON',
    part: 'protocol',
    clauses: ['stdin.layout'],
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const version = context.newest()
      for (const verb of ['ADD', 'DEL']) {
        const prevResult = context.prevResult(verb, attachment, version)
        const more = { ...attachment.keys, ...(prevResult === undefined ? {} : { prevResult }) }
        const outcome = context.call(verb, attachment, { stdin: otherLayout(context.config(version, more)) })
        const expected = `${verb} with other order, line breaks and escapes succeeds`
        context.judgeOutcome('stdin.layout', succeeded(outcome), expected, outcome)
      }
    }
  },
  {
    id: 'stdin-large',
    title: 'configurations larger than a page and than a pipe',
    part: 'protocol',
    clauses: ['stdin.large'],
    run: context => {
      context.requireKernel()
      for (const size of [5_000, 70_000]) {
        const attachment = context.attachment()
        const config = { args: { cni: {}, judge: 'x'.repeat(size) } }
        for (const verb of ['ADD', 'DEL']) {
          const outcome = context.call(verb, attachment, { config })
          const expected = `${verb} with ${size} bytes more succeeds`
          context.judgeOutcome('stdin.large', succeeded(outcome), expected, outcome)
        }
      }
    }
  },
  {
    id: 'stdin-name',
    title: 'the network name missing or malformed',
    part: 'protocol',
    clauses: ['stdin.name', 'stdin.name-form'],
    run: context => {
      for (const name of [undefined, '']) {
        const outcome = context.call('ADD', context.attachment(), { config: { name } })
        const holds = !succeeded(outcome) && errorCode(outcome) === 7
        context.judgeOutcome('stdin.name', holds, `ADD with name ${JSON.stringify(name)} fails with code 7`, outcome)
      }
      for (const name of ['a/b', '../up', '-dash', 'a b', 'a\nb']) {
        const outcome = context.call('ADD', context.attachment(), { config: { name } })
        context.judgeOutcome(
          'stdin.name-form',
          !succeeded(outcome),
          `ADD with name ${JSON.stringify(name)} fails`,
          outcome
        )
      }
    }
  },
  {
    id: 'stdin-name-chars',
    title: 'network names of every form that there is',
    part: 'protocol',
    clauses: ['stdin.name-chars'],
    run: context => {
      context.requireKernel()
      for (const name of ['My.judge_net-1', '7']) {
        const attachment = context.attachment()
        for (const verb of ['ADD', 'DEL']) {
          const outcome = context.call(verb, attachment, { config: { name } })
          context.judgeOutcome('stdin.name-chars', succeeded(outcome), `${verb} on network ${name} succeeds`, outcome)
        }
      }
    }
  },
  {
    id: 'stdin-keys-of-others',
    title: 'keys that are meant for others',
    part: 'protocol',
    clauses: ['stdin.reserved-keys', 'stdin.unknown-keys'],
    run: context => {
      const reserved = {
        args: { labels: [{ key: 'a', value: 'b' }], cni: { labels: [] } },
        'cni.dev/something': { deep: [1, 2, { x: null }] }
      }
      const foreign = { capabilities: { portMappings: true }, nerdctlLabels: {}, ignoredByAll: null }
      context.requireKernel()
      for (const [clause, config] of [
        ['stdin.reserved-keys', reserved],
        ['stdin.unknown-keys', foreign]
      ] as const) {
        const attachment = context.attachment()
        const keys = Object.keys(config).join(', ')
        for (const verb of ['ADD', 'DEL']) {
          const outcome = context.call(verb, attachment, { config })
          context.judgeOutcome(clause, succeeded(outcome), `${verb} with ${keys} succeeds`, outcome)
        }
      }
    }
  },
  {
    id: 'error-code-2',
    title: 'fields that a plugin may refuse',
    part: 'protocol',
    clauses: ['error.code-2'],
    run: context => {
      context.requireKernel()
      const unknown = { judgeField: 'judge-value' }
      const usual = context.config()
      const ipam = isObject(usual['ipam']) ? [{ ipam: { ...usual['ipam'], ...unknown } }] : []
      for (const config of [unknown, ...ipam]) {
        const attachment = context.attachment()
        const outcome = context.call('ADD', attachment, { config })
        const body = errorBody(outcome)
        const words = `${body?.['msg']} ${body?.['details']}`
        const named = words.includes('judgeField') && words.includes('judge-value')
        const holds = errorCode(outcome) !== 2 || named
        context.judgeOutcome('error.code-2', holds, 'code 2 comes with judgeField and judge-value', outcome)
        context.call('DEL', attachment, { config })
      }
    }
  },
  {
    id: 'stdin-key-case',
    title: 'keys in another letter case',
    part: 'protocol',
    clauses: ['stdin.key-case'],
    when: ({ type }) => type !== 'tuning',
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const outcome = context.call('ADD', attachment, { stdin: turned(context, attachment) })
      context.judgeOutcome('stdin.key-case', succeeded(outcome), 'ADD succeeds', outcome)
    }
  },
  {
    id: 'stdin-wrong-type',
    title: 'a known key with a value of the wrong type',
    part: 'protocol',
    clauses: ['stdin.wrong-type'],
    when: ({ wrongType: wrong }) => wrong !== undefined,
    run: context => {
      const config = wrongType(context)
      if (config === undefined) return
      const attachment = context.attachment()
      const before = context.world.snapshot()
      const outcome = context.call('ADD', attachment, { config })
      const expected = `ADD with ${JSON.stringify(config)} fails`
      context.judgeOutcome('stdin.wrong-type', !succeeded(outcome), expected, outcome)
      const { added, removed } = difference(before, context.world.snapshot())
      const changed = [...added, ...removed].filter(line => !isLock(line))
      context.judge('stdin.wrong-type', changed.length === 0, 'nothing is changed', () => changed.join('; '))
    }
  }
]

/** The usual input with the letters' case of the plugin's own keys turned round. */
function turned(context: Context, attachment: Attachment): string {
  const { cniVersion, name, type, ipam, ...own } = context.config()
  const prevResult = context.prevResult('ADD', attachment, context.newest())
  const turnedIpam = isObject(ipam) ? { ipam: { type: ipam['type'], ...turnedKeys({ ...ipam, type: undefined }) } } : {}
  return JSON.stringify({ cniVersion, name, type, ...turnedIpam, ...turnedKeys(own), prevResult })
}

function turnedKeys(value: JsonObject): JsonObject {
  const other = otherCase(value)
  return isObject(other) ? other : {}
}
