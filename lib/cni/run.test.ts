import { parsePrefix } from '../ip/prefix.ts'
import { SysError } from '../sys/errors.ts'
import { callEnv, callInMemory, type MemoryAnswer, testPlugin } from '../testing/memory-io.ts'
import { assert, suite } from '../testing/suite.ts'
import type { Request } from './plugin.ts'
import { EMPTY_RESULT, type Result } from './result.ts'
import { KNOWN_VERSIONS } from './version.ts'

const test = suite('lib/cni/run')

const VERBS = ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS'] as const
const CONFIG = { cniVersion: '1.1.0', name: 'blue', type: 'noop', 'cni.dev/valid-attachments': [] }

/** What the plugin answered with, read as JSON. */
function printed(answer: MemoryAnswer): Record<string, unknown> {
  return JSON.parse(answer.stdout)
}

function errorOf(answer: MemoryAnswer): { code: number; msg: string; details?: string; cniVersion: string } {
  assert.is(answer.status, 1)
  assert.is(answer.stderr, '', 'an error goes to standard output only')
  return JSON.parse(answer.stdout)
}

function prefix(text: string) {
  const value = parsePrefix(text)
  if (value === undefined) throw new Error(`bad prefix ${text}`)
  return value
}

const ONE_ADDRESS: Result = { ...EMPTY_RESULT, ips: [{ address: prefix('10.0.0.2/24') }] }

test('every verb reaches its own function and no other', () => {
  for (const verb of VERBS) {
    const called: string[] = []
    const note = (name: string) => (request: Request) => {
      called.push(`${name} ${request.command}`)
    }
    const plugin = {
      name: 'noop',
      since: '0.1.0',
      add: (request: Request) => {
        note('add')(request)
        return ONE_ADDRESS
      },
      del: note('del'),
      check: note('check'),
      gc: note('gc'),
      status: note('status')
    }
    const answer = callInMemory(plugin, { env: callEnv(verb), stdin: CONFIG })
    assert.equal(called, [`${verb.toLowerCase()} ${verb}`])
    assert.is(answer.status, 0)
    if (verb === 'ADD') assert.equal(printed(answer)['ips'], [{ address: '10.0.0.2/24' }])
    else assert.is(answer.stdout, '', 'only ADD prints')
  }
})

test('the request holds what the runtime handed over', () => {
  const seen: Request[] = []
  const plugin = testPlugin('noop', { any: request => void seen.push(request) })
  const env = callEnv('ADD', { CNI_ARGS: 'IgnoreUnknown=1;IP=10.0.0.9', TRACEPARENT: '00-aa-bb-01', BAGGAGE: 'a=b' })
  const prevResult = { interfaces: [{ name: 'eth0' }], ips: [{ address: '10.0.0.2/24', interface: 0 }] }
  callInMemory(plugin, { env, stdin: { ...CONFIG, MTU: 1400, prevResult } })
  const request = seen[0]
  assert.ok(request !== undefined)
  assert.is(request.containerId, 'c1')
  assert.is(request.ifName, 'eth0')
  assert.is(request.netns, '/run/netns/patchbay-test-absent')
  assert.is(request.network, 'blue')
  assert.is(request.cniVersion, '1.1.0')
  assert.is(request.args.get('IP'), '10.0.0.9')
  assert.is(request.config.integer('mtu', 0, 9000), 1400)
  assert.is(request.prevResult?.interfaces[0]?.name, 'eth0')
  assert.is(request.ipam.type(), '')
})

test('GC gets the list to keep, under either name', () => {
  for (const key of ['cni.dev/valid-attachments', 'cni.dev/attachments']) {
    const seen: Request[] = []
    const plugin = testPlugin('noop', { any: request => void seen.push(request) })
    const list = [{ containerID: 'a', ifname: 'eth0' }]
    const stdin = { cniVersion: '1.1.0', name: 'blue', [key]: list }
    assert.is(callInMemory(plugin, { env: callEnv('GC'), stdin }).status, 0)
    assert.equal(seen[0]?.validAttachments, [{ network: 'blue', containerId: 'a', ifName: 'eth0' }])
  }
})

