/** What install has put there is compared, and taken away again: on files of its own, and a /run and /var/lib of its own. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { jsonObject } from '../lib/config/json.ts'
import { DEFAULT_SOCKET } from '../lib/overlay/agent-call.ts'
import { DEFAULT_STATE_DIR, Journal } from '../lib/state/journal.ts'
import { withPrivateMounts } from '../lib/testing/private-mounts.ts'
import { ScriptedDaemon } from '../lib/testing/scripted-daemon.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { pluginNames } from '../plugins/names.ts'
import { runCommandLine } from './command-line.ts'

withPrivateMounts(import.meta.filename)
const test = suite('cli/uninstall')

class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-uninstall-'))
  readonly bin = join(this.directory, 'bin')
  readonly confDir = join(this.directory, 'net.d')
  readonly #places = ['--conf-dir', this.confDir, '--unit-dir', join(this.directory, 'units')]

  constructor() {
    for (const name of ['bin', 'net.d', 'units']) mkdirSync(join(this.directory, name))
    // Where the command looks for what it installs.
    process.argv[1] = join(this.directory, 'cli', 'main.ts')
    this.write('dist/native/patchbay-cni', '#!/bin/sh\necho one\n')
  }

  write(name: string, text: string, mode = 0o755): void {
    const path = join(this.directory, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    chmodSync(path, mode)
  }

  async run(...args: readonly string[]): Promise<{ readonly status: number; readonly said: string }> {
    let said = ''
    const note = (text: string): void => {
      said += text
    }
    const [verb = '', ...rest] = args
    const status = await runCommandLine([verb, this.bin, ...rest, ...this.#places], { out: note, err: note })
    return { status, said: said.replaceAll(`${this.directory}/`, '') }
  }

  /** Every file but the source, with its mode and content. */
  files(): readonly string[] {
    return readdirSync(this.directory, { recursive: true, encoding: 'utf8' })
      .filter(name => !name.startsWith('dist') && lstatSync(join(this.directory, name)).isFile())
      .map(name => {
        const path = join(this.directory, name)
        return `${name} ${(lstatSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'utf8')}`
      })
      .sort()
  }

  close(): void {
    rmSync(this.directory, { recursive: true })
  }
}

async function inPlace(body: (place: Place) => Promise<void>): Promise<void> {
  const place = new Place()
  try {
    await body(place)
  } finally {
    place.close()
    rmSync(DEFAULT_STATE_DIR, { recursive: true, force: true })
  }
}

const NERDCTL = ['--runtime', 'nerdctl', '--names']

test('--verify finds what was installed, and names each file that is not as it was', () =>
  inPlace(async place => {
    assert.is((await place.run('install', ...NERDCTL)).status, 0)
    const right = await place.run('install', '--verify', ...NERDCTL)
    // By `printf '#!/bin/sh\necho one\n' | sha256sum`.
    const sha256 = 'f5dd87fa1cf3d592ff0ba84641abfe39bacecaad5e003c74aa181ccb54c2cc9a'
    const files = 1 + 1 + pluginNames().length + 1 + 2
    assert.is(right.said, `${files} of ${files} as installed; sha256 ${sha256}  dist/native/patchbay-cni\n`)
    assert.is(right.status, 0)

    rmSync(join(place.bin, 'bandwidth'))
    rmSync(join(place.bin, 'bridge'))
    place.write('bin/bridge', 'two')
    rmSync(join(place.bin, 'dns'))
    place.write('bin/dns', '#!/bin/sh\necho one\n', 0o777)
    rmSync(join(place.bin, 'firewall'))
    symlinkSync('nowhere', join(place.bin, 'firewall'))
    rmSync(join(place.bin, 'ipvlan'))
    place.write('bin/ipvlan', '#!/bin/sh\necho one\n', 0o644)
    writeFileSync(join(place.confDir, 'nerdctl-bridge.conflist'), '{"name": "other"}')
    writeFileSync(join(place.directory, 'units', 'patchbay-agent.socket'), '[Socket]\n')
    const wrong = await place.run('install', '--verify', ...NERDCTL)
    assert.is(wrong.status, 1)
    assert.equal(wrong.said.match(/^wrong {2}.*/gm), [
      'wrong  bin/bandwidth: is missing',
      // printf two | sha256sum
      'wrong  bin/bridge: is another program, sha256 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3',
      'wrong  bin/dns: can be written by others, mode 0777',
      'wrong  bin/firewall: is a link that leads nowhere',
      'wrong  bin/ipvlan: cannot be executed, mode 0644',
      'wrong  net.d/nerdctl-bridge.conflist: is another network than install writes',
      'wrong  units/patchbay-agent.socket: is another text than install writes'
    ])
    assert.is((await place.run('install', '--verify', '--force')).status, 2)
  }))

