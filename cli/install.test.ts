import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite, throwsLike } from '../lib/testing/suite.ts'
import { installInto } from './install.ts'
import { planPlugins } from './install-plan.ts'

const test = suite('cli/install')

async function withDirectory(body: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-install-'))
  try {
    await body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function program(directory: string, word: string): string {
  const path = join(directory, 'source')
  writeFileSync(path, `#!/bin/sh\necho ${word}\nexit 0\n${'#'.repeat(100_000)}\n`)
  return path
}

test('one copy, executable, and a link to it for every plugin', () =>
  withDirectory(directory => {
    const target = join(directory, 'deep', 'bin')
    installInto(target, program(directory, 'one'), ['bridge', 'portmap'])
    assert.equal(readdirSync(target).sort(), ['bridge', 'patchbay-cni', 'portmap'])
    assert.is(new Set(readdirSync(target).map(name => statSync(join(target, name)).ino)).size, 1)
    assert.is(statSync(join(target, 'bridge')).mode & 0o777, 0o755)
    assert.is(spawnSync(join(target, 'portmap'), { encoding: 'utf8' }).stdout, 'one\n')
  }))

test('installing again replaces the plugins, and touches nothing else', () =>
  withDirectory(directory => {
    const target = join(directory, 'bin')
    mkdirSync(target)
    writeFileSync(join(target, 'bridge'), 'the reference')
    writeFileSync(join(target, 'flannel'), 'of somebody else')
    installInto(target, program(directory, 'one'), ['bridge'])
    const before = statSync(join(target, 'bridge')).ino
    installInto(target, program(directory, 'two'), ['bridge'])
    assert.is.not(statSync(join(target, 'bridge')).ino, before)
    assert.is(spawnSync(join(target, 'bridge'), { encoding: 'utf8' }).stdout, 'two\n')
    assert.is(readFileSync(join(target, 'flannel'), 'utf8'), 'of somebody else')
    assert.equal(readdirSync(target).sort(), ['bridge', 'flannel', 'patchbay-cni'], 'no temporary file is left')
  }))

test('a name that only a newer version knew is Patchbay’s on the way up again; others’ executables and scripts are not', () =>
  withDirectory(directory => {
    installInto(directory, program(directory, 'one'), ['bridge'])
    writeFileSync(join(directory, 'dns'), '\x7fELF ... Patchbay v0.3.0 ...')
    writeFileSync(join(directory, 'flannel'), '\x7fELF ... of somebody else ...')
    writeFileSync(join(directory, 'vlan'), '#!/bin/sh\n# in place of Patchbay v0.3.0\n')
    assert.equal(
      planPlugins(directory, ['bridge', 'dns', 'flannel', 'vlan', 'ptp']).map(step => step.action),
      ['update', 'update', 'update', 'replace', 'replace', 'create']
    )
  }))

test('a runtime that starts plugins meanwhile never fails', () =>
  withDirectory(async directory => {
    const target = join(directory, 'bin')
    const source = program(directory, 'one')
    installInto(target, source, ['bridge'])
    const loop = `for i in $(seq 300); do [ "$(${join(target, 'bridge')})" = one ] || { echo "torn at $i"; exit 1; }; done`
    const child = spawn('sh', ['-c', loop], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const ended = new Promise<number | null>(resolve => child.on('close', resolve))
    let installs = 0
    while (child.exitCode === null) {
      installInto(target, source, ['bridge'])
      installs += 1
      await new Promise(resolve => setTimeout(resolve, 1))
    }
    assert.is(await ended, 0, said)
    assert.ok(installs > 5, `${installs} installs`)
  }))

test('a directory in the way, or one that cannot be made, is told', () =>
  withDirectory(directory => {
    const source = program(directory, 'one')
    mkdirSync(join(directory, 'bin', 'bridge'), { recursive: true })
    throwsLike(() => installInto(join(directory, 'bin'), source, ['bridge']), {
      name: 'CommandError',
      message: /bridge is a directory/
    })
    assert.ok(lstatSync(join(directory, 'bin', 'bridge')).isDirectory())
    throwsLike(() => installInto(join(source, 'bin'), source, ['bridge']), { name: 'CommandError', message: /ENOTDIR/ })
    assert.not.ok(existsSync(join(directory, 'bin', '.bridge')))
  }))

test.run()