test('GC takes null for an empty list, removes nothing without one, and refuses a wrong one', () => {
  const env = callEnv('GC')
  const base = { cniVersion: '1.1.0', name: 'blue' }
  const never = testPlugin('noop', {
    any: () => {
      throw new Error('called')
    }
  })
  const calm = testPlugin('noop')
  assert.is(callInMemory(calm, { env, stdin: { ...base, 'cni.dev/valid-attachments': null } }).status, 0)
  const without = callInMemory(never, { env, stdin: base })
  assert.equal([without.status, without.stdout], [0, ''])
  assert.match(without.stderr, /^noop: GC without cni\.dev\/valid-attachments removes nothing/)
  for (const wrong of [{}, 'all', [7], [{ containerID: 'a' }], [{ ifname: 'eth0' }]]) {
    const answer = callInMemory(never, { env, stdin: { ...base, 'cni.dev/valid-attachments': wrong } })
    assert.is(errorOf(answer).code, 7, JSON.stringify(wrong))
  }
})

test('results are printed in the version of the configuration', () => {
  for (const version of KNOWN_VERSIONS) {
    const plugin = testPlugin('noop', { add: () => ONE_ADDRESS })
    const answer = callInMemory(plugin, { env: callEnv('ADD'), stdin: { ...CONFIG, cniVersion: version } })
    assert.is(printed(answer)['cniVersion'], version)
    assert.is('ip4' in printed(answer), version < '0.3.0')
  }
})

test('a configuration without version is 0.1.0', () => {
  const plugin = testPlugin('noop', { add: () => ONE_ADDRESS })
  const answer = callInMemory(plugin, { env: callEnv('ADD'), stdin: { name: 'blue' } })
  assert.equal(printed(answer), { cniVersion: '0.1.0', ip4: { ip: '10.0.0.2/24' }, dns: {} })
})

/** The specification's history: CHECK came with 0.4.0, GC and STATUS with 1.1.0. */
test('verbs exist from their version on', () => {
  const since = { ADD: '0.1.0', DEL: '0.1.0', CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }
  for (const [verb, oldest] of Object.entries(since)) {
    for (const version of KNOWN_VERSIONS) {
      const answer = callInMemory(testPlugin('noop'), { env: callEnv(verb), stdin: { ...CONFIG, cniVersion: version } })
      assert.is(answer.status, version >= oldest ? 0 : 1, `${verb} at ${version}`)
      if (version < oldest) assert.is(errorOf(answer).code, 1)
    }
  }
})

test('versions a plugin does not have are code 1 with the list of those it has', () => {
  const plugin = testPlugin('noop', { since: '0.4.0' })
  for (const version of ['0.3.1', '1.2.0', '2.0.0', 'newest']) {
    const error = errorOf(callInMemory(plugin, { env: callEnv('DEL'), stdin: { ...CONFIG, cniVersion: version } }))
    assert.is(error.code, 1)
    assert.match(error.msg, /^incompatible CNI versions/)
    assert.is(error.details, `config is "${version}", plugin supports ["0.4.0","1.0.0","1.1.0"]`)
  }
})

test('a version that is none is code 6 where it has to be compared, or is no text', () => {
  for (const verb of ['CHECK', 'GC', 'STATUS']) {
    const stdin = { ...CONFIG, cniVersion: 'newest' }
    assert.is(errorOf(callInMemory(testPlugin('noop'), { env: callEnv(verb), stdin })).code, 6, verb)
  }
  const stdin = { ...CONFIG, cniVersion: 1 }
  assert.is(errorOf(callInMemory(testPlugin('noop'), { env: callEnv('ADD'), stdin })).code, 6)
})

test('variables are judged before standard input, input before JSON, JSON before name, name before version', () => {
  const plugin = testPlugin('noop')
  const failStdin = new SysError('read', 'standard input', 'EBADF', '')
  const code = (env: Record<string, string>, stdin: string, fail?: Error) =>
    errorOf(callInMemory(plugin, { env, stdin, ...(fail === undefined ? {} : { failStdin: fail }) })).code
  assert.is(code(callEnv('ADD', { CNI_IFNAME: '' }), '{', failStdin), 4)
  assert.is(code(callEnv('ADD'), '{', failStdin), 5)
  assert.is(code(callEnv('ADD'), '{'), 6)
  assert.is(code(callEnv('ADD'), '{"cniVersion":"9.9.9","name":"../x"}'), 7)
  assert.is(code(callEnv('ADD'), '{"cniVersion":"9.9.9","name":"x"}'), 1)
})

