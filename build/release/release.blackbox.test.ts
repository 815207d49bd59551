/** What `npm run release` packs, tried with the executables that are there: installed it must work and be what is said. */
// needs: ip dpkg-deb rpm lintian busybox openssl
// time-out: 600 s
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { callPlugin, ENGINE } from '../../lib/testing/blackbox.ts'
import { callEnv } from '../../lib/testing/memory-io.ts'
import { withNamespaces } from '../../lib/testing/namespace.ts'
import { withPrivateMounts } from '../../lib/testing/private-mounts.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { pluginFolders, ROOT } from '../project.ts'
import { sha256 } from './archive.ts'
import { debianRoot, dpkg, installByImage, npmInstall, rpm, rpmInstall, run, unpack, withShell } from './roots.ts'

// Wiring a container writes below /run and /var/lib.
withPrivateMounts(import.meta.filename)

const test = suite(`build/release ${ENGINE}`)

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const SUFFIX = `${version}-linux-${process.arch}`
const DEBIAN_ARCH = process.arch === 'x64' ? 'amd64' : 'arm64'
const RPM_ARCH = process.arch === 'x64' ? 'x86_64' : 'aarch64'
const NAMES = pluginFolders().map(folder => folder.name)

/** Packs these forms. @returns the directory with the files, beside which there is room */
function packed(directory: string, ...only: readonly string[]): string {
  const output = join(directory, 'out')
  const chosen = only.flatMap(name => ['--only', name])
  run(process.execPath, ['--no-warnings', 'build/release/release.ts', '--from-dist', '--output', output, ...chosen])
  return output
}

async function withDirectory(body: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(ROOT, '.cache', 'release-test-'))
  try {
    await body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A container gets its address by the plugins of a directory, and loses it. */
function wires(directory: string): void {
  withNamespaces(2, (host, container) => {
    const env = { CNI_NETNS: container.path, CNI_PATH: directory }
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }]] }
    const stdin = { cniVersion: '1.0.0', name: 'net', type: 'bridge', bridge: 'br7', isGateway: true, ipam }
    const added = callPlugin('bridge', { directory, host, env: callEnv('ADD', env), stdin })
    assert.is(added.status, 0, added.stdout + added.stderr)
    const address: string = JSON.parse(added.stdout).ips[0].address
    assert.match(address, /^10\.9\.0\.\d+\/24$/)
    assert.match(container.run('ip', ['-4', 'addr', 'show', 'dev', 'eth0']).stdout, `inet ${address} `)
    const removed = callPlugin('bridge', { directory, host, env: callEnv('DEL', env), stdin })
    assert.is(removed.status, 0, removed.stdout + removed.stderr)
    assert.is(container.run('ip', ['addr', 'show', 'dev', 'eth0']).status, 1)
  })
}

function judgeNames(directory: string): void {
  const files = NAMES.map(name => lstatSync(join(directory, name)))
  assert.is(new Set(files.map(one => one.ino)).size, 1, 'names of one file')
  assert.ok(files.every(one => (one.mode & 0o7777) === 0o755 && one.uid === 0))
  assert.is(sha256(join(directory, 'bridge')), sha256(join(ROOT, 'dist', 'native', 'patchbay-cni')))
}

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .filter(path => !path.startsWith('var/lib/dpkg/') && !path.startsWith('bin/'))
}

function judgeLint(deb: string): void {
  const child = spawnSync('lintian', ['--fail-on', 'error,warning', '--allow-root', deb], { encoding: 'utf8' })
  assert.is(child.status, 0, child.stdout + child.stderr)
}

async function judgeBill(output: string, packages: readonly string[]): Promise<void> {
  const text = readFileSync(join(output, `patchbay-${version}.cdx.json`), 'utf8')
  assert.is(await new Validation.JsonStrictValidator(Spec.Version.v1dot5).validate(text), null)
  for (const name of packages) assert.match(text, `"${name}"`)
  for (const file of readdirSync(output).filter(name => !/cdx\.json$|^SHA256SUMS/.test(name))) {
    assert.match(text, file)
    assert.match(text, sha256(join(output, file)))
  }
}

