/** How a plugin calls its IPAM plugin. */
import type { Case, Context } from '../case.ts'
import { isObject, type JsonObject, parsed, sameJson, stable } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { addressesOf } from '../result-form.ts'
import { type ReceivedCall, ScriptedPlugin } from '../scripted-plugin.ts'

function verbs(context: Context): readonly string[] {
  return context.ipam.calls().map(({ verb }) => verb)
}

/** The configuration as IPAM got it: all of it, in whatever order of keys. */
function judgeWhole(context: Context, call: ReceivedCall, config: JsonObject): void {
  const sent = parsed(call.stdin)
  const whole = isObject(sent) ? sent : {}
  for (const [key, value] of Object.entries(config)) {
    const expected = `${call.verb}: IPAM gets the key ${key} as configured`
    context.judge('delegate.configuration', sameJson(whole[key], value), expected, () => stable(sent))
  }
}

export const DELEGATION_CASES: readonly Case[] = [
  {
    id: 'delegate-call',
    title: 'IPAM gets the same verb, environment and whole configuration',
    part: 'protocol',
    clauses: [
      'delegate.environment',
      'delegate.configuration',
      'delegate.add',
      'delegate.once',
      'delegate.del',
      'delegate.check'
    ],
    roles: ['interface'],
    run: context => {
      const attachment = context.attachment()
      const env = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=judge', JUDGE_TRACE: '00-judge-01' }
      const args = { cni: {}, judge: { keys: [1, 'two', null] } }
      const runtimeConfig = { judge: [{ of: 'the runtime' }] }
      const ipam = { type: 'judge-ipam', own: { keys: [1, 'two', null] }, big: 1 }
      const config = { ipam, args, runtimeConfig, 'cni.dev/judge': true }
      context.mustAdd(attachment, { env, config })
      if (context.supports('0.4.0')) context.call('CHECK', attachment, { env, config })
      context.call('DEL', attachment, { env, config })
      const got = verbs(context)
      const judge = (clause: string, verb: string) =>
        context.judge(clause, got.includes(verb), `IPAM is asked to ${verb}`, () => got.join(', '))
      judge('delegate.add', 'ADD')
      const isOnce = got.filter(verb => verb === 'ADD').length < 2
      context.judge('delegate.once', isOnce, 'IPAM is asked to ADD once', () => got.join(', '))
      judge('delegate.del', 'DEL')
      if (context.supports('0.4.0')) judge('delegate.check', 'CHECK')
      for (const call of context.ipam.calls()) {
        const usual = context.env(call.verb, attachment, env)
        for (const [name, value] of Object.entries(usual)) {
          if (name === 'PATH') continue
          const expected = `${call.verb}: IPAM's ${name} is ${value}`
          context.judge('delegate.environment', call.env[name] === value, expected, () => String(call.env[name]))
        }
        const prevResult = context.prevResult(call.verb, attachment, context.newest())
        const before = prevResult === undefined ? {} : { prevResult }
        judgeWhole(context, call, context.config(context.newest(), { ...attachment.keys, ...config, ...before }))
      }
    }
  },
  {
    id: 'delegate-search',
    title: 'the folders of CNI_PATH are searched in order',
    part: 'protocol',
    clauses: ['delegate.search', 'delegate.search-order'],
    roles: ['interface'],
    run: context => {
      const second = new ScriptedPlugin(
        'judge-ipam',
        `${context.world.folder}/second`,
        `${context.world.folder}/second-records`
      )
      context.requireKernel()
      const env = { CNI_PATH: `/nowhere:${context.world.scriptDir}:${context.world.folder}/second` }
      const outcome = context.call('ADD', context.attachment(), { env })
      const first = verbs(context).includes('ADD')
      const other = second.calls().length
      const seen = () => `the second called ${other} times; ${describeOutcome(outcome)}`
      context.judge('delegate.search', first || other > 0, 'one in a later folder is found', seen)
      context.judge('delegate.search-order', first && other === 0, 'the first one found is called', seen)
    }
  },
  {
    id: 'delegate-missing',
    title: 'the IPAM plugin is nowhere',
    part: 'protocol',
    clauses: ['delegate.missing'],
    roles: ['interface'],
    run: context => {
      context.requireKernel()
      for (const type of ['no-such-plugin', '../judge-ipam', '/bin/true']) {
        const attachment = context.attachment()
        const outcome = context.call('ADD', attachment, { config: { ipam: { type } } })
        context.judgeOutcome('delegate.missing', !succeeded(outcome), `ADD with IPAM ${type} fails`, outcome)
        const names = attachment.netns.inside(() => context.world.links().map(link => link['ifname']))
        const clean = !names.includes(attachment.ifName)
        context.judge('delegate.missing', clean, 'no interface is left', () => names.join(', '))
      }
    }
  },
  {
    id: 'delegate-garbage',
    title: 'IPAM prints something else than a result',
    part: 'protocol',
    clauses: ['delegate.garbage'],
    roles: ['interface'],
    run: context => {
      context.requireKernel()
      const version = context.newest()
      const wrong = [
        '',
        'hello',
        '[]',
        `{"cniVersion":"${version}","ips":[{"address":"not an address"}]}`,
        `{"cniVersion":"${version}","ips":"10.0.0.1"}`
      ]
      for (const stdout of wrong) {
        const outcome = context.callWithAnswer('ADD', context.attachment(), { stdout })
        const expected = `IPAM printing ${JSON.stringify(stdout)}: ADD fails`
        context.judgeOutcome('delegate.garbage', !succeeded(outcome), expected, outcome)
      }
    }
  },
  {
    id: 'delegate-stderr',
    title: 'what IPAM writes on stderr',
    part: 'protocol',
    clauses: ['delegate.stderr'],
    roles: ['interface'],
    run: context => {
      context.requireKernel()
      const outcome = context.callWithAnswer('ADD', context.attachment(), {
        stdout: '{"code":100,"msg":"x"}',
        status: 1,
        stderr: 'words-of-ipam\n'
      })
      const passed = outcome.stderr.includes('words-of-ipam')
      context.judge('delegate.stderr', passed, 'words-of-ipam on stderr', () => describeOutcome(outcome))
    }
  },
  {
    id: 'delegate-del-always',
    title: 'DEL reaches IPAM whatever is gone',
    part: 'protocol',
    clauses: ['delegate.del-always'],
    roles: ['interface'],
    run: context => {
      context.requireKernel()
      const ways: readonly (readonly [string, Record<string, string | undefined>])[] = [
        ['without CNI_NETNS', { CNI_NETNS: undefined }],
        ['with a namespace that is gone', { CNI_NETNS: '/run/netns/gone' }],
        ['with an interface that is gone', {}]
      ]
      for (const [how, env] of ways) {
        context.ipam.forget()
        const outcome = context.call('DEL', context.attachment(), { env, noPrevResult: true })
        const got = verbs(context)
        const seen = () => `IPAM was asked ${got.join(', ') || 'nothing'}; ${describeOutcome(outcome)}`
        context.judge('delegate.del-always', got.includes('DEL'), `${how}: IPAM is asked to DEL`, seen)
      }
    }
  },
  {
    id: 'delegate-fails',
    title: 'CHECK and DEL of IPAM fail',
    part: 'protocol',
    clauses: ['delegate.error-returned'],
    roles: ['interface'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      const failure = { stdout: `{"cniVersion":"${context.newest()}","code":110,"msg":"lease lost"}`, status: 1 }
      for (const verb of ['CHECK', 'DEL']) {
        context.ipam.answer(verb, failure)
        const outcome = context.call(verb, attachment)
        context.judgeOutcome(
          'delegate.error-returned',
          !succeeded(outcome),
          `${verb} fails as that of IPAM does`,
          outcome
        )
        context.ipam.answer(verb, {})
      }
    }
  },
  {
    id: 'delegate-gc',
    title: 'GC reaches IPAM',
    part: 'protocol',
    clauses: ['delegate.gc', 'delegate.configuration'],
    roles: ['interface'],
    since: '1.1.0',
    run: context => {
      context.requireKernel()
      const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }
      const list = [{ containerID: 'judge-kept', ifname: 'eth0' }]
      const config = { 'cni.dev/valid-attachments': list, 'cni.dev/attachments': list }
      context.call('GC', context.attachment(), { env, config })
      // An IPAM plugin that is not told who lives takes everybody for dead.
      for (const call of context.ipam.calls()) judgeWhole(context, call, context.config(context.newest(), config))
      const got = verbs(context)
      context.judge('delegate.gc', got.includes('GC'), 'IPAM is asked to GC', () => got.join(', '))
    }
  },
  {
    id: 'delegate-versions',
    title: 'results of IPAM in every version',
    part: 'protocol',
    clauses: ['delegate.versions'],
    roles: ['interface'],
    run: context => {
      for (const version of context.versions()) {
        const attachment = context.attachment()
        const result = context.mustAdd(attachment, { version })
        const got = addressesOf(result)
        const wanted = attachment.parts.ips.map(({ address }) => address)
        const holds = wanted.every(address => got.includes(address))
        context.judge('delegate.versions', holds, `in ${version}: ${wanted.join(', ')}`, () => got.join(', '))
        context.call('DEL', attachment, { version })
      }
    }
  }
]
