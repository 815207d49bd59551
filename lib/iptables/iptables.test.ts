import { assert, suite } from '../testing/suite.ts'
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

test.run()