/** Both runs judge the same packing: one the plugins alone, the other all that has the command in it. */
if (ENGINE === 'native') {
  test('the plugins alone: archive, deb and rpm are what is said and wire a container; the sums are signed', () =>
    withDirectory(async directory => {
      const key = join(directory, 'key.pem')
      run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key])
      const output = join(directory, 'out')
      const chosen = ['plugins', 'patchbay-cni'].flatMap(name => ['--only', name])
      const args = ['build/release/release.ts', '--from-dist', '--output', output, '--key', key, ...chosen]
      run(process.execPath, ['--no-warnings', ...args])
      const archive = `patchbay-plugins-${SUFFIX}.tar.gz`
      const deb = `patchbay-cni_${version}-1_${DEBIAN_ARCH}.deb`
      const rpmFile = `patchbay-cni-${version}-1.${RPM_ARCH}.rpm`
      const bill = `patchbay-${version}.cdx.json`
      assert.equal(readdirSync(output).sort(), ['SHA256SUMS', 'SHA256SUMS.sig', bill, archive, deb, rpmFile].sort())
      const sums = [bill, archive, deb, rpmFile].sort().map(file => `${sha256(join(output, file))}  ${file}`)
      assert.is(readFileSync(join(output, 'SHA256SUMS'), 'utf8'), `${sums.join('\n')}\n`)
      judgeSignature(output, key, directory)
      await judgeBill(output, ['musl', '@scriptc/runtime'])

      const plain = unpack(join(output, archive), join(directory, 'archive'))
      assert.equal(readdirSync(plain).sort(), ['LICENSE', 'THIRD_PARTY_LICENSES', 'patchbay-cni', ...NAMES].sort())
      judgeNames(plain)
      wires(plain)
      judgeDebOfPlugins(join(output, deb), directory)
      judgeRpmOfPlugins(join(output, rpmFile), directory)
    }))

  test('a tree with changes is not released: the commit would not be what is in the files', () =>
    withDirectory(directory => {
      const clone = join(directory, 'clone')
      run('git', ['clone', '--quiet', '--shared', ROOT, clone])
      symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'))
      appendFileSync(join(clone, '.git', 'info', 'exclude'), 'node_modules\n')
      assert.is(run('git', ['-C', clone, 'status', '--porcelain']), '')
      writeFileSync(join(clone, 'new.ts'), '')
      const child = spawnSync(process.execPath, ['--no-warnings', join(clone, 'build/release/release.ts')], {
        encoding: 'utf8'
      })
      assert.is(child.status, 1)
      assert.match(child.stderr, 'there are uncommitted changes')
      assert.not.ok(existsSync(join(clone, 'dist')))
    }))
} else {
  test('the archive with the command installs plugins that wire a container', () =>
    withDirectory(async directory => {
      const output = packed(directory, 'archive')
      await judgeBill(output, ['netmask', 'proper-lockfile', 'musl', '@scriptc/runtime'])
      const home = join(unpack(join(output, `patchbay-${SUFFIX}.tar.gz`), directory), `patchbay-${SUFFIX}`)
      const help = ['man/man1/patchbay.1', 'man/man1/patchbay-network-create.1', 'zsh/site-functions/_patchbay']
      const documents = ['LICENSE', 'README.md', 'CHANGELOG.md', 'docs/install.md', 'node/THIRD_PARTY_LICENSES']
      for (const file of [...documents, ...help.map(name => `share/${name}`)]) {
        assert.ok(existsSync(join(home, file)), file)
      }
      const bin = join(directory, 'bin')
      run(join(home, 'node', 'patchbay'), ['install', bin])
      judgeNames(bin)
      wires(bin)
    }))

  test('npm packages: installed without a network, the command starts and installs plugins', () =>
    withDirectory(directory => {
      const output = packed(directory, 'npm')
      const files = [`patchbay-${version}.tgz`, `patchbay-linux-${process.arch}-${version}.tgz`].map(name =>
        join(output, name)
      )
      const command = npmInstall(directory, files)
      assert.match(run(command, ['version']), `Patchbay v${version}`)
      assert.is(spawnSync(command, ['nosuch']).status, 2, 'its exit status is that of the program')
      const bin = join(directory, 'bin')
      run(command, ['install', bin])
      judgeNames(bin)
      wires(bin)
    }))

  test('the deb of the command: installed, complete, judged by lintian, and gone when it is purged', () =>
    withDirectory(directory => {
      const deb = join(packed(directory, 'deb'), `patchbay_${version}-1_${DEBIAN_ARCH}.deb`)
      const root = debianRoot(join(directory, 'root'))
      dpkg(root, '--install', deb)
      assert.is(readlinkSync(join(root, 'usr/bin/patchbay')), '../lib/patchbay/node/patchbay')
      assert.match(run(join(root, 'usr/bin/patchbay'), ['version']), `Patchbay v${version}`)
      const unit = readFileSync(join(root, 'usr/lib/systemd/system/patchbay-agent.service'), 'utf8')
      assert.match(unit, 'ExecStart=/usr/bin/patchbay agent\n')
      assert.match(run('gzip', ['-dc', join(root, 'usr/share/man/man1/patchbay.1.gz')]), '.TH ')
      wires(join(root, 'usr/lib/patchbay/native/bin'))
      mkdirSync(join(root, 'var/lib/patchbay'), { recursive: true })
      dpkg(root, '--remove', 'patchbay')
      assert.ok(existsSync(join(root, 'var/lib/patchbay')), 'keys outlive a removal')
      dpkg(root, '--purge', 'patchbay')
      assert.equal(filesBelow(root), [])
      assert.not.ok(existsSync(join(root, 'var/lib/patchbay')))
      judgeLint(deb)
    }))

  test('the rpm of the command: installed, as it was packed, complete, and gone when it is erased', () =>
    withDirectory(directory => {
      const file = join(packed(directory, 'rpm'), `patchbay-${version}-1.${RPM_ARCH}.rpm`)
      const root = withShell(join(directory, 'root'))
      rpmInstall(root, file)
      rpm(root, '--verify', '--nodeps', 'patchbay')
      assert.match(run(join(root, 'usr/bin/patchbay'), ['version']), `Patchbay v${version}`)
      const unit = readFileSync(join(root, 'usr/lib/systemd/system/patchbay-dhcp.service'), 'utf8')
      assert.match(unit, 'ExecStart=/usr/bin/patchbay dhcp')
      wires(join(root, 'usr/lib/patchbay/native/bin'))
      const bin = join(directory, 'bin')
      run(join(root, 'usr/bin/patchbay'), ['install', bin])
      judgeNames(bin)
      wires(bin)
      rpm(root, '--erase', 'patchbay')
      assert.equal(
        filesBelow(root).filter(path => !path.startsWith('var/lib/rpm/')),
        []
      )
    }))

  test('the image: its libraries are all that the command needs, and it installs plugins into the host', () =>
    withDirectory(directory => {
      const file = join(packed(directory, 'image'), `patchbay-${version}.oci.tar`)
      // What is mounted goes with this run's mounts.
      const host = installByImage(directory, file)
      const root = join(directory, 'root')
      judgeNames(host)
      wires(host)
      assert.equal(
        filesBelow(root).filter(
          path => !/^(host|proc|dev|usr\/lib\/patchbay|usr\/bin\/patchbay|usr\/share\/doc|lib(64)?)(\/|$)/.test(path)
        ),
        [],
        'and nothing else is in it'
      )
    }))
}