test('input that is no configuration', () => {
  const texts = ['', '   ', 'null', '[]', '"x"', '7', '{"name":}', '{}{}', '['.repeat(1_000_000)]
  for (const stdin of texts) {
    const error = errorOf(callInMemory(testPlugin('noop'), { env: callEnv('DEL'), stdin }))
    assert.is(error.code, 6, stdin.slice(0, 20))
    assert.is(error.cniVersion, '1.1.0')
  }
})

test('the position of a byte that is not UTF-8 is told; U+FFFD itself is fine', () => {
  const good = new TextEncoder().encode('{"name":"blue","x":"\ufffd ä"}')
  assert.is(callInMemory(testPlugin('noop'), { env: callEnv('DEL'), stdin: good }).status, 0)
  const bad = new TextEncoder().encode('{"name":"blue","x":"\ufffd ä?"}')
  bad[bad.length - 3] = 0xff
  const error = errorOf(callInMemory(testPlugin('noop'), { env: callEnv('DEL'), stdin: bad }))
  assert.is(error.code, 6)
  assert.match(error.msg, new RegExp(`byte ${bad.length - 3} is not UTF-8`))
})

test('more than 16 MiB are not read', () => {
  const stdin = new Uint8Array(16 * 1024 * 1024 + 1).fill(32)
  const error = errorOf(callInMemory(testPlugin('noop'), { env: callEnv('DEL'), stdin }))
  assert.is(error.code, 6)
  assert.match(error.msg, /more than 16 MiB/)
})

test('names of networks', () => {
  for (const name of [undefined, null, '', 7, '../x', 'a/b', 'a\nb', '.a', 'a b']) {
    const error = errorOf(
      callInMemory(testPlugin('noop'), { env: callEnv('DEL'), stdin: { cniVersion: '1.0.0', name } })
    )
    assert.is(error.code, 7, JSON.stringify(name))
    assert.is(error.cniVersion, '1.0.0', 'errors are told in the version of the configuration')
  }
})

test('keys are read in any case, an exact one first', () => {
  const plugin = testPlugin('noop', { add: () => ONE_ADDRESS })
  const stdin = '{"CNIVERSION":"0.4.0","Name":"blue","name":"green"}'
  assert.is(printed(callInMemory(plugin, { env: callEnv('ADD'), stdin }))['cniVersion'], '0.4.0')
})

test('without variables there is a banner on standard error, in the form nerdctl reads', () => {
  const answer = callInMemory(testPlugin('firewall', { since: '0.4.0' }), {
    env: { CNI_PATH: '/opt/cni/bin' },
    stdin: 'x'
  })
  assert.is(answer.status, 0)
  assert.is(answer.stdout, '')
  const lines = answer.stderr.split('\n')
  assert.match(lines[0] ?? '', /^CNI firewall plugin v[0-9]+\.[0-9]+\.[0-9]+$/)
  assert.is(lines[1], 'CNI protocol versions supported: 0.4.0, 1.0.0, 1.1.0')
})

test('a runtime that forgets only CNI_COMMAND gets an error, not a banner', () => {
  assert.is(errorOf(callInMemory(testPlugin('noop'), { env: callEnv(''), stdin: CONFIG })).code, 4)
})

test('VERSION answers in the version asked for, and whatever it is given', () => {
  const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0']
  const plugin = testPlugin('noop', { since: '0.3.1' })
  const ask = (stdin: string) => printed(callInMemory(plugin, { env: { CNI_COMMAND: 'VERSION' }, stdin }))
  assert.equal(ask('{"cniVersion":"1.0.0"}'), { cniVersion: '1.0.0', supportedVersions })
  for (const stdin of ['', '{', '{}x', '{"cniVersion":"9.9.9"}', '{"cniVersion":4}']) {
    assert.equal(ask(stdin), { cniVersion: '1.1.0', supportedVersions }, stdin)
  }
  const silent = callInMemory(plugin, { env: { CNI_COMMAND: 'VERSION', CNI_IFNAME: 'dummy' } })
  assert.is(printed(silent)['cniVersion'], '1.1.0')
})

