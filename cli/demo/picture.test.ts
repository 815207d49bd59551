import { assert, suite } from '../../lib/testing/suite.ts'
import { picture } from './picture.ts'

const test = suite('cli/demo/picture')

test('cables meet the bridge and the box in one column, whatever is written beside them', () => {
  const drawn = picture(
    ['host: bridge patch0', '10.77.0.1'],
    [
      { lines: ['red', '10.77.0.2/24'], hostEnd: 'veth1' },
      { lines: ['blue', '10.77.0.3/24'], hostEnd: 'veth380a8293860' }
    ]
  )
  assert.equal(drawn, [
    '┌─────────────────────────────────────┐',
    '│         host: bridge patch0         │',
    '│              10.77.0.1              │',
    '└────┬────────────────────┬───────────┘',
    '     │ veth1              │ veth380a8293860',
    '┌────┴─────────┐    ┌─────┴───────────┐',
    '│     red      │    │      blue       │',
    '│ 10.77.0.2/24 │    │  10.77.0.3/24   │',
    '└──────────────┘    └─────────────────┘'
  ])
})

test.run()
