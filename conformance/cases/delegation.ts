/** How a plugin calls its IPAM plugin. */
import type { Case, Context } from '../case.ts'
import { parsed, sameJson, stable } from '../json.ts'
import { describeOutcome, errorCode, succeeded } from '../plugin-call.ts'
import { addressesOf } from '../result-form.ts'
import { ScriptedPlugin } from '../scripted-plugin.ts'

function verbs(context: Context): readonly string[] {
  return context.ipam.calls().map(({ verb }) => verb)
}

export const DELEGATION_CASES: readonly Case[] = [
  {
    id: 'delegate-call',
    title: 'IPAM gets the same verb, environment and configuration',
    part: 'protocol',
    clauses: ['delegate.call', 'delegate.del', 'delegate.check'],
    roles: ['interface'],
    run: context => {
      const attachment = context.attachment()
      const env = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=judge' }
      const config = { ipam: { type: 'judge-ipam', own: { keys: [1, 'two', null] }, big: 1 }, args: { cni: {} } }
      context.mustAdd(attachment, { env, config })
      if (context.supports('0.4.0')) context.must('CHECK', attachment, { env, config })
      context.must('DEL', attachment, { env, config })
      const wanted = context.supports('0.4.0') ? ['ADD', 'CHECK', 'DEL'] : ['ADD', 'DEL']
      const got = verbs(context)
      context.judge(
        'delegate.call',
        wanted.every(verb => got.includes(verb)),
        wanted.join(', '),
        () => got.join(', ')
      )
      context.judge('delegate.del', got.includes('DEL'), 'IPAM is asked to DEL', () => got.join(', '))
      if (context.supports('0.4.0')) {
        context.judge('delegate.check', got.includes('CHECK'), 'IPAM is asked to CHECK', () => got.join(', '))
      }
      for (const call of context.ipam.calls()) {
        const usual = context.env(call.verb, attachment, env)
        for (const [name, value] of Object.entries(usual)) {
          if (name === 'PATH') continue
          const expected = `${call.verb}: IPAM's ${name} is ${value}`
          context.judge('delegate.call', call.env[name] === value, expected, () => String(call.env[name]))
        }
        const sent = parsed(call.stdin)
        const ipam = typeof sent === 'object' && sent !== null ? Reflect.get(sent, 'ipam') : undefined
        context.judge('delegate.call', sameJson(ipam, config.ipam), `${call.verb}: the key ipam as configured`, () =>
          stable(sent)
        )
      }
    }
  },
  {
    id: 'delegate-search',
    title: 'the folders of CNI_PATH are searched in order',
    part: 'protocol',
    clauses: ['delegate.search'],
    roles: ['interface'],
    run: context => {
      const second = new ScriptedPlugin(
        'judge-ipam',
        `${context.world.folder}/second`,
        `${context.world.folder}/second-records`
      )
      context.requireKernel()
      const env = { CNI_PATH: `/nowhere:${context.world.scriptDir}:${context.world.folder}/second` }
      context.call('ADD', context.attachment(), { env })
      const holds = verbs(context).includes('ADD') && second.calls().length === 0
      context.judge(
        'delegate.search',
        holds,
        'the first one found is called',
        () => `second called ${second.calls().length} times`
      )
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
        `{"cniVersion":"${version}","ips":"10.0.0.1"}`,
        '{"cniVersion":"7.0.0"}'
      ]
      for (const stdout of wrong) {
        const outcome = context.callWithAnswer('ADD', context.attachment(), { stdout })
        const clean = !succeeded(outcome) && errorCode(outcome) !== undefined
        const expected = `IPAM printing ${JSON.stringify(stdout)}: ADD fails with an error object`
        context.judge('delegate.garbage', clean, expected, () => describeOutcome(outcome))
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
    clauses: ['delegate.del'],
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
        context.judge('delegate.del', got.includes('DEL'), `${how}: IPAM is asked to DEL`, seen)
      }
    }
  },
  {
    id: 'delegate-check-fails',
    title: 'CHECK of IPAM fails',
    part: 'protocol',
    clauses: ['delegate.check'],
    roles: ['interface'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      context.ipam.answer('CHECK', { stdout: '{"code":110,"msg":"lease lost"}', status: 1 })
      const outcome = context.call('CHECK', attachment)
      context.judgeOutcome('delegate.check', !succeeded(outcome), 'CHECK fails', outcome)
    }
  },
  {
    id: 'delegate-newer-verbs',
    title: 'GC and STATUS reach IPAM',
    part: 'protocol',
    clauses: ['delegate.gc', 'delegate.status'],
    roles: ['interface'],
    since: '1.1.0',
    run: context => {
      context.requireKernel()
      const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }
      const config = { 'cni.dev/valid-attachments': [] }
      context.call('GC', context.attachment(), { env, config })
      context.judge('delegate.gc', verbs(context).includes('GC'), 'IPAM is asked to GC', () =>
        verbs(context).join(', ')
      )
      context.call('STATUS', context.attachment(), { env })
      const asked = verbs(context).includes('STATUS')
      context.judge('delegate.status', asked, 'IPAM is asked for its STATUS', () => verbs(context).join(', '))
      context.ipam.answer('STATUS', { stdout: '{"code":50,"msg":"no addresses"}', status: 1 })
      const outcome = context.call('STATUS', context.attachment(), { env })
      const holds = !succeeded(outcome) && errorCode(outcome) === 50
      context.judgeOutcome('delegate.status', holds, 'STATUS fails with code 50 as IPAM does', outcome)
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
