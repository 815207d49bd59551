import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { assert, suite } from '../testing/suite.ts'
import { ContainerNames } from './container-names.ts'

const test = suite('lib/view: names of containers')

const id = (digits: string): string => digits.repeat(64 / digits.length)

function withStore(files: Readonly<Record<string, string>>, body: (names: ContainerNames) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-stores-'))
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true })
      writeFileSync(join(directory, path), text)
    }
    body(new ContainerNames(directory))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test('Docker, nerdctl, and what podman and CRI-O share', () =>
  withStore(
    {
      [`docker/containers/${id('a1')}/config.v2.json`]: '{"ID":"x","Name":"/web"}',
      'nerdctl/1935db59/names/default/db': `${id('b2')}\n`,
      'containers/storage/overlay-containers/containers.json': `[{"id":"${id('c3')}","names":["cache","other"]},{"id":5}]`
    },
    names => {
      assert.is(names.nameOf(id('a1')), 'web')
      assert.is(names.nameOf(id('b2')), 'db')
      assert.is(names.nameOf(id('c3')), 'cache')
      assert.is(names.nameOf(id('d4')), '')
    }
  ))

test('torn files, and ids that are paths, name nothing', () =>
  withStore(
    {
      [`docker/containers/${id('a1')}/config.v2.json`]: '{"Name":',
      'docker/secret/config.v2.json': '{"Name":"/secret"}',
      'containers/storage/overlay-containers/containers.json': '{}'
    },
    names => {
      assert.is(names.nameOf(id('a1')), '')
      assert.is(names.nameOf('../secret'), '')
    }
  ))

test.run()
