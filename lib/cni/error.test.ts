import { JsonError, jsonText, parseJson } from '../config/json.ts'
import { ConfigError } from '../config/section.ts'
import { SysError } from '../sys/errors.ts'
import { NetnsError } from '../sys/netns.ts'
import { assert, suite } from '../testing/suite.ts'
import { UndoError } from '../undo.ts'
import { CniError, errorFromJson, errorToJson, toCniError } from './error.ts'

const test = suite('lib/cni/error')

function codeOf(error: unknown, command = 'ADD'): number {
  return toCniError(error, command).code
}

test('every class of error has its code', () => {
  assert.is(codeOf(new ConfigError(['mtu must be an integer'])), 7)
  assert.is(codeOf(new ConfigError(['mode "l4" is not supported: use l2'], true)), 2)
  assert.is(codeOf(new JsonError('read JSON: nothing')), 6)
  assert.is(codeOf(new NetnsError('/x', 'not-a-namespace', 'not a namespace file')), 8)
  assert.is(codeOf(new NetnsError('/x', 'unreadable', 'EACCES')), 8)
  assert.is(codeOf(new Error('whatever')), 999)
  assert.is(codeOf('no error at all'), 999)
})

test('errno decides where the class does not', () => {
  const expected = { ENOSPC: 5, EROFS: 5, EIO: 5, EBUSY: 11, EAGAIN: 11, EEXIST: 999, EPERM: 999 }
  for (const [errno, code] of Object.entries(expected))
    assert.is(codeOf(new SysError('write', '"/x"', errno, '')), code, errno)
  assert.is(codeOf(Object.assign(new Error('write failed'), { code: 'ENOSPC' })), 5, 'an error of node:fs')
})

test('a vanished namespace means an unknown container to ADD only', () => {
  const gone = new NetnsError('/run/netns/x', 'absent', 'no such file')
  assert.is(codeOf(gone, 'ADD'), 3)
  for (const command of ['CHECK', 'DEL', 'GC']) assert.is(codeOf(gone, command), 8, command)
})

test('an incomplete rollback keeps the code and the advice of its cause', () => {
  const reason = new CniError(11, 'lock x: busy', 'try again')
  const error = toCniError(new UndoError(reason, ['link "veth0" (EPERM)']), 'ADD')
  assert.is(error.code, 11)
  assert.is(error.details, 'try again')
  assert.match(error.message, /^lock x: busy; could not undo link "veth0"/)
})

test('advice says what to do', () => {
  assert.match(toCniError(new SysError('setns', '', 'EPERM', ''), 'ADD').details, /run as root/)
  assert.match(toCniError(new SysError('write', '"/x"', 'ENOSPC', ''), 'ADD').details, /free space/)
})

test('the printed object is what another plugin reads', () => {
  const error = new CniError(50, 'allocate address: pool "blue" is exhausted', 'remove containers')
  const text = jsonText(errorToJson(error, '1.1.0'))
  assert.equal(JSON.parse(text), {
    cniVersion: '1.1.0',
    code: 50,
    msg: 'allocate address: pool "blue" is exhausted',
    details: 'remove containers'
  })
  const again = errorFromJson(parseJson(text))
  assert.is(again?.code, 50)
  assert.is(again?.message, error.message)
  assert.is(again?.details, error.details)
})

test('the reference plugins leave details and cniVersion out', () => {
  const again = errorFromJson(parseJson('{ "code": 4, "msg": "required env variables [CNI_PATH] missing" }'))
  assert.is(again?.code, 4)
  assert.is(again?.details, '')
  for (const text of ['{}', '[]', '{"code":"4","msg":"x"}', '{"code":4}']) {
    assert.is(errorFromJson(parseJson(text)), undefined, text)
  }
})

test.run()
