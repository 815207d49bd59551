import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import { callEnv, callInMemory, type MemoryAnswer } from '../../lib/testing/memory-io.ts'
import { type Namespace, withNamespaces } from '../../lib/testing/namespace.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { loopback } from './loopback.ts'

const test = suite('plugins/loopback on the kernel')

const CONFIG = { cniVersion: '1.1.0', name: 'lo', type: 'loopback' }

function call(command: string, netns: string, more: object = {}): MemoryAnswer {
  const env = callEnv(command, { CNI_NETNS: netns, CNI_IFNAME: 'lo' })
  return callInMemory(loopback(new LinuxKernel()), { env, stdin: { ...CONFIG, ...more } })
}

/** ::1 is on lo while it is up, and only then: seen in /proc, without any netlink of ours. */
function isUp(box: Namespace): boolean {
  return box.run('cat', ['/proc/net/if_inet6']).stdout.includes(' lo')
}

test('ADD sets lo up and tells its addresses, MAC and MTU; a second ADD changes nothing', () => {
  withNamespaces(1, box => {
    assert.not.ok(isUp(box))
    for (let i = 0; i < 2; i += 1) {
      const answer = call('ADD', box.path)
      assert.is(answer.status, 0, answer.stdout)
      assert.ok(isUp(box))
      // As the reference loopback 1.1.1 answers at 1.0.0, with the MTU that 1.1.0 has a place for.
      assert.equal(JSON.parse(answer.stdout), {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', mtu: 65536, sandbox: box.path }],
        ips: [
          { interface: 0, address: '127.0.0.1/8' },
          { interface: 0, address: '::1/128' }
        ],
        dns: {}
      })
    }
  })
})

test('CHECK finds lo down, and an address that is gone', () => {
  withNamespaces(1, box => {
    const prevResult = JSON.parse(call('ADD', box.path).stdout)
    assert.is(call('CHECK', box.path, { prevResult }).status, 0)
    const gone = { ...prevResult, ips: [...prevResult.ips, { interface: 0, address: '127.0.0.9/8' }] }
    const missing = call('CHECK', box.path, { prevResult: gone })
    assert.is(missing.status, 1)
    assert.match(JSON.parse(missing.stdout).msg, /127\.0\.0\.9\/8 is gone/)
    assert.is(call('DEL', box.path).status, 0)
    const down = call('CHECK', box.path, { prevResult })
    assert.match(JSON.parse(down.stdout).msg, /it is down/)
  })
})

test('DEL sets lo down, as often as it is called', () => {
  withNamespaces(1, box => {
    call('ADD', box.path)
    for (let i = 0; i < 2; i += 1) {
      assert.equal(call('DEL', box.path), { status: 0, stdout: '', stderr: '' })
      assert.not.ok(isUp(box))
    }
  })
})

test('a namespace that is gone: success for DEL, code 3 for ADD', () => {
  assert.equal(call('DEL', '/run/netns/patchbay-test-absent'), { status: 0, stdout: '', stderr: '' })
  assert.equal(call('DEL', ''), { status: 0, stdout: '', stderr: '' })
  assert.is(JSON.parse(call('ADD', '/run/netns/patchbay-test-absent').stdout).code, 3)
})

test('a path that is no namespace: code 8 for ADD, nothing to do for DEL', () => {
  const error: { code: number; msg: string } = JSON.parse(call('ADD', '/etc/hostname').stdout)
  assert.is(error.code, 8)
  assert.match(error.msg, /"\/etc\/hostname"/)
  assert.is(call('DEL', '/etc/hostname').status, 0)
})

test('in a chain the result so far is passed on untouched', () => {
  withNamespaces(1, box => {
    const prevResult = {
      cniVersion: '1.1.0',
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: box.path }],
      ips: [{ interface: 0, address: '10.0.0.2/24', gateway: '10.0.0.1' }],
      routes: [{ dst: '0.0.0.0/0', mtu: 1300 }],
      dns: { nameservers: ['10.0.0.1'] }
    }
    const answer = call('ADD', box.path, { prevResult })
    assert.equal(JSON.parse(answer.stdout), prevResult)
    assert.ok(isUp(box))
    assert.is(call('CHECK', box.path, { prevResult }).status, 0)
  })
})

test('GC and STATUS have nothing to do', () => {
  assert.equal(call('GC', '', { 'cni.dev/valid-attachments': [] }), { status: 0, stdout: '', stderr: '' })
  assert.equal(call('STATUS', ''), { status: 0, stdout: '', stderr: '' })
})

test.run()
