import { isName } from '../attachment.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { ifNameFault, readEnvironment } from './env.ts'
import { CniError } from './error.ts'

const test = suite('lib/cni/env')

/** The specification's table of parameters, with libcni's two additions left out (see env.ts). */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  GC: ['CNI_PATH'],
  STATUS: [],
  VERSION: []
}
const ALL: Readonly<Record<string, string>> = {
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/blue',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin'
}

function read(env: Readonly<Record<string, string>>) {
  return readEnvironment(name => env[name] ?? '')
}

for (const [command, required] of Object.entries(REQUIRED)) {
  test(`${command} needs its variables, and only those`, () => {
    const least: Record<string, string> = { CNI_COMMAND: command }
    for (const name of required) least[name] = ALL[name] ?? ''
    assert.is(read(least).command, command)
    for (const name of required) {
      const env = { ...least, [name]: '' }
      const error = throwsLike(() => read(env), { name: 'CniError', code: 4, message: new RegExp(`missing ${name}$`) })
      assert.match(error.message, name)
    }
  })
}

test('one message names everything that is missing and everything that is wrong', () => {
  throwsLike(() => read({ CNI_COMMAND: 'ADD' }), {
    code: 4,
    message: /^read environment: missing CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME$/
  })
  const error = throwsLike(() => read({ CNI_COMMAND: 'DEL', CNI_CONTAINERID: '../x', CNI_IFNAME: 'a/b' }), { code: 4 })
  assert.match(error.message, /CNI_CONTAINERID must begin .*, got "\.\.\/x"; CNI_IFNAME must hold no .*, got "a\/b"/)
  assert.ok(error instanceof CniError && error.details.includes('for DEL the runtime must set CNI_CONTAINERID'))
})

test('a verb that does not exist is named', () => {
  for (const verb of ['', 'add', 'UPDATE', 'ADD ']) {
    const message = verb === '' ? /missing CNI_COMMAND/ : new RegExp(`must be a verb, got "${verb}"`)
    throwsLike(() => read({ ...ALL, CNI_COMMAND: verb }), { code: 4, message })
  }
})

test('what a verb does not need is not judged', () => {
  read({ CNI_COMMAND: 'STATUS', CNI_CONTAINERID: '../x', CNI_IFNAME: 'much-too-long-a-name' })
  read({ CNI_COMMAND: 'VERSION', CNI_IFNAME: 'much-too-long-a-name' })
})

test('interface names are what the kernel takes', () => {
  for (const name of ['eth0', 'a', '0123456789abcde', 'br-1.100', 'ä', 'éééééééa', 'x..y'])
    assert.is(ifNameFault(name), '', name)
  const bad = [
    '',
    '.',
    '..',
    'a/b',
    'a:1',
    'a b',
    'a\tb',
    'a\nb',
    'a\0b',
    '0123456789abcdef',
    'äöüäöüäö',
    // What a\xff is to JavaScript, and C3 A0, of which dev_valid_name refuses the second byte.
    'a\ufffd',
    'à',
    'all',
    'default'
  ]
  for (const name of bad) assert.is.not(ifNameFault(name), '', JSON.stringify(name))
})

test('names of networks and containers', () => {
  for (const name of ['a', '0', 'k8s.io-4711', 'A_b.c-d']) assert.ok(isName(name), name)
  for (const name of ['', '.a', '-a', '_a', 'a/b', 'a\n', 'a\nb', 'ä', 'a b', 'a:b']) assert.not.ok(isName(name), name)
})

test('CNI_NETNS_OVERRIDE is 1 or true in any case', () => {
  for (const [text, expected] of [
    ['1', true],
    ['TRUE', true],
    ['true', true],
    ['0', false],
    ['yes', false],
    ['', false]
  ] as const) {
    assert.is(read({ ...ALL, CNI_COMMAND: 'ADD', CNI_NETNS_OVERRIDE: text }).allowOwnNetns, expected, text)
  }
})

test.run()
