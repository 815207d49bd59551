/** The unit files, and the socket that systemd opens: it is served, outlives the agent, and keeps callers waiting meanwhile. */
// needs: systemd-analyze
// time-out: 300 s
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_SOCKET } from '../../lib/overlay/agent-call.ts'
import { inLab, type LabReply, type OverlayLab } from '../../lib/testing/overlay-lab.ts'
import { BIN_DIR } from '../../lib/testing/overlay-site.ts'
import { agentUnit } from '../../lib/testing/socket-unit.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { DEFAULT_CONFIG, parseConfig } from '../config.ts'

const test = suite('agent/systemd')

const UNITS: readonly string[] = ['patchbay-agent.service', 'patchbay-agent.socket']

test('the unit files are right by systemd itself, and name the same places as the agent', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-units-'))
  try {
    const text = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')
    for (const name of UNITS) {
      // It must be there to be judged.
      writeFileSync(join(directory, name), text(name).replace('/usr/local/bin/patchbay', '/bin/true'))
    }
    const args = ['verify', '--man=no', ...UNITS.map(name => join(directory, name))]
    const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
    // Complaints about other units of this machine are not ours.
    const ours = `${stdout}${stderr}`.split('\n').filter(line => line.includes('patchbay'))
    assert.equal({ status, ours }, { status: 0, ours: [] })
    // Out of 100, by systemd's own weights: 44 as it is, 68 without the restrictions.
    const judged = ['security', '--offline=yes', '--threshold=45', '--no-pager', join(directory, UNITS[0] ?? '')]
    const security = spawnSync('systemd-analyze', judged, { encoding: 'utf8' })
    assert.is(security.status, 0, `${security.stdout}${security.stderr}`)
    assert.match(text('patchbay-agent.socket'), new RegExp(`^ListenStream=${DEFAULT_SOCKET}$`, 'm'))
    assert.match(text('patchbay-agent.socket'), /^SocketMode=0600$/m)
    assert.match(text('patchbay-agent.service'), /^ExecStart=\/usr\/local\/bin\/patchbay agent$/m)
    assert.ok(text('patchbay-agent.service').includes(DEFAULT_CONFIG))
    const { confDir, registryDir } = parseConfig('{}')
    assert.match(text('patchbay-agent.service'), new RegExp(`^ReadWritePaths=.* ${confDir}$`, 'm'))
    assert.match(text('patchbay-agent.service'), /^StateDirectory=patchbay$/m)
    assert.match(registryDir, /^\/var\/lib\/patchbay\//)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

function status(lab: OverlayLab, socket: string, timeout: number): Promise<LabReply> {
  return lab.start(
    lab.host(0),
    'STATUS',
    { type: 'vxlan', vni: 42, registry: { socket, timeout } },
    { id: '', netns: '' }
  )
}

test('a socket that systemd has opened is served; while no agent runs, a plugin waits for the next one', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const unit = agentUnit(lab, lab.host(0))
    await unit.whenSaid(/Listening on /)
    // Asked before the agent is there, as the first call of a boot is.
    const early = status(lab, unit.socket, 60)
    const pid = await unit.start()
    assert.is((await early).stdout, '')
    assert.is((await status(lab, unit.socket, 60)).stdout, '')
    process.kill(pid, 'SIGTERM')
    await unit.whenSaid(/^ended$/m)
    assert.ok(existsSync(unit.socket), "the socket is not the agent's to remove")
    assert.is((await status(lab, unit.socket, 1)).json.code, 51)
    const waiting = status(lab, unit.socket, 60)
    await unit.start()
    assert.is((await waiting).stdout, '')
  })
})

test('descriptors that are meant for another process are left alone', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const unit = agentUnit(lab, lab.host(0), { listenPid: '1' })
    await unit.whenSaid(/Listening on /)
    await Promise.all([status(lab, unit.socket, 1), unit.start()])
    // It wants to open its socket itself then, and finds that one served.
    await unit.whenSaid(/answers there/)
  })
})

test.run()
