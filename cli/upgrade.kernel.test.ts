/**
 * Another version is installed over the one that runs, again and again, and the agent restarted by its socket, while containers come
 * and go: no call fails, and nothing is left. Runtimes start plugins from the directory that is being installed into.
 */
// needs: systemd-socket-activate
// time-out: 600 s
import { createHash } from 'node:crypto'
import { appendFileSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inLab, type LabReply, type OverlayLab } from '../lib/testing/overlay-lab.ts'
import { BIN_DIR } from '../lib/testing/overlay-site.ts'
import { agentUnit } from '../lib/testing/socket-unit.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { pluginNames } from '../plugins/names.ts'
import { installInto } from './install.ts'
import { MULTI_CALL } from './install-plan.ts'

const test = suite('cli/install, upgrade under load')

/** Containers that come and go side by side, and how often each. */
const WORKERS = 3
const ROUNDS = 10
const RESTARTS = 3

/** Two programs that differ: what is behind an executable's end changes nothing of what it does. */
function versionsOf(directory: string): readonly string[] {
  return ['one', 'two'].map(word => {
    const path = join(directory, word)
    copyFileSync(join(BIN_DIR, 'vxlan'), path)
    appendFileSync(path, word)
    return path
  })
}

/** Each container is attached twice: with the agent, and without it. */
function networksOf(lab: OverlayLab, socket: string): readonly Record<string, unknown>[] {
  const ipam = (net: number): object => {
    const dataDir = join(lab.directory, 'leases')
    return { type: 'host-local', dataDir, ranges: [[{ subnet: `10.${net}.0.0/24` }], [{ subnet: `fd00:${net}::/64` }]] }
  }
  // A plugin waits for the next agent for as long.
  const registry = { socket, timeout: 60 }
  return [
    { type: 'vxlan', name: 'red', vni: 42, isGateway: true, registry, ipam: ipam(42) },
    { type: 'bridge', name: 'blue', bridge: 'blue0', isGateway: true, ipMasq: true, keepDevices: false, ipam: ipam(43) }
  ]
}

async function comeAndGo(lab: OverlayLab, worker: number, networks: readonly Record<string, unknown>[]): Promise<void> {
  const host = lab.host(0)
  const call = async (command: string, i: number, more: object = {}, netns = ''): Promise<LabReply> => {
    const container = { id: `c${worker}`, netns, ifName: `eth${i}` }
    const reply = await lab.start(host, command, { ...networks[i], ...more }, container)
    if (reply.status !== 0)
      throw new Error(`${command} ${container.id} ${container.ifName}: ${reply.stdout}${reply.stderr}`)
    return reply
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const { path } = lab.container()
    for (const i of networks.keys()) {
      const added = await call('ADD', i, {}, path)
      await call('CHECK', i, { prevResult: added.json }, path)
    }
    for (const i of networks.keys()) await call('DEL', i, {}, path)
  }
}

test('no call fails while plugins are replaced and the agent is restarted', async () => {
  await withVersions(async (binDir, one, two) => {
    await inLab(1, { binDir }, lab => upgrade(lab, one, two))
  })
})

/** A directory of plugins, and two versions to install into it. */
async function withVersions(body: (binDir: string, one: string, two: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-upgrade-'))
  try {
    const [one = '', two = ''] = versionsOf(directory)
    await body(join(directory, 'bin'), one, two)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function upgrade(lab: OverlayLab, one: string, two: string): Promise<void> {
  const { binDir } = lab
  installInto(binDir, one, pluginNames())
  const unit = agentUnit(lab, lab.host(0))
  await unit.whenSaid(/Listening on /)
  const networks = networksOf(lab, unit.socket)
  let ended: string | undefined
  Promise.all(Array.from({ length: WORKERS }, (_, i) => comeAndGo(lab, i, networks))).then(
    () => {
      ended = ''
    },
    (error: unknown) => {
      ended = String(error)
    }
  )
  // The first call wakes it up.
  let pid = await unit.start()
  let installs = 0
  for (let restarts = 0; ended === undefined; installs += 1) {
    // Up and down: each is the other's previous version.
    installInto(binDir, installs % 2 === 0 ? two : one, pluginNames())
    if (restarts < RESTARTS && installs % 3 === 2) {
      process.kill(pid, 'SIGTERM')
      pid = await unit.start()
      restarts += 1
    }
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  assert.is(ended, '')
  assert.ok(installs > 3 * RESTARTS, `${installs} installs`)
  const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')
  assert.is(sha256(join(binDir, MULTI_CALL)), sha256(installs % 2 === 1 ? two : one))
  assert.equal(lab.links(lab.host(0).namespace), ['eth0', 'lo'])
  assert.equal(
    lab.files(lab.host(0)).filter(name => /^state\/(?!\.locks\/)/.test(name)),
    []
  )
  const leases = readdirSync(join(lab.directory, 'leases'), { recursive: true, encoding: 'utf8' })
  assert.equal(
    leases.filter(name => /\/(?:10\.|fd00:)/.test(name)),
    []
  )
}

test.run()
