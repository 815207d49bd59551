/** Every name in an engine's bin directory is a plugin that answers, however it is started. */
import { spawn, spawnSync } from 'node:child_process'
import { linkSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pageText } from '../cli/ui/page/bundle.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { pluginFolders } from './project.ts'

const BIN = process.env['PATCHBAY_BIN_DIR'] ?? ''
const test = suite(`build/executables ${process.env['PATCHBAY_ENGINE'] ?? ''}`)

/** Asks a plugin for its versions; `program` may be a path, or a name to be found in `path`. */
function versionsOf(program: string, path = '/usr/bin:/bin'): readonly string[] {
  const env = { PATH: path, CNI_COMMAND: 'VERSION' }
  const child = spawnSync(program, [], { env, input: '{"cniVersion":"1.0.0"}', encoding: 'utf8', timeout: 20_000 })
  // Not child.error: a plugin may end before it has read its input.
  assert.is(child.status, 0, `${program}: ${child.stdout}${child.stderr}`)
  return JSON.parse(child.stdout).supportedVersions
}

test('bin holds one link for each plugin folder, all to one file', () => {
  const names = readdirSync(BIN).sort()
  assert.equal(
    names,
    pluginFolders().map(folder => folder.name)
  )
  assert.is(new Set(names.map(name => statSync(join(BIN, name)).ino)).size, 1)
})

test('every name answers as a plugin', () => {
  for (const { name } of pluginFolders()) assert.ok(versionsOf(join(BIN, name)).includes('1.0.0'), name)
})

test('a plugin is known by the name it is started under: path, PATH, symbolic link, hard link', () => {
  const folder = mkdtempSync(join(BIN, '..', '.links-'))
  const elsewhere = mkdtempSync(join(tmpdir(), 'patchbay-links-'))
  try {
    const [plugin] = pluginFolders()
    assert.ok(plugin)
    const direct = versionsOf(join(BIN, plugin.name))
    const anyLink = readdirSync(BIN).at(-1) ?? ''
    symlinkSync(join(BIN, anyLink), join(elsewhere, plugin.name))
    linkSync(join(BIN, anyLink), join(folder, plugin.name))
    assert.equal(versionsOf(plugin.name, BIN), direct)
    assert.equal(versionsOf(join(elsewhere, plugin.name)), direct)
    assert.equal(versionsOf(join(folder, plugin.name)), direct)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    rmSync(elsewhere, { recursive: true, force: true })
  }
})

// dist/node holds the command as well, which is what a name that is no plugin's starts there.
if (process.env['PATCHBAY_ENGINE'] === 'native') {
  test('under a name that is no plugin’s it fails and says what it is', () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-links-'))
    try {
      const stranger = join(folder, 'stranger')
      symlinkSync(join(BIN, readdirSync(BIN)[0] ?? ''), stranger)
      const child = spawnSync(stranger, [], { env: {}, input: '{}', encoding: 'utf8' })
      assert.is.not(child.status, 0)
      assert.is(child.stdout, '')
      assert.match(child.stderr, new RegExp(basename(stranger)))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

if (process.env['PATCHBAY_ENGINE'] === 'node') {
  test('the page of patchbay ui is inside, as it is made from source', async () => {
    const args = ['ui', '--listen', '127.0.0.1:0', '--json']
    const child = spawn(join(BIN, '..', 'patchbay'), args, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const url = await new Promise<string>((resolve, reject) => {
        child.stdout.on('data', chunk => resolve(JSON.parse(String(chunk)).url))
        child.on('close', () => reject(new Error('patchbay ui has ended')))
      })
      assert.ok((await (await fetch(url)).text()) === (await pageText()))
    } finally {
      child.kill('SIGKILL')
    }
  })
}

test.run()
