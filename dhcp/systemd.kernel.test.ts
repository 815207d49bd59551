/** The unit files are right, and a socket that systemd has opened is served. */
// needs: systemd-analyze
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../lib/testing/dhcp-lab.ts'
import { patchbayProgram } from '../lib/testing/program.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { parseFlags } from './flags.ts'

const test = suite('dhcp/systemd')

const UNITS: readonly string[] = ['patchbay-dhcp.service', 'patchbay-dhcp.socket']

function textOf(unit: string): string {
  return readFileSync(join(import.meta.dirname, 'systemd', unit), 'utf8')
}

test('systemd has nothing to say against the units; they name the paths that are the defaults', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-units-'))
  try {
    for (const unit of UNITS) {
      writeFileSync(join(directory, unit), textOf(unit).replace('/usr/local/bin/patchbay', '/bin/true'))
    }
    const args = ['verify', '--man=no', ...UNITS.map(unit => join(directory, unit))]
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
    // Complaints about other units of this machine are not ours.
    const ours = `${stdout}${stderr}`.split('\n').filter(line => line.includes('patchbay'))
    assert.equal({ status, ours }, { status: 0, ours: [] })
    const { socketpath, statedir } = parseFlags([])
    assert.match(textOf('patchbay-dhcp.socket'), new RegExp(`^ListenStream=${socketpath}$`, 'm'))
    assert.match(textOf('patchbay-dhcp.socket'), /^SocketMode=0600$/m)
    assert.match(textOf('patchbay-dhcp.service'), new RegExp(`^RuntimeDirectory=.* ${statedir.slice(5)}$`, 'm'))
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a socket that systemd has opened is served', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-units-'))
  const path = join(directory, 'dhcp.sock')
  const daemon = [...patchbayProgram(), 'dhcp', `-statedir=${directory}/state`]
  const args = ['--net', 'systemd-socket-activate', `--listen=${path}`, ...daemon, `-socketpath=${path}`]
  const child = spawn('unshare', args, { stdio: 'ignore' })
  try {
    let answer = ''
    await until('it answers', async () => {
      answer = await ask(path)
      return answer !== ''
    })
    assert.is(answer, '{"ok":true}\n')
  } finally {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
})

/** @returns the answer, '' when nobody is there */
function ask(path: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  const socket = connect(path, () => socket.write('{"do":"status","ipam":{}}\n'))
  socket.on('data', chunk => {
    text += String(chunk)
  })
  socket.on('error', () => resolve(''))
  socket.on('close', () => resolve(text))
  return promise
}

test.run()