test('uninstall puts back what install replaced, to the bit, and shows it before', () =>
  inPlace(async place => {
    place.write('bin/bridge', 'the reference')
    place.write('bin/flannel', 'of somebody else')
    place.write('net.d/nerdctl-bridge.conflist', '{"name": "bridge", "plugins": []}', 0o640)
    const before = place.files()
    assert.is((await place.run('install', '--force', ...NERDCTL)).status, 0)
    // A plugin of a version that had another set of names.
    place.write('bin/vrf9', '#!/bin/sh\necho one\n')
    const installed = place.files()
    const dry = await place.run('uninstall', '--dry-run')
    assert.match(dry.said, /^would restore bin\/bridge$/m)
    assert.match(dry.said, /^would remove {2}bin\/portmap$/m)
    assert.match(dry.said, /^would restore net\.d\/nerdctl-bridge\.conflist$/m)
    assert.equal(place.files(), installed)
    assert.is((await place.run('uninstall')).status, 0)
    assert.equal(place.files(), before)
    assert.not.ok(existsSync(join(place.bin, '.before-patchbay')))
    assert.is((await place.run('uninstall')).said, 'nothing of patchbay install is here\n')
  }))

test('what somebody has changed since is left, with where the former one is', () =>
  inPlace(async place => {
    place.write('bin/bridge', 'the reference')
    place.write('net.d/nerdctl-bridge.conflist', '{"name": "bridge", "plugins": []}')
    await place.run('install', '--force', ...NERDCTL)
    rmSync(join(place.bin, 'bridge'))
    place.write('bin/bridge', 'newer than ours')
    writeFileSync(join(place.confDir, 'nerdctl-bridge.conflist'), '{"name": "bridge"}')
    writeFileSync(join(place.directory, 'units', 'patchbay-agent.service'), '[Service]\n')
    const { said } = await place.run('uninstall')
    assert.match(said, /^left {5}bin\/bridge: somebody else's; the former one: bin\/\.before-patchbay\/bridge$/m)
    assert.match(said, /^left {5}net\.d\/nerdctl-bridge\.conflist: it was changed; the former one: /m)
    assert.match(said, /^left {5}units\/patchbay-agent\.service: it was changed, or another version wrote it$/m)
    const left = place.files().map(line => line.split(' ')[0])
    assert.equal(left, [
      'bin/.before-patchbay/bridge',
      'bin/bridge',
      'net.d/.before-patchbay/nerdctl-bridge.conflist',
      'net.d/nerdctl-bridge.conflist',
      'units/patchbay-agent.service'
    ])
  }))

test('it is refused while containers are attached, or the agent runs; --purge leaves nothing', () =>
  inPlace(async place => {
    await place.run('install', ...NERDCTL)
    place.write('net.d/patchbay-blue.conflist', '{"name": "blue"}')
    place.write('net.d/10-mine.conflist', '{"name": "mine"}')
    const keys = '/var/lib/patchbay/encryption'
    mkdirSync(keys, { recursive: true })
    const installed = place.files()
    const attachment = { network: 'blue', containerId: 'c1', ifName: 'eth0' }
    const journal = new Journal({ network: 'blue', plugin: 'bridge', stateDir: undefined })
    journal.write(attachment, jsonObject([]))
    const refused = await place.run('uninstall', '--purge')
    assert.is(refused.status, 1)
    assert.match(refused.said, /still attached, and detached by these plugins alone: blue\/c1\n/)
    journal.remove(attachment)

    await new ScriptedDaemon().during({ status: { ok: true, result: null } }, async ({ socket }) => {
      mkdirSync(DEFAULT_STATE_DIR, { recursive: true })
      symlinkSync(socket, DEFAULT_SOCKET)
      assert.match((await place.run('uninstall')).said, /patchbay agent runs\n[\s\S]*systemctl disable --now/)
    })
    assert.equal(place.files(), installed)
    // What a killed agent has left is in nobody's way.
    const { status, said } = await place.run('uninstall', '--purge')
    assert.is(status, 0, said)
    assert.equal(place.files(), ['net.d/10-mine.conflist 755 {"name": "mine"}'])
    assert.equal([existsSync(DEFAULT_STATE_DIR), existsSync('/var/lib/patchbay')], [false, false])
  }))

test.run()
