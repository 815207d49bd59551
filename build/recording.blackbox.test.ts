// needs: ip busybox
/** What README.md and docs/recording.cast show of the command is what it says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import stringWidth from 'string-width'
import { binDir, ENGINE } from '../lib/testing/blackbox.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { ROOT } from './project.ts'
import { CAST, COLUMNS, castOf, screenOf } from './recording/cast.ts'
import { Steady } from './recording/steady.ts'
import { record } from './recording.ts'

const test = suite(`build/recording ${ENGINE}`)

test('the committed recording is what the commands say, in a terminal of 80 columns', () => {
  const committed = readFileSync(join(ROOT, CAST), 'utf8')
  const recorded = record(binDir())
  assert.is(screenOf(recorded), screenOf(committed), 'npm run recording')
  assert.is(recorded, committed, 'npm run recording')
  for (const line of screenOf(committed).split('\n')) assert.ok(stringWidth(line) <= COLUMNS, line)
})

test('a recording is a header and what appears when', () => {
  const cast = castOf([{ typed: 'ls', shown: 'a\nb\n' }])
  const [header, ...events] = cast.trimEnd().split('\n')
  assert.match(header ?? '', /^\{"version":2,"width":80,"height":40,/)
  assert.equal(events, [
    '[0,"o","$ "]',
    '[0.04,"o","l"]',
    '[0.08,"o","s"]',
    String.raw`[0.38,"o","\r\n"]`,
    String.raw`[0.68,"o","a\r\nb\r\n"]`
  ])
  assert.is(screenOf(cast), '$ ls\na\nb')
})

test('ids that differ from run to run become steady; equal ones stay equal, all else stays', () => {
  const shown = (id: string, veth: string): string => `${id} br-${id} veth${veth} 10.5.0.2/24 MTU 1500 ${id}`
  const one = new Steady().text(shown('16477688c0e0', '606fb8ae91e'))
  assert.is(one, new Steady().text(shown('f50db2576814', '1315926aa37')))
  assert.match(one, /^([0-9a-f]{12}) br-\1 veth([0-9a-f]{11}) 10\.5\.0\.2\/24 MTU 1500 \1$/)
  const steady = new Steady()
  assert.ok(steady.text('16477688c0e0') !== steady.text('f50db2576814'))
})

test.run()
