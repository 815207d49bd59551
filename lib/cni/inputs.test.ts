import { formatAddress } from '../ip/address.ts'
import { formatMac } from '../ip/mac.ts'
import { callEnv, callInMemory, type MemoryAnswer, testPlugin } from '../testing/memory-io.ts'
import { assert, suite } from '../testing/suite.ts'
import { requestedAddresses, requestedMac, requiredPrevResult } from './inputs.ts'
import { EMPTY_RESULT } from './result.ts'

const test = suite('lib/cni/inputs')

const ENV = 'IgnoreUnknown=1;MAC=02:00:00:00:00:01;IP=10.0.0.1'

/** What a plugin sees of the request, as text. */
function seen(args: string, more: object): { text: string; answer: MemoryAnswer } {
  let text = ''
  const plugin = testPlugin('noop', {
    add: request => {
      const mac = requestedMac(request)
      const addresses = requestedAddresses(request)
      request.config.finish()
      const shown = addresses.map(
        one => `${formatAddress(one.address)}${one.length === undefined ? '' : `/${one.length}`}`
      )
      text = `${mac === undefined ? '-' : formatMac(mac)} ${shown.join(' ')}`
      return EMPTY_RESULT
    }
  })
  const stdin = { cniVersion: '1.0.0', name: 'blue', ...more }
  const answer = callInMemory(plugin, { env: callEnv('ADD', { CNI_ARGS: args }), stdin })
  return { text, answer }
}

test('runtimeConfig beats args.cni, which beats CNI_ARGS', () => {
  const cni = { mac: '02:00:00:00:00:02', ips: ['10.0.0.2'] }
  const runtimeConfig = { mac: '02:00:00:00:00:03', ips: ['10.0.0.3/24'] }
  assert.is(seen('', {}).text, '- ')
  assert.is(seen(ENV, {}).text, '02:00:00:00:00:01 10.0.0.1')
  assert.is(seen(ENV, { args: { cni } }).text, '02:00:00:00:00:02 10.0.0.2')
  assert.is(seen(ENV, { args: { cni }, runtimeConfig }).text, '02:00:00:00:00:03 10.0.0.3/24')
  assert.is(seen(ENV, { runtimeConfig: { MAC: '', ips: [] } }).text, '02:00:00:00:00:01 10.0.0.1')
})

test('addresses of the two families may come from two places, as nerdctl sends them', () => {
  assert.is(seen(ENV, { runtimeConfig: { ips: ['fd00::5/64'] } }).text, '02:00:00:00:00:01 fd00::5/64 10.0.0.1')
})

test('several addresses in one variable', () => {
  assert.is(seen('IP=10.0.0.1/24, fd00::1', {}).text, '- 10.0.0.1/24 fd00::1')
})

test('wrong values are refused with the place they came from', () => {
  const cases: readonly (readonly [string, object, number, RegExp])[] = [
    ['MAC=zz', {}, 4, /CNI_ARGS: MAC must be .*, got "zz"/],
    ['MAC=01:00:5e:00:00:01', {}, 4, /CNI_ARGS: MAC must be a unicast MAC address, got "01:00:5e:00:00:01"/],
    ['', { runtimeConfig: { mac: '00:00:00:00:00:00' } }, 7, /runtimeConfig\.mac must be a unicast MAC address, got/],
    ['IP=10.0.0.300', {}, 4, /CNI_ARGS: IP must be .*, got "10\.0\.0\.300"/],
    ['', { args: { cni: { mac: 'zz' } } }, 7, /args\.cni\.mac must be/],
    ['', { runtimeConfig: { ips: ['x'] } }, 7, /runtimeConfig\.ips must hold/],
    ['', { runtimeConfig: { ips: '10.0.0.1' } }, 7, /runtimeConfig\.ips must be an array/],
    ['', { runtimeConfig: 7 }, 7, /runtimeConfig must be an object/]
  ]
  for (const [args, more, code, message] of cases) {
    const { answer } = seen(args, more)
    const error: { code: number; msg: string } = JSON.parse(answer.stdout)
    assert.is(error.code, code, answer.stdout)
    assert.match(error.msg, message)
  }
})

test('a result that a verb cannot do without', () => {
  const plugin = testPlugin('noop', { any: request => void requiredPrevResult(request) })
  const stdin = { cniVersion: '1.0.0', name: 'blue' }
  const answer = callInMemory(plugin, { env: callEnv('CHECK'), stdin })
  assert.is(JSON.parse(answer.stdout).code, 7)
  assert.is(callInMemory(plugin, { env: callEnv('CHECK'), stdin: { ...stdin, prevResult: {} } }).status, 0)
})

test.run()
