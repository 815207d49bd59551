/** The configuration on stdin: JSON, the network's name, keys of others, letter case. */
import type { Attachment, Case, Context } from '../case.ts'
import { isObject, type JsonObject } from '../json.ts'
import { errorCode, succeeded } from '../plugin-call.ts'
import { difference } from '../world.ts'

const NOT_OBJECTS = ['', 'not json', '{"name":', '[]', '"text"', '7', 'null', '{"cniVersion":"1.0.0"} {}', '\u0000']

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

export const CONFIGURATION_CASES: readonly Case[] = [
  {
    id: 'stdin-not-json',
    title: 'input that is no JSON object',
    part: 'protocol',
    clauses: ['stdin.not-json'],
    run: context => {
      for (const stdin of NOT_OBJECTS) {
        const outcome = context.call('ADD', context.attachment(), { stdin })
        const code = errorCode(outcome)
        // Null and lists are JSON, only not a configuration: a decoding or a configuration error, both say it.
        const holds = !succeeded(outcome) && (code === 6 || code === 7)
        context.judgeOutcome(
          'stdin.not-json',
          holds,
          `ADD with input ${JSON.stringify(stdin)} fails with code 6`,
          outcome
        )
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
    id: 'stdin-keys-of-others',
    title: 'keys that are meant for others',
    part: 'protocol',
    clauses: ['stdin.unknown-keys'],
    run: context => {
      const config = {
        capabilities: { portMappings: true, nothing: false },
        args: { labels: [{ key: 'a', value: 'b' }], cni: { labels: [] } },
        'cni.dev/something': { deep: [1, 2, { x: null }] },
        nerdctlID: 'f00',
        nerdctlLabels: {},
        ignoredByAll: null
      }
      const attachment = context.attachment()
      context.requireKernel()
      const add = context.call('ADD', attachment, { config })
      context.judgeOutcome('stdin.unknown-keys', succeeded(add), 'ADD succeeds', add)
      const del = context.call('DEL', attachment, { config })
      context.judgeOutcome('stdin.unknown-keys', succeeded(del), 'DEL succeeds', del)
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
      const code = errorCode(outcome) ?? 0
      const typed = !succeeded(outcome) && ((code >= 2 && code <= 7) || code >= 100)
      context.judgeOutcome(
        'stdin.wrong-type',
        typed,
        `ADD with ${JSON.stringify(config)} fails with a code of its own`,
        outcome
      )
      const { added, removed } = difference(before, context.world.snapshot())
      const changed = [...added, ...removed]
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
