/** The plugin beside a daemon that gives prepared answers, in a process of its own: the plugin's call blocks. */
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { markHeld } from '../../lib/daemon/released.ts'
import { callEnv, callInMemory, type MemoryAnswer } from '../../lib/testing/memory-io.ts'
import { ScriptedDaemon } from '../../lib/testing/scripted-daemon.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { dhcp } from './dhcp.ts'

const test = suite('ipam/dhcp')

class FakeDaemon extends ScriptedDaemon {
  call(command: string, ipam: object = {}, more: object = {}, args = ''): MemoryAnswer {
    const full = { type: 'dhcp', daemonSocketPath: this.socket, timeout: 2, ...ipam }
    const config = { cniVersion: '1.1.0', name: 'net1', type: 'macvlan', ipam: full, ...more }
    const env = callEnv(command, { CNI_NETNS: '/run/netns/patchbay-test-absent', CNI_ARGS: args })
    return callInMemory(dhcp(), { env, stdin: config })
  }
}

function withDaemon(answers: object | undefined, body: (daemon: FakeDaemon) => void | Promise<void>): Promise<void> {
  return new FakeDaemon().during(answers, body)
}

const GRANTED = {
  ok: true,
  result: {
    cniVersion: '1.1.0',
    ips: [{ address: '192.0.2.7/24', gateway: '192.0.2.1' }],
    routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1', priority: 5 }],
    dns: { nameservers: ['192.0.2.1'], domain: 'example.org', search: ['example.org'] }
  }
}

test('ADD hands over namespace, ipam and CNI_ARGS as they are, and prints the lease in the version asked for', async () => {
  await withDaemon({ take: GRANTED }, async daemon => {
    const provide = [{ option: 'host-name', fromArg: 'NERDCTL_CNI_DHCP_HOSTNAME' }]
    const args = 'IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=web'
    const answer = daemon.call('ADD', { provide }, {}, args)
    assert.is(answer.status, 0, answer.stdout)
    assert.equal(JSON.parse(answer.stdout), GRANTED.result)
    const old = JSON.parse(daemon.call('ADD', {}, { cniVersion: '0.2.0' }).stdout)
    assert.is(old.ip4.ip, '192.0.2.7/24')
    const [request] = await daemon.requests(2)
    assert.equal(request, {
      do: 'take',
      network: 'net1',
      containerId: 'c1',
      ifName: 'eth0',
      netns: '/run/netns/patchbay-test-absent',
      ipam: { type: 'dhcp', daemonSocketPath: daemon.socket, timeout: 2, provide },
      args,
      milliseconds: 1500
    })
  })
})

test("the daemon's own errors come through; one that is silent is code 11 in bounded time", async () => {
  const refusal = { ok: false, code: 11, msg: 'take a lease: no DHCP server answered', details: 'look there' }
  await withDaemon({ take: refusal, check: { ok: false, code: 102, msg: 'it holds none' } }, async daemon => {
    const added = JSON.parse(daemon.call('ADD').stdout)
    assert.equal(added, { cniVersion: '1.1.0', code: 11, msg: refusal.msg, details: 'look there' })
    const ips = [{ address: '192.0.2.7/24' }]
    const checked = JSON.parse(daemon.call('CHECK', {}, { prevResult: { cniVersion: '1.1.0', ips } }).stdout)
    assert.is(checked.code, 102)
    assert.equal((await daemon.requests(2))[1]?.['ips'], ['192.0.2.7/24'])
  })
  await withDaemon({}, daemon => {
    const began = Date.now()
    const { code, msg } = JSON.parse(daemon.call('ADD').stdout)
    assert.is(code, 11)
    assert.match(msg, /^reach the dhcp daemon: .*no answer in time/)
    assert.ok(Date.now() - began < 8000)
  })
})

test('without a daemon: ADD says what to start, STATUS is 50, DEL succeeds and leaves a note', async () => {
  await withDaemon(undefined, daemon => {
    const added = JSON.parse(daemon.call('ADD').stdout)
    assert.is(added.code, 11)
    assert.match(added.msg, /^reach the dhcp daemon: connect to ".*daemon\.sock": ENOENT/)
    assert.match(added.details, /patchbay dhcp/)
    assert.is(JSON.parse(daemon.call('STATUS').stdout).code, 50)
    assert.is(JSON.parse(daemon.call('GC', {}, { 'cni.dev/valid-attachments': [] }).stdout).code, 11)
    assert.equal(daemon.call('DEL'), { status: 0, stdout: '', stderr: '' })
    assert.equal(readdirSync(daemon.directory), [], 'nothing of what was never attached')
    markHeld(daemon.socket, { network: 'net1', containerId: 'c1', ifName: 'eth0' })
    assert.equal(daemon.call('DEL'), { status: 0, stdout: '', stderr: '' })
    assert.equal(readdirSync(`${daemon.socket}.released`), ['net1:c1:eth0'])
  })
})

test('DEL succeeds also where it cannot leave a note, and whatever the configuration has become', async () => {
  await withDaemon({ release: { ok: true } }, async daemon => {
    assert.is(daemon.call('DEL').status, 0)
    assert.is((await daemon.requests(1))[0]?.['do'], 'release')
    writeFileSync(join(daemon.directory, 'file'), '')
    chmodSync(join(daemon.directory, 'file'), 0o600)
    assert.is(daemon.call('DEL', { daemonSocketPath: join(daemon.directory, 'file', 'x.sock') }).status, 0)
    assert.is(daemon.call('DEL', { timeout: 'long', request: 5 }).status, 0)
  })
})

test('GC names what to keep; STATUS has the daemon read the configuration', async () => {
  await withDaemon({ collect: { ok: true }, status: { ok: true } }, async daemon => {
    const keep = [{ containerID: 'c7', ifname: 'eth1' }]
    assert.is(daemon.call('GC', {}, { 'cni.dev/valid-attachments': keep }).stdout, '')
    assert.is(daemon.call('STATUS', { priority: 3 }).stdout, '')
    const [collect, status] = await daemon.requests(2)
    assert.equal(collect?.['keep'], [{ containerId: 'c7', ifName: 'eth1' }])
    assert.is(collect?.['network'], 'net1')
    assert.is((status?.['ipam'] as { priority?: number } | undefined)?.priority, 3)
  })
})

test('what the plugin itself reads is judged before anybody is asked', async () => {
  await withDaemon(undefined, daemon => {
    const { code, msg } = JSON.parse(daemon.call('ADD', { daemonSocketPath: 'run/x', timeout: 0 }).stdout)
    assert.is(code, 7)
    assert.match(msg, /ipam\.daemonSocketPath must be an absolute path, got "run\/x"; ipam\.timeout must be an integer/)
  })
})

test.run()
