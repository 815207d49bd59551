import { assert, suite } from '../testing/suite.ts'
import { changeIptables, quoted } from './iptables.ts'

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

test.run()
