/** Environment variables: which verb needs which, and what their values may be. */
import type { Case, Context } from '../case.ts'
import { describeOutcome, errorCode, type Outcome, succeeded } from '../plugin-call.ts'
import { atLeast } from '../versions.ts'

/** The verbs that a container is named to, as far as the plugin's version knows them. */
function containerVerbs(context: Context): readonly string[] {
  return atLeast(context.newest(), '0.4.0') ? ['ADD', 'DEL', 'CHECK'] : ['ADD', 'DEL']
}

function refusedWith(outcome: Outcome, code: number): boolean {
  return !succeeded(outcome) && errorCode(outcome) === code
}

function missing(variable: string, clause: string, verbs: (context: Context) => readonly string[]): Case {
  return {
    id: `env-without-${variable.toLowerCase().replace('cni_', '')}`,
    title: `${variable} missing`,
    part: 'protocol',
    clauses: [clause],
    run: context => {
      for (const verb of verbs(context)) {
        for (const value of [undefined, '']) {
          const outcome = context.call(verb, context.attachment(), { env: { [variable]: value } })
          const how = value === undefined ? 'without' : 'with empty'
          context.judgeOutcome(clause, refusedWith(outcome, 4), `${verb} ${how} ${variable} fails with code 4`, outcome)
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
    clauses: ['env.command', 'env.command-case'],
    run: context => {
      for (const verb of ['REMOVE', 'ADD ', 'ADD\n']) {
        const outcome = context.call(verb, context.attachment())
        context.judgeOutcome(
          'env.command',
          refusedWith(outcome, 4),
          `${JSON.stringify(verb)} fails with code 4`,
          outcome
        )
      }
      const lower = context.call('add', context.attachment())
      context.judgeOutcome('env.command-case', refusedWith(lower, 4), '`add` fails with code 4', lower)
    }
  },
  missing('CNI_CONTAINERID', 'env.container-id', containerVerbs),
  missing('CNI_NETNS', 'env.netns', context => containerVerbs(context).filter(verb => verb !== 'DEL')),
  missing('CNI_IFNAME', 'env.ifname', containerVerbs),
  {
    id: 'env-container-id-form',
    title: 'container IDs that are none',
    part: 'protocol',
    clauses: ['env.container-id-form'],
    run: context => {
      for (const containerId of BAD_IDS) {
        const outcome = context.call('ADD', context.attachment({ containerId }))
        const expected = `ADD of container ${JSON.stringify(containerId)} fails with code 4`
        context.judgeOutcome('env.container-id-form', refusedWith(outcome, 4), expected, outcome)
      }
    }
  },
  {
    id: 'env-ifname-form',
    title: 'interface names that the kernel would not take',
    part: 'protocol',
    clauses: ['env.ifname-form'],
    run: context => {
      const attachment = context.attachment()
      for (const name of BAD_NAMES) {
        const outcome = context.call('ADD', attachment, { env: { CNI_IFNAME: name } })
        const expected = `ADD of interface ${JSON.stringify(name)} fails with code 4`
        context.judgeOutcome('env.ifname-form', refusedWith(outcome, 4), expected, outcome)
      }
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
    clauses: ['env.missing-named'],
    run: context => {
      const env = { CNI_CONTAINERID: undefined, CNI_IFNAME: undefined, CNI_NETNS: undefined }
      const outcome = context.call('ADD', context.attachment(), { env })
      const named = Object.keys(env).every(name => outcome.stdout.includes(name))
      context.judgeOutcome('env.missing-named', named, `the error names ${Object.keys(env).join(', ')}`, outcome)
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
