/** Environment variables: which verb needs which, and what their values may be. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Case, Context } from '../case.ts'
import { isObject, type JsonObject, parsed } from '../json.ts'
import { describeOutcome, errorBody, errorCode, type Outcome, printed, succeeded } from '../plugin-call.ts'
import { addressesOf } from '../result-form.ts'
import { atLeast } from '../versions.ts'
import { givesOneToAll } from './crowds.ts'

const PAUSE = new Int32Array(new SharedArrayBuffer(4))

/** A result that names another path for the same namespace. */
function withSandbox(result: JsonObject, from: string, to: string): JsonObject {
  const changed = parsed(JSON.stringify(result).replaceAll(from, to))
  return isObject(changed) ? changed : result
}

/** The verbs that a container is named to, as far as the plugin's version knows them. */
function containerVerbs(context: Context): readonly string[] {
  return atLeast(context.newest(), '0.4.0') ? ['ADD', 'DEL', 'CHECK'] : ['ADD', 'DEL']
}

/** Words that name a variable well enough without its prefix. */
const NAMES: Readonly<Record<string, RegExp>> = {
  CNI_COMMAND: /command/i,
  CNI_CONTAINERID: /container.?id/i,
  CNI_NETNS: /netns|network namespace/i,
  CNI_IFNAME: /if.?name|interface name/i
}

/** Whether CHECK is content with an ordinary attachment: one that never is says nothing about anything else. */
function checksAnyway(context: Context): boolean {
  if (!context.supports('0.4.0')) return false
  const plain = context.attachment()
  context.mustAdd(plain)
  const content = succeeded(context.call('CHECK', plain))
  context.must('DEL', plain)
  return content
}

/** Judges a call that must fail because of these variables. */
function judgeRefusal(
  context: Context,
  clause: string,
  what: string,
  result: { readonly outcome: Outcome; readonly variables: readonly string[] }
): void {
  const { outcome, variables } = result
  const failed = context.judgeOutcome(clause, !succeeded(outcome), `${what} fails`, outcome)
  if (!failed) return
  const code = errorCode(outcome)
  context.judgeOutcome('env.code', code === 4, `${what} fails with code 4`, outcome)
  if (code !== 4) return
  const body = errorBody(outcome)
  const words = `${body?.['msg']} ${body?.['details']}`
  const named = variables.every(name => words.includes(name) || NAMES[name]?.test(words) === true)
  context.judgeOutcome('env.missing-named', named, `${what}: the message names ${variables.join(', ')}`, outcome)
}

function missing(variable: string, clause: string, verbs: (context: Context) => readonly string[]): Case {
  return {
    id: `env-without-${variable.toLowerCase().replace('cni_', '')}`,
    title: `${variable} missing`,
    part: 'protocol',
    clauses: [clause, 'env.code', 'env.missing-named'],
    run: context => {
      for (const verb of verbs(context)) {
        for (const value of [undefined, '']) {
          const outcome = context.call(verb, context.attachment(), { env: { [variable]: value } })
          const how = value === undefined ? 'without' : 'with empty'
          judgeRefusal(context, clause, `${verb} ${how} ${variable}`, { outcome, variables: [variable] })
        }
      }
    }
  }
}

const BAD_IDS = ['-x', '_x', '.x', 'a/b', 'a b', '../a', 'a\nb', 'ä']
const BAD_NAMES = ['a/b', 'a:b', '.', '..', 'sixteen-bytes-xx', 'a b', 'a\tb']