/** As `cosign verify-blob --key` does. */
function judgeSignature(output: string, key: string, directory: string): void {
  const [publicKey, signature] = [join(directory, 'public.pem'), join(directory, 'signature')]
  run('openssl', ['ec', '-in', key, '-pubout', '-out', publicKey])
  run('openssl', ['base64', '-d', '-A', '-in', join(output, 'SHA256SUMS.sig'), '-out', signature])
  const args = ['dgst', '-sha256', '-verify', publicKey, '-signature', signature, join(output, 'SHA256SUMS')]
  assert.match(run('openssl', args), 'Verified OK')
}

function judgeDebOfPlugins(deb: string, directory: string): void {
  const root = debianRoot(join(directory, 'debian'))
  dpkg(root, '--install', deb)
  judgeNames(join(root, 'usr/lib/cni'))
  wires(join(root, 'usr/lib/cni'))
  const field = (name: string): string => run('dpkg-deb', ['--field', deb, name]).trim()
  assert.equal(['Provides', 'Conflicts', 'Replaces'].map(field), Array(3).fill('containernetworking-plugins'))
  dpkg(root, '--purge', 'patchbay-cni')
  assert.equal(filesBelow(root), [])
  judgeLint(deb)
}

function judgeRpmOfPlugins(file: string, directory: string): void {
  const root = join(directory, 'rpm')
  rpmInstall(root, file)
  rpm(root, '--verify', '--nodeps', 'patchbay-cni')
  judgeNames(join(root, 'usr/libexec/cni'))
  assert.ok(statSync(join(root, 'usr/share/licenses/patchbay-cni/THIRD_PARTY_LICENSES')).size > 1000)
  wires(join(root, 'usr/libexec/cni'))
  rpm(root, '--erase', 'patchbay-cni')
  assert.not.ok(existsSync(join(root, 'usr/libexec/cni/bridge')))
}

test.run()
