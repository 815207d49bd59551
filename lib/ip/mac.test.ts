import { execFileSync } from 'node:child_process'
import { assert, suite } from '../testing/suite.ts'
import { formatMac, hex, isUnicastMac, parseMac, stableMac } from './mac.ts'

const test = suite('lib/ip/mac')

test('parseMac and formatMac: either case, colons or dashes', () => {
  for (const text of ['0A:58:0a:01:00:05', '0a-58-0A-01-00-05']) {
    const mac = parseMac(text)
    assert.ok(mac !== undefined)
    assert.equal([...(mac ?? [])], [0x0a, 0x58, 0x0a, 0x01, 0x00, 0x05])
    assert.is(formatMac(mac ?? new Uint8Array(0)), '0a:58:0a:01:00:05')
  }
  const wrong = ['', '0a:58:0a:01:00', '0a:58:0a:01:00:05:06', '0a:58-0a:01:00:05', '0a580a010005', 'a:58:0a:01:00:05']
  for (const text of [...wrong, '0g:58:0a:01:00:05', ' 0a:58:0a:01:00:05', '0a:58:0a:01:00:05\n'])
    assert.is(parseMac(text), undefined, JSON.stringify(text))
})

test('isUnicastMac: no group, not everybody, not nobody', () => {
  const isUnicast = (text: string) => isUnicastMac(parseMac(text) ?? new Uint8Array(6))
  for (const text of ['02:00:00:00:00:00', '00:00:00:00:00:01', 'fe:ff:ff:ff:ff:ff']) assert.ok(isUnicast(text), text)
  for (const text of ['01:00:5e:00:00:01', '33:33:00:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00']) {
    assert.not.ok(isUnicast(text), text)
  }
})

test('stableMac: the first bytes of sha256 as sha256sum prints them, local and unicast', () => {
  for (const seed of ['cni0', 'br-0123456789ab', '', 'ü']) {
    const digest = execFileSync('sha256sum', { input: seed, encoding: 'utf8' })
    const mac = stableMac(seed)
    assert.is(mac.length, 6)
    assert.is(hex(mac).slice(2), digest.slice(2, 12), seed)
    const first = Number.parseInt(digest.slice(0, 2), 16)
    assert.is(mac[0], (first | 2) & ~1, seed)
  }
  assert.equal(stableMac('a'), stableMac('a'))
})

test.run()
