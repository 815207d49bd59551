/** What is printed where, how calls end, and the error object. */
import { type Attachment, type CallOptions, type Case, type Context, hasLinkKind } from '../case.ts'
import { errorCode, type Outcome, printed, succeeded } from '../plugin-call.ts'
import { atLeast } from '../versions.ts'

/** Calls that must fail, of different causes. */
function failures(context: Context): readonly (readonly [string, string, CallOptions])[] {
  const found: (readonly [string, string, CallOptions])[] = [
    ['unknown verb', 'FROB', {}],
    ['no JSON', 'ADD', { stdin: '{' }],
    ['unsupported version', 'ADD', { config: { cniVersion: '9.9.9' } }],
    ['no container ID', 'ADD', { env: { CNI_CONTAINERID: undefined } }],
    ['no name', 'ADD', { config: { name: undefined } }]
  ]
  const { role, kernelKind } = context.profile
  const possible = kernelKind === undefined || hasLinkKind(context.world, kernelKind)
  if (role === 'interface' && possible) {
    found.push(['IPAM not found', 'ADD', { config: { ipam: { type: 'no-such-plugin' } } }])
    found.push(['no such namespace', 'ADD', { env: { CNI_NETNS: '/run/netns/none' } }])
  }
  return found
}

/** The codes below 100 that have a meaning: the specification's, and what libcni adds. */
const KNOWN_CODES = [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51]

function judgeSilence(context: Context, verb: string, attachment: Attachment, options: CallOptions = {}): void {
  const outcome = context.call(verb, attachment, options)
  if (!succeeded(outcome)) return
  context.judgeOutcome('out.silent', outcome.stdout === '', `${verb} prints nothing on stdout`, outcome)
}

export const OUTPUT_CASES: readonly Case[] = [
  {
    id: 'output-success',
    title: 'stdout of calls that succeed',
    part: 'protocol',
    clauses: ['out.one-object', 'out.silent', 'out.exit'],
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const add = context.call('ADD', attachment)
      context.judgeOutcome('out.exit', succeeded(add), 'ADD succeeds and exits 0', add)
      context.judgeOutcome('out.one-object', printed(add) !== undefined, 'one JSON object, nothing else', add)
      if (context.supports('0.4.0')) judgeSilence(context, 'CHECK', attachment)
      if (context.supports('1.1.0')) {
        judgeSilence(context, 'STATUS', attachment)
        const valid = [{ containerID: attachment.containerId, ifname: attachment.ifName }]
        judgeSilence(context, 'GC', attachment, { config: { 'cni.dev/valid-attachments': valid } })
      }
      judgeSilence(context, 'DEL', attachment)
    }
  },
  {
    id: 'output-errors',
    title: 'the error object of calls that fail',
    part: 'protocol',
    clauses: ['out.exit', 'error.object', 'error.version', 'error.reserved', 'error.no-generic'],
    run: context => {
      for (const [what, verb, options] of failures(context)) {
        const outcome = context.call(verb, context.attachment(), options)
        context.judgeOutcome('out.exit', !succeeded(outcome), `${what}: it exits with a status other than 0`, outcome)
        judgeErrorObject(context, what, outcome)
      }
    }
  }
]

function judgeErrorObject(context: Context, what: string, outcome: Outcome): void {
  const body = printed(outcome)
  const code = errorCode(outcome)
  const object = code !== undefined && typeof body?.['msg'] === 'string' && body['msg'] !== ''
  context.judgeOutcome('error.object', object, `${what}: an object with code and msg`, outcome)
  const version = body?.['cniVersion']
  context.judgeOutcome(
    'error.version',
    typeof version === 'string' && version !== '',
    `${what}: a cniVersion in it`,
    outcome
  )
  if (code === undefined) return
  const defined = code >= 100 || KNOWN_CODES.includes(code)
  context.judgeOutcome(
    'error.reserved',
    defined,
    `${what}: a code that the specification defines, or above 99`,
    outcome
  )
  if (atLeast(context.newest(), '1.0.0')) {
    context.judgeOutcome('error.no-generic', code !== 999, `${what}: a code that says what is wrong`, outcome)
  }
}