export const PARAMETER_CASES: readonly Case[] = [
  {
    id: 'env-unknown-command',
    title: 'verbs that do not exist',
    part: 'protocol',
    clauses: ['env.command', 'env.code', 'env.missing-named', 'env.command-case'],
    run: context => {
      for (const verb of ['REMOVE', 'UPDATE']) {
        const outcome = context.call(verb, context.attachment())
        judgeRefusal(context, 'env.command', verb, { outcome, variables: ['CNI_COMMAND'] })
      }
      // A plugin that reads these as ADD breaks no sentence of the text.
      for (const verb of ['add', 'ADD ', 'ADD\n']) {
        const outcome = context.call(verb, context.attachment())
        context.judgeOutcome('env.command-case', !succeeded(outcome), `${JSON.stringify(verb)} fails`, outcome)
      }
    }
  },
  missing('CNI_CONTAINERID', 'env.container-id', containerVerbs),
  missing('CNI_NETNS', 'env.netns', context => containerVerbs(context).filter(verb => verb !== 'DEL')),
  missing('CNI_IFNAME', 'env.ifname', containerVerbs),
  {
    id: 'env-container-id-form',
    title: 'container IDs that are none',
    part: 'protocol',
    clauses: ['env.container-id-form', 'env.code', 'env.missing-named'],
    run: context => {
      for (const containerId of BAD_IDS) {
        const outcome = context.call('ADD', context.attachment({ containerId }))
        const what = `ADD of container ${JSON.stringify(containerId)}`
        judgeRefusal(context, 'env.container-id-form', what, { outcome, variables: ['CNI_CONTAINERID'] })
      }
    }
  },
  {
    id: 'env-container-id-chars',
    title: 'container IDs of every form that there is',
    part: 'protocol',
    clauses: ['env.container-id-chars'],
    when: ({ type }) => type !== 'host-device',
    run: context => {
      context.requireKernel()
      for (const containerId of ['Judge.box_1-x', '7', `judge-${'Z'.repeat(58)}`]) {
        const attachment = context.attachment({ containerId })
        const add = context.call('ADD', attachment)
        context.judgeOutcome('env.container-id-chars', succeeded(add), `ADD of ${containerId} succeeds`, add)
        const del = context.call('DEL', attachment)
        context.judgeOutcome('env.container-id-chars', succeeded(del), `DEL of ${containerId} succeeds`, del)
      }
    }
  },
  {
    id: 'env-container-id-long',
    title: 'two containers whose IDs of 64 characters differ in the last one',
    part: 'protocol',
    clauses: ['env.container-id-long'],
    roles: ['interface', 'ipam', 'chained'],
    when: ({ type }) => type !== 'host-device',
    run: context => {
      const isShared = context.profile.role === 'ipam' && givesOneToAll(context, {})
      const one = context.attachment()
      const other = context.attachment()
      const given = addressesOf(context.mustAdd(one))
      const add = context.call('ADD', other)
      context.judgeOutcome('env.container-id-long', succeeded(add), 'ADD of the second succeeds', add)
      if (!succeeded(add)) return
      if (context.profile.role === 'ipam' && !isShared) {
        const second = addressesOf(printed(add) ?? {})
        const differ = second.every(address => !given.includes(address))
        context.judge('env.container-id-long', differ, 'addresses of their own', () => `${given}, ${second}`)
      }
      // A line may hold several elements of a set: how often the second is named is what counts.
      const mentions = () => context.world.snapshot().join('\n').split(other.containerId).length - 1
      const before = mentions()
      const del = context.call('DEL', one, { noPrevResult: true })
      context.judgeOutcome('env.container-id-long', succeeded(del), 'DEL of the first succeeds', del)
      const after = mentions()
      context.judge(
        'env.container-id-long',
        after === before,
        'what names the second stays',
        () => `${before}, ${after}`
      )
      if (context.profile.role !== 'interface') return
      const names = other.netns.inside(() => context.world.links().map(link => link['ifname']))
      const kept = names.includes(other.ifName)
      context.judge('env.container-id-long', kept, `the second keeps ${other.ifName}`, () => names.join(', '))
    }
  },
  {
    id: 'env-ifname-form',
    title: 'interface names that the kernel would not take',
    part: 'protocol',
    clauses: ['env.ifname-form', 'env.ifname-checked', 'env.code', 'env.missing-named'],
    run: context => {
      const attachment = context.attachment()
      for (const name of BAD_NAMES) {
        const outcome = context.call('ADD', attachment, { env: { CNI_IFNAME: name } })
        const what = `ADD of interface ${JSON.stringify(name)}`
        // To those that make no interface it is one that is not there.
        if (context.profile.role === 'interface')
          judgeRefusal(context, 'env.ifname-form', what, { outcome, variables: ['CNI_IFNAME'] })
        else context.judgeOutcome('env.ifname-checked', !succeeded(outcome), `${what} fails`, outcome)
      }
    }
  },
  {
    id: 'env-netns-of-process',
    title: 'the namespace by the path of a process in it',
    part: 'protocol',
    clauses: ['env.netns-of-process', 'del.vanished-netns'],
    roles: ['interface', 'chained', 'loopback', 'meta'],
    run: context => {
      const isChecked = checksAnyway(context)
      const attachment = context.attachment()
      const sleeper = attachment.netns.inside(() => spawn('sleep', ['60'], { stdio: 'ignore' }))
      const env = { CNI_NETNS: `/proc/${sleeper.pid}/ns/net` }
      const prev = context.prevResult('ADD', attachment, context.newest())
      const prevResult = prev === undefined ? undefined : withSandbox(prev, attachment.netns.path, env.CNI_NETNS)
      context.requireKernel()
      const add = context.call('ADD', attachment, { env, prevResult })
      const what = `with CNI_NETNS=${env.CNI_NETNS}`
      context.judgeOutcome('env.netns-of-process', succeeded(add), `ADD ${what} succeeds`, add)
      if (isChecked && succeeded(add)) {
        const check = context.call('CHECK', attachment, { env })
        context.judgeOutcome('env.netns-of-process', succeeded(check), `CHECK ${what} succeeds`, check)
      }
      sleeper.kill('SIGKILL')
      const until = Date.now() + 2000
      while (existsSync(env.CNI_NETNS) && Date.now() < until) Atomics.wait(PAUSE, 0, 0, 5)
      const del = context.call('DEL', attachment, { env })
      context.judgeOutcome('del.vanished-netns', succeeded(del), 'DEL succeeds when the process is gone', del)
    }
  },
  {
    id: 'env-bad-netns',
    title: 'namespaces that are none',
    part: 'protocol',
    clauses: ['env.netns-not-a-namespace'],
    roles: ['interface', 'loopback'],
    run: context => {
      context.requireKernel()
      for (const path of ['/etc/hostname', '/run/netns/not-there', '/dev/null', '/run', 'relative']) {
        const outcome = context.call('ADD', context.attachment(), { env: { CNI_NETNS: path } })
        context.judgeOutcome('env.netns-not-a-namespace', !succeeded(outcome), `ADD into ${path} fails`, outcome)
      }
    }
  },
  {
    id: 'env-all-missing',
    title: 'several variables missing at once',
    part: 'protocol',
    clauses: ['env.container-id', 'env.code', 'env.missing-named'],
    run: context => {
      const env = { CNI_CONTAINERID: undefined, CNI_IFNAME: undefined, CNI_NETNS: undefined }
      const outcome = context.call('ADD', context.attachment(), { env })
      const variables = Object.keys(env)
      judgeRefusal(context, 'env.container-id', 'ADD without any of them', { outcome, variables })
    }
  },
  {
    id: 'env-verbs-without-container',
    title: 'verbs that name no container',
    part: 'protocol',
    clauses: ['env.not-needed'],
    since: '1.1.0',
    run: context => {
      context.requireKernel()
      const env = { CNI_CONTAINERID: undefined, CNI_IFNAME: undefined, CNI_NETNS: undefined }
      for (const verb of ['VERSION', 'STATUS', 'GC']) {
        const config = verb === 'GC' ? { 'cni.dev/valid-attachments': [] } : {}
        const outcome = context.call(verb, context.attachment(), { env, config })
        context.judgeOutcome('env.not-needed', succeeded(outcome), `${verb} succeeds without them`, outcome)
      }
    }
  },
  {
    id: 'env-empty',
    title: 'variables that are there and empty',
    part: 'protocol',
    clauses: ['env.empty'],
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const none = { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '', CNI_ARGS: '' }
      const list = { 'cni.dev/valid-attachments': [] }
      const calls = [
        ['ADD', { env: { CNI_ARGS: '' } }],
        ['DEL', { env: { CNI_ARGS: '' } }],
        ...(context.supports('1.1.0')
          ? ([
              ['STATUS', { env: none }],
              ['GC', { env: none, config: list }]
            ] as const)
          : [])
      ] as const
      for (const [verb, options] of calls) {
        const outcome = context.call(verb, attachment, options)
        const expected = `${verb} with ${Object.keys(options.env).join(', ')} empty succeeds`
        context.judgeOutcome('env.empty', succeeded(outcome), expected, outcome)
      }
    }
  },
  {
    id: 'env-args',
    title: 'CNI_ARGS',
    part: 'protocol',
    clauses: ['env.args-malformed', 'env.args-unknown'],
    roles: ['interface', 'ipam'],
    run: context => {
      context.requireKernel()
      if (takesArgs(context.profile.type)) {
        for (const text of ['MAC', 'IgnoreUnknown=1;=;x', 'a=b=c']) {
          const outcome = context.call('ADD', context.attachment(), { env: { CNI_ARGS: text } })
          const expected = `ADD with CNI_ARGS=${text} fails`
          context.judgeOutcome('env.args-malformed', !succeeded(outcome), expected, outcome)
          context.call('DEL', context.attachment())
        }
      }
      const podman = 'IgnoreUnknown=1;K8S_POD_NAME=x;K8S_POD_NAMESPACE=y;NERDCTL_CNI_DHCP_HOSTNAME=z'
      const attachment = context.attachment()
      const outcome = context.call('ADD', attachment, { env: { CNI_ARGS: podman } })
      context.judgeOutcome('env.args-unknown', succeeded(outcome), `ADD with CNI_ARGS=${podman} succeeds`, outcome)
      const del = context.call('DEL', attachment, { env: { CNI_ARGS: podman } })
      context.judgeOutcome('env.args-unknown', succeeded(del), `DEL with CNI_ARGS=${podman} succeeds`, del)
    }
  },
  {
    id: 'env-none',
    title: 'started by hand, without any variables',
    part: 'protocol',
    clauses: ['env.none'],
    run: context => {
      const none = { CNI_COMMAND: undefined, CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }
      const outcome = context.call('', context.attachment(), { env: { ...none, CNI_PATH: undefined }, stdin: '' })
      const banner = new RegExp(`^CNI ${context.profile.type} plugin (v[0-9]+\\.[0-9]+\\.[0-9]+|version unknown)`, 'm')
      const holds = outcome.status === 0 && outcome.stdout === '' && banner.test(outcome.stderr)
      context.judge('env.none', holds, `exit 0, stderr matching ${banner}`, () => describeOutcome(outcome))
    }
  }
]

/** Plugins that read CNI_ARGS at all: the others may ignore what it holds. */
function takesArgs(type: string): boolean {
  return ['bridge', 'macvlan', 'host-local', 'static'].includes(type)
}