test('prevResult is read in its own version, else in that of the configuration', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['0.2.0', { ip4: { ip: '10.0.0.2/24' } }],
    ['0.4.0', { ips: [{ version: '4', address: '10.0.0.2/24' }] }],
    ['1.1.0', { ips: [{ address: '10.0.0.2/24' }] }],
    ['1.1.0', { CNIVersion: '0.2.0', ip4: { ip: '10.0.0.2/24' } }],
    ['0.2.0', { cniVersion: '1.0.0', ips: [{ address: '10.0.0.2/24' }] }]
  ]
  for (const [cniVersion, prevResult] of cases) {
    const seen: (Result | undefined)[] = []
    const plugin = testPlugin('noop', { any: request => void seen.push(request.prevResult) })
    assert.is(callInMemory(plugin, { env: callEnv('DEL'), stdin: { ...CONFIG, cniVersion, prevResult } }).status, 0)
    assert.equal(seen[0]?.ips[0]?.address, prefix('10.0.0.2/24'), JSON.stringify(prevResult))
  }
})

test('a damaged prevResult stops ADD and CHECK; DEL says so and goes on without', () => {
  const stdin = { ...CONFIG, prevResult: { ips: [{ address: 'x' }] } }
  assert.is(errorOf(callInMemory(testPlugin('noop'), { env: callEnv('ADD'), stdin })).code, 6)
  assert.is(errorOf(callInMemory(testPlugin('noop'), { env: callEnv('CHECK'), stdin })).code, 6)
  const seen: (Result | undefined)[] = []
  const plugin = testPlugin('noop', { any: request => void seen.push(request.prevResult) })
  const answer = callInMemory(plugin, { env: callEnv('DEL'), stdin })
  assert.is(answer.status, 0)
  assert.equal(seen, [undefined])
  assert.match(answer.stderr, /ignore prevResult: .*prevResult\.ips\[0\]\.address/)
})

test('the own namespace is refused for ADD and is none for DEL, unless that is allowed', () => {
  const path = '/proc/self/ns/net'
  const seen: string[] = []
  const plugin = testPlugin('noop', { any: request => void seen.push(`${request.command} ${request.netns}`) })
  const call = (verb: string, more: object = {}) =>
    callInMemory(plugin, { env: callEnv(verb, { CNI_NETNS: path, ...more }), stdin: CONFIG })
  const error = errorOf(call('ADD'))
  assert.is(error.code, 8)
  assert.match(error.msg, `"${path}" is the network namespace of the plugin itself`)
  assert.is(call('DEL').status, 0)
  for (const verb of ['ADD', 'DEL']) assert.is(call(verb, { CNI_NETNS_OVERRIDE: 'true' }).status, 0)
  assert.equal(seen, ['DEL ', `ADD ${path}`, `DEL ${path}`])
})

test('DEL works without a namespace', () => {
  const answer = callInMemory(testPlugin('noop'), { env: callEnv('DEL', { CNI_NETNS: '' }), stdin: CONFIG })
  assert.is(answer.status, 0)
})

test('what a plugin throws is printed with its code', () => {
  const plugin = testPlugin('noop', {
    any: () => {
      throw new SysError('write', '"/var/lib/x"', 'ENOSPC', '')
    }
  })
  const error = errorOf(callInMemory(plugin, { env: callEnv('DEL'), stdin: CONFIG }))
  assert.is(error.code, 5)
  assert.is(error.msg, 'write "/var/lib/x": ENOSPC')
})

test('when nobody reads standard output, the reason goes to standard error', () => {
  const failStdout = new SysError('write', 'standard output', 'EPIPE', '')
  const answer = callInMemory(testPlugin('noop'), { env: callEnv('ADD'), stdin: CONFIG, failStdout })
  assert.is(answer.status, 1)
  assert.is(answer.stderr, 'write standard output: EPIPE\n')
})

test.run()
