import { parseJson } from '../config/json.ts'
import { Section } from '../config/section.ts'
import { assert, suite } from '../testing/suite.ts'
import { isPlainInterface, readChainName } from './chain-name.ts'
import { changeIptables, quoted } from './iptables.ts'
import { afterwards } from './restore.ts'

const test = suite('lib/iptables')

test('a line that would be several is refused before any program is started', () => {
  for (const end of ['\n', '\r', '\0']) {
    const line = `-A CNI-ADMIN -m comment --comment ${quoted(`x${end}COMMIT${end}*raw`)}`
    assert.throws(
      () => changeIptables(4, 'nat', ['-N A', line]),
      /^change iptables: EINVAL \(a rule holds a line break/
    )
  }
})

test('quotes and backslashes stay inside the quotes', () => {
  assert.is(quoted('a "b" \\c'), '"a \\"b\\" \\\\c"')
})

test('a saved table as it is after commands: a chain, the end, a place, the beginning', () => {
  const saved = [':FORWARD ACCEPT [0:0]', ':A - [0:0]', '-A FORWARD -j A', '-A A -j RETURN', '-A FORWARD -j B']
  const commands = ['-N C', '-A C -j RETURN', '-I FORWARD 2 -m x -j C', '-I A -i 1 -j DROP', '-I C 9 -j LAST']
  const rules = (chain: string) => afterwards(saved, commands).filter(line => line.startsWith(`-A ${chain} `))
  assert.equal(rules('FORWARD'), ['-A FORWARD -j A', '-A FORWARD -m x -j C', '-A FORWARD -j B'])
  assert.equal(rules('A'), ['-A A -i 1 -j DROP', '-A A -j RETURN'])
  assert.equal(rules('C'), ['-A C -j RETURN', '-A C -j LAST'])
  assert.is(afterwards(saved, commands).filter(line => line.startsWith(':C ')).length, 1)
})

test('names that are iptables’ own are no chains of an administrator', () => {
  const problemOf = (name: string): string => {
    const section = new Section(parseJson(JSON.stringify({ chain: name })))
    readChainName(section, 'chain')
    return section.problems().join()
  }
  for (const name of ['ACCEPT', 'PREROUTING', 'MASQUERADE', 'REJECT', 'LOG', 'DNAT', 'ULOG'])
    assert.is(problemOf(name), `chain must be a chain of its own, not one that is built in, got "${name}"`)
  for (const name of ['KUBE-MARK-MASQ', 'CNI-ADMIN', 'LOGGED', 'log']) assert.is(problemOf(name), '')
})

test('interfaces that iptables takes for themselves', () => {
  for (const name of ['cni0', 'br-1a2b', 'eth0.7', 'a+b', '_x', 'v@1']) assert.ok(isPlainInterface(name), name)
  for (const name of ['br+', '+', 'br"x', "br'x", 'br\\x', '!br', '-br', '*', 'é', ''])
    assert.not.ok(isPlainInterface(name), name)
})

test.run()
