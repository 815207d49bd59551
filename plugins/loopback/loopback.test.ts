import { FakeKernel } from '../../lib/testing/fake-kernel/fake-kernel.ts'
import { callEnv, callInMemory, type MemoryAnswer } from '../../lib/testing/memory-io.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { loopback } from './loopback.ts'

const test = suite('plugins/loopback')

const BOX = '/run/netns/box'

function call(kernel: FakeKernel, command: string, more: object = {}, netns = BOX): MemoryAnswer {
  const stdin = { cniVersion: '1.1.0', name: 'lo', type: 'loopback', ...more }
  return callInMemory(loopback(kernel), { env: callEnv(command, { CNI_NETNS: netns }), stdin })
}

function fresh(): FakeKernel {
  const kernel = new FakeKernel()
  kernel.addNamespace(BOX)
  return kernel
}

test('ADD sets lo up and nothing else; a second one does nothing', () => {
  const kernel = fresh()
  const answer = call(kernel, 'ADD')
  assert.is(answer.status, 0, answer.stdout)
  assert.is(JSON.parse(answer.stdout).interfaces[0].name, 'lo')
  assert.is(kernel.changes().length, 1)
  assert.is(call(kernel, 'ADD').stdout, answer.stdout)
  assert.is(kernel.changes().length, 1)
})

test('CNI_IFNAME is of no importance', () => {
  const kernel = fresh()
  const env = callEnv('ADD', { CNI_NETNS: BOX, CNI_IFNAME: 'eth0' })
  const stdin = { cniVersion: '0.3.1', name: 'cni-loopback', type: 'loopback' }
  const answer = callInMemory(loopback(kernel), { env, stdin })
  assert.is(JSON.parse(answer.stdout).interfaces[0].name, 'lo')
})

test('a refusal of the kernel leaves lo as it was', () => {
  const kernel = fresh()
  const before = kernel.toText()
  kernel.failAt(1, 'EPERM')
  const answer = call(kernel, 'ADD')
  assert.is(answer.status, 1)
  const error: { code: number; msg: string; details: string } = JSON.parse(answer.stdout)
  assert.is(error.code, 999)
  assert.match(error.msg, /EPERM/)
  assert.match(error.details, /run as root/)
  assert.is(kernel.toText(), before)
})

test('DEL after ADD leaves nothing of it, and can be repeated', () => {
  const kernel = fresh()
  const before = kernel.toText()
  call(kernel, 'ADD')
  assert.is.not(kernel.toText(), before)
  for (let i = 0; i < 2; i += 1) {
    assert.equal(call(kernel, 'DEL'), { status: 0, stdout: '', stderr: '' })
    assert.is(kernel.toText(), before)
  }
})

test('without its namespace DEL succeeds, ADD is code 3, CHECK code 8', () => {
  const kernel = new FakeKernel()
  assert.is(call(kernel, 'DEL').status, 0)
  assert.is(call(kernel, 'DEL', {}, '').status, 0)
  assert.is(JSON.parse(call(kernel, 'ADD').stdout).code, 3)
  assert.is(JSON.parse(call(kernel, 'CHECK').stdout).code, 8)
})

test('CHECK without a result looks at the flag only', () => {
  const kernel = fresh()
  assert.match(JSON.parse(call(kernel, 'CHECK').stdout).msg, /it is down/)
  call(kernel, 'ADD')
  assert.is(call(kernel, 'CHECK').status, 0)
})

test.run()
