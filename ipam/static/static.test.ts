import { callEnv, callInMemory, type MemoryAnswer } from '../../lib/testing/memory-io.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { staticAddresses } from './static.ts'

const test = suite('ipam/static')

const IPAM = {
  addresses: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'fd00::5/64' }],
  routes: [{ dst: '0.0.0.0/0' }],
  dns: { nameservers: ['192.0.2.1'] }
}

function call(command: string, more: object, args = '', ipam: object = IPAM): MemoryAnswer {
  const stdin = { cniVersion: '1.0.0', name: 'net', type: 'bridge', ipam: { type: 'static', ...ipam }, ...more }
  return callInMemory(staticAddresses(), { env: callEnv(command, { CNI_ARGS: args }), stdin })
}

function add(more: object, args = '', ipam: object = IPAM): { ips?: unknown; routes?: unknown; dns?: unknown } {
  const answer = call('ADD', more, args, ipam)
  assert.is(answer.status, 0, answer.stdout)
  return JSON.parse(answer.stdout)
}

function error(command: string, more: object, args = '', ipam: object = IPAM): { code: number; msg: string } {
  const answer = call(command, more, args, ipam)
  assert.is(answer.status, 1, answer.stdout)
  return JSON.parse(answer.stdout)
}

// The results in the next three tests are what the reference static 1.1.1 prints for the same input.

test('ADD: what is configured', () => {
  assert.equal(add({}), {
    cniVersion: '1.0.0',
    ips: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'fd00::5/64' }],
    routes: [{ dst: '0.0.0.0/0' }],
    dns: { nameservers: ['192.0.2.1'] }
  })
  assert.equal(add({}, '', {}), { cniVersion: '1.0.0', dns: {} })
})

test('ADD: CNI_ARGS adds addresses, its gateways belong to them alone', () => {
  assert.equal(add({}, 'IP=10.2.0.5/24, 10.3.0.5/16;GATEWAY=10.3.0.1,10.1.0.9').ips, [
    { address: '10.1.0.5/24', gateway: '10.1.0.1' },
    { address: 'fd00::5/64' },
    { address: '10.2.0.5/24' },
    { address: '10.3.0.5/16', gateway: '10.3.0.1' }
  ])
})

test('ADD: args.cni.ips replaces all that, runtimeConfig.ips even those', () => {
  const args = { cni: { ips: ['10.4.0.5/24'] } }
  assert.equal(add({ args }, 'IP=10.2.0.5/24').ips, [{ address: '10.4.0.5/24' }])
  const runtimeConfig = { ips: ['10.5.0.5/24', 'fd05::5/64'] }
  assert.equal(add({ args, runtimeConfig }, 'IP=10.2.0.5/24;GATEWAY=10.5.0.1').ips, [
    { address: '10.5.0.5/24' },
    { address: 'fd05::5/64' }
  ])
  assert.equal(add({ runtimeConfig: { ips: [] } }).ips, add({}).ips)
  assert.equal(add({ RuntimeConfig: { IPs: [''] } }).ips, add({}).ips)
})

test('ADD: mistakes are named with their path', () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ addresses: [{}] }, /^ipam\.addresses\[0\]\.address is required$/],
    [
      { addresses: [{ address: '10.1.0.5' }] },
      /^ipam\.addresses\[0\]\.address must be .* prefix length, got "10\.1\.0\.5"$/
    ],
    [
      { addresses: [{ address: '10.1.0.5/24', gateway: 'fd00::1' }] },
      /^ipam\.addresses\[0\]\.gateway must be of the family/
    ],
    [{ addresses: {} }, /^ipam\.addresses must be an array of objects, got \{\}$/],
    [{ routes: [{ gw: '10.0.0.1' }] }, /^ipam\.routes\[0\]\.dst is missing$/],
    [{ dns: { nameservers: 'x' } }, /^ipam\.dns\.nameservers must be an array of strings, got "x"$/]
  ]
  for (const [ipam, message] of cases) {
    const { code, msg } = error('ADD', {}, '', ipam)
    assert.is(code, 7)
    assert.match(msg, message)
  }
  assert.match(
    error('ADD', { runtimeConfig: { ips: ['10.5.0.5'] } }).msg,
    /^runtimeConfig\.ips must hold .* got \["10\.5\.0\.5"\]$/
  )
  assert.is(error('ADD', {}, 'IP=10.2.0.5').code, 4)
  assert.is(error('ADD', {}, 'IP=10.2.0.5/24;GATEWAY=x').code, 4)
  assert.match(error('ADD', { ipam: null }).msg, /^ipam is required$/)
})

