/** What `npm run release` packs, tried with the executables that are there: unpacked it must work and be what is said. */
// time-out: 180 s
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'
import { pluginFolders, ROOT } from '../project.ts'
import { sha256 } from './archive.ts'

const ENGINE = process.env['PATCHBAY_ENGINE'] ?? ''
const test = suite(`build/release ${ENGINE}`)

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const child = spawnSync(command, args, {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    input: '{"cniVersion":"1.0.0"}',
    encoding: 'utf8'
  })
  assert.is(child.status, 0, `${command} ${args.join(' ')}: ${child.stdout}${child.stderr}`)
  return child.stdout
}

function unpack(archive: string, directory: string): void {
  run('tar', ['-xzf', archive, '-C', directory])
}

/** The packing is the same for both engines: one run judges the small archive, the other the large one. */
test('archives: digests, bill of materials, licences, and executables that answer', () => {
  const directory = mkdtempSync(join(ROOT, '.cache', 'release-test-'))
  try {
    const output = join(directory, 'out')
    run(process.execPath, ['--no-warnings', 'build/release.ts', '--from-dist', '--output', output])
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const suffix = `${version}-linux-${process.arch}`
    const [small, large] = [`patchbay-plugins-${suffix}.tar.gz`, `patchbay-${suffix}.tar.gz`]
    const bill = `patchbay-${version}.cdx.json`
    assert.equal(readdirSync(output).sort(), ['SHA256SUMS', bill, large, small].sort())
    const sums = [bill, large, small].sort().map(file => `${sha256(join(output, file))}  ${file}`)
    assert.is(readFileSync(join(output, 'SHA256SUMS'), 'utf8'), `${sums.join('\n')}\n`)
    judgeBill(readFileSync(join(output, bill), 'utf8'), [small, large], file => sha256(join(output, file)))
    if (ENGINE === 'native') judgePlugins(join(output, small), directory)
    else judgeEverything(join(output, large), directory, `patchbay-${suffix}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

function judgeBill(text: string, archives: readonly string[], digest: (file: string) => string): void {
  const bill = JSON.parse(text)
  assert.is(bill.bomFormat, 'CycloneDX')
  for (const file of archives) {
    assert.match(text, file)
    assert.match(text, digest(file))
  }
  for (const name of ['netmask', 'proper-lockfile', 'musl', '@scriptc/runtime']) assert.match(text, `"${name}"`)
}

function judgePlugins(archive: string, directory: string): void {
  const names = pluginFolders().map(folder => folder.name)
  unpack(archive, directory)
  assert.equal(
    readdirSync(directory).sort(),
    ['LICENSE', 'THIRD_PARTY_LICENSES', 'out', 'patchbay-cni', ...names].sort()
  )
  assert.is(new Set(names.map(name => statSync(join(directory, name)).ino)).size, 1, 'names of one file')
  for (const name of names) {
    const path = join(directory, name)
    assert.is(statSync(path).mode & 0o777, 0o755)
    assert.match(run(path, [], { CNI_COMMAND: 'VERSION' }), '"supportedVersions"')
  }
}

function judgeEverything(archive: string, directory: string, folder: string): void {
  unpack(archive, directory)
  const home = join(directory, folder)
  const help = ['man/man1/patchbay.1', 'man/man1/patchbay-network-create.1', 'zsh/site-functions/_patchbay']
  const documents = ['LICENSE', 'README.md', 'CHANGELOG.md', 'docs/install.md', 'node/THIRD_PARTY_LICENSES']
  for (const file of [...documents, ...help.map(name => `share/${name}`)]) {
    assert.ok(existsSync(join(home, file)), file)
  }
  const bin = join(directory, 'bin')
  run(join(home, 'node', 'patchbay'), ['install', bin])
  const installed = join(bin, 'loopback')
  assert.is(sha256(installed), sha256(join(home, 'native', 'patchbay-cni')), 'the native engine is what gets installed')
  assert.match(run(installed, [], { CNI_COMMAND: 'VERSION' }), '"supportedVersions"')
}

test.run()
