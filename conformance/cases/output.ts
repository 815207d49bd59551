/** What is printed where, how calls end, and the error object. */
import { type Attachment, type CallOptions, type Case, type Context, hasLinkKind } from '../case.ts'
import { errorBody, type Outcome, printed, succeeded } from '../plugin-call.ts'
import { atLeast } from '../versions.ts'

const IPAM_MISSING = 'IPAM not found'

/** Calls that must fail, of different causes. */
function failures(context: Context): readonly (readonly [string, string, CallOptions])[] {
  const found: (readonly [string, string, CallOptions])[] = [
    ['unknown verb', 'FROB', {}],
    ['no JSON', 'ADD', { stdin: '{' }],
    ['unsupported version', 'ADD', { config: { cniVersion: '9.9.9' } }],
    ['no container ID', 'ADD', { env: { CNI_CONTAINERID: undefined } }]
  ]
  const { role, kernelKind } = context.profile
  const possible = kernelKind === undefined || hasLinkKind(context.world, kernelKind)
  if (role === 'interface' && possible) {
    found.push([IPAM_MISSING, 'ADD', { config: { ipam: { type: 'no-such-plugin' } } }])
    found.push(['no such namespace', 'ADD', { env: { CNI_NETNS: '/run/netns/none' } }])
  }
  return found
}

/** The codes below 100 that have a meaning: the specification's, and 8 (namespace), which libcni adds. */
const KNOWN_CODES = [1, 2, 3, 4, 5, 6, 7, 8, 11, 50, 51]

function judgeSilence(context: Context, verb: string, attachment: Attachment, options: CallOptions = {}): void {
  const outcome = context.call(verb, attachment, options)
  if (!succeeded(outcome)) return
  // The text says so of CHECK, in an example, and of GC; of DEL and STATUS nothing.
  const clause = verb === 'CHECK' || verb === 'GC' ? 'out.silent' : 'out.silent-others'
  context.judgeOutcome(clause, outcome.stdout === '', `${verb} prints nothing on stdout`, outcome)
}

export const OUTPUT_CASES: readonly Case[] = [
  {
    id: 'output-success',
    title: 'stdout of calls that succeed',
    part: 'protocol',
    clauses: ['out.one-object', 'out.silent', 'out.silent-others', 'out.closed'],
    run: context => {
      context.requireKernel()
      const attachment = context.attachment()
      const add = context.must('ADD', attachment)
      context.judgeOutcome('out.one-object', printed(add) !== undefined, 'one JSON object, nothing else', add)
      const closed = !add.isHeld
      context.judgeOutcome('out.closed', closed, 'nobody holds stdout or stderr when the plugin has ended', add)
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
    clauses: ['out.exit', 'error.object', 'error.version', 'error.reserved', 'error.on-stdout', 'error.no-generic'],
    run: context => {
      for (const [what, verb, options] of failures(context)) {
        const outcome = context.call(verb, context.attachment(), options)
        // Whether it had to fail is for other clauses to say: here, that it does not do both.
        // A program that a signal ended has no exit status.
        context.judgeOutcome('out.exit', outcome.signal === undefined, `${what}: it exits`, outcome)
        const both = succeeded(outcome) && typeof printed(outcome)?.['code'] === 'number'
        context.judgeOutcome('out.exit', !both, `${what}: no error object together with status 0`, outcome)
        judgeErrorObject(context, what, outcome)
      }
    }
  }
]

function judgeErrorObject(context: Context, what: string, outcome: Outcome): void {
  if (succeeded(outcome)) return
  // The texts before 1.0.0 know stdout alone.
  const body = atLeast(context.newest(), '1.0.0') ? errorBody(outcome) : printed(outcome)
  const code = body?.['code']
  const object = typeof code === 'number' && typeof body?.['msg'] === 'string' && body['msg'] !== ''
  context.judgeOutcome('error.object', object, `${what}: an object with code and msg`, outcome)
  const onStdout = printed(outcome) !== undefined
  context.judgeOutcome('error.on-stdout', onStdout, `${what}: the object is on stdout`, outcome)
  const version = body?.['cniVersion']
  // Before it has read a configuration that it understands a plugin may name any version.
  const isRead = what === IPAM_MISSING
  const told = isRead ? version === context.newest() : typeof version === 'string' && version !== ''
  const wanted = isRead ? `cniVersion ${context.newest()}` : 'a cniVersion'
  context.judgeOutcome('error.version', told, `${what}: ${wanted} in it`, outcome)
  if (typeof code !== 'number') return
  const defined = code >= 100 || KNOWN_CODES.includes(code)
  const expected = `${what}: a code that the specification defines, or above 99`
  context.judgeOutcome('error.reserved', defined, expected, outcome)
  if (atLeast(context.newest(), '1.0.0')) {
    context.judgeOutcome('error.no-generic', code !== 999, `${what}: a code that says what is wrong`, outcome)
  }
}