test('ADD: more addresses than anybody needs are refused, wherever they are', () => {
  const ips = Array.from({ length: 1025 }, (_, i) => `10.0.${i >> 8}.${i & 255}/32`)
  const addresses = ips.map(address => ({ address }))
  assert.match(error('ADD', {}, '', { addresses }).msg, /ipam\.addresses must have 1024 members at most/)
  assert.match(error('ADD', { runtimeConfig: { ips } }).msg, /runtimeConfig\.ips must have 1024 members at most/)
  assert.match(error('ADD', { args: { cni: { ips } } }).msg, /args\.cni\.ips must have 1024 members at most/)
})

test('ADD: two addresses of one family need 0.3.0', () => {
  const ipam = { addresses: [{ address: '10.1.0.5/24' }, { address: '10.2.0.5/24' }] }
  for (const cniVersion of ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    assert.is(call('ADD', { cniVersion }, '', ipam).status, cniVersion < '0.3.0' ? 1 : 0, cniVersion)
    assert.is(call('ADD', { cniVersion }).status, 0, cniVersion)
  }
})

test('CHECK: every address with its length and the gateway that was given', () => {
  const good = {
    cniVersion: '1.0.0',
    ips: [{ address: '10.1.0.5/24', gateway: '10.1.0.1' }, { address: 'fd00::5/64' }]
  }
  assert.equal(call('CHECK', { prevResult: good }), { status: 0, stdout: '', stderr: '' })
  // The plugin that asked may fill in a gateway and add other addresses.
  const more = {
    ...good,
    ips: [good.ips[0], { address: 'fd00::5/64', gateway: 'fd00::1' }, { address: '10.9.0.9/24' }]
  }
  assert.is(call('CHECK', { prevResult: more }).status, 0)
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ ...good, ips: [good.ips[0]] }, /container "c1" interface "eth0": prevResult lacks "fd00::5\/64"$/],
    [{ ...good, ips: [{ address: '10.1.0.5/16', gateway: '10.1.0.1' }, good.ips[1]] }, /lacks "10\.1\.0\.5\/24"$/],
    [{ ...good, ips: [{ address: '10.1.0.5/24' }, good.ips[1]] }, /must be "10\.1\.0\.1", prevResult has none$/],
    [{ ...good, ips: [{ address: '10.1.0.5/24', gateway: '10.1.0.2' }, good.ips[1]] }, /prevResult has "10\.1\.0\.2"$/]
  ]
  for (const [prevResult, message] of cases) {
    const { code, msg } = error('CHECK', { prevResult })
    assert.is(code, 102)
    assert.match(msg, message)
  }
  assert.is(error('CHECK', {}).code, 7)
})

test('DEL and GC: success whatever the configuration, STATUS: only with a good one', () => {
  const broken = { addresses: [{ address: 'x' }] }
  assert.equal(call('DEL', {}, 'IP=x', broken), { status: 0, stdout: '', stderr: '' })
  const gc = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] }
  assert.equal(call('GC', gc, '', broken), { status: 0, stdout: '', stderr: '' })
  assert.is(call('STATUS', { cniVersion: '1.1.0' }).status, 0)
  assert.is(error('STATUS', { cniVersion: '1.1.0' }, '', broken).code, 7)
})

test.run()
