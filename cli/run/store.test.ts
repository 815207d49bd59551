import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FormatError } from '../../lib/config/format.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { type ContainerState, ContainerStore } from './store.ts'

const test = suite('cli/run/store')

function stateOf(name: string): ContainerState {
  const times = {
    created: '2026-11-27T08:00:00.000Z',
    pid: 0,
    startTime: '',
    keeper: 0,
    keeperStartTime: '',
    exitStatus: undefined
  }
  return { name, command: ['sleep', '1'], networks: [], addresses: [], ports: [], ...times }
}

test('a container that a newer version has started is refused by name, and passed over in lists', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-run-'))
  try {
    const store = new ContainerStore(directory)
    for (const name of ['one', 'two']) store.write(stateOf(name))
    const path = join(directory, 'one', 'state.json')
    const state = JSON.parse(readFileSync(path, 'utf8'))
    assert.is(state.format, 1)
    writeFileSync(path, JSON.stringify({ ...state, format: 2 }))
    assert.throws(
      () => store.find('one'),
      (error: Error) => error instanceof FormatError
    )
    assert.equal(
      store.list().map(one => one.name),
      ['two']
    )
    assert.ok(store.has('one'))
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test.run()
