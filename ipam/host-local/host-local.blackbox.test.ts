// needs: reference-plugins
/**
 * The built host-local beside the reference's on one data directory, in parallel, killed, and on a full disk.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite(`ipam/host-local beside the reference ${process.env['PATCHBAY_ENGINE'] ?? ''}`)

const OURS = join(process.env['PATCHBAY_BIN_DIR'] ?? '', 'host-local')
const REFERENCE = '/usr/lib/cni/host-local'

interface Answer {
  readonly status: number | null
  readonly addresses: readonly string[]
  readonly output: string
}

function environment(command: string, id: string): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_IFNAME: 'eth0',
    CNI_NETNS: '/run/netns/patchbay-test-absent',
    CNI_PATH: '/nonexistent',
    PATH: '/usr/bin:/bin'
  }
}

const RANGES = [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]]

/** One network with its leases in a scratch directory. */
class Net {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'host-local-'))
  readonly path = join(this.dataDir, 'net')

  config(more: object = {}, ipam: object = {}): string {
    const full = { type: 'host-local', dataDir: this.dataDir, ranges: RANGES, ...ipam }
    return JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge', ipam: full, ...more })
  }

  call(program: string, command: string, id: string, input = this.config()): Answer {
    const run = spawnSync(program, [], { input, env: environment(command, id), encoding: 'utf8' })
    return answerOf(run.status, run.stdout)
  }

  add(program: string, id: string, input = this.config()): readonly string[] {
    const answer = this.call(program, 'ADD', id, input)
    assert.is(answer.status, 0, answer.output)
    return answer.addresses
  }

  start(program: string, command: string, id: string): ChildProcess {
    const child = spawn(program, [], { env: environment(command, id), stdio: ['pipe', 'pipe', 'inherit'] })
    // A child that is killed leaves its end of the pipe.
    child.stdin?.on('error', () => {})
    child.stdin?.end(this.config())
    return child
  }

  leases(): readonly string[] {
    return readdirSync(this.path)
      .filter(name => name !== 'lock' && !name.startsWith('last_reserved_ip.'))
      .sort()
  }

  /** All files that the reference knows of, with their bytes. */
  files(): Record<string, string> {
    const files: Record<string, string> = {}
    for (const name of readdirSync(this.path).sort()) files[name] = readFileSync(join(this.path, name), 'latin1')
    return files
  }
}

function answerOf(status: number | null, stdout: string): Answer {
  const ips: readonly { address: string }[] = stdout === '' ? [] : (JSON.parse(stdout).ips ?? [])
  return { status, addresses: ips.map(ip => ip.address), output: stdout }
}

async function finished(child: ChildProcess): Promise<Answer> {
  let stdout = ''
  child.stdout?.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  const status = await new Promise<number | null>(resolve => child.on('close', resolve))
  return answerOf(status, stdout)
}

async function withNet(body: (net: Net) => void | Promise<void>): Promise<void> {
  const net = new Net()
  try {
    await body(net)
  } finally {
    rmSync(net.dataDir, { recursive: true })
  }
}

test('the same calls give the same results and the same files', () =>
  withNet(ours =>
    withNet(theirs => {
      const steps: readonly (readonly [string, string, object])[] = [
        ['ADD', 'c1', {}],
        ['ADD', 'c2', {}],
        ['ADD', 'c3', { runtimeConfig: { ips: ['10.1.0.100/24'] } }],
        ['ADD', 'c4', {}],
        ['DEL', 'c2', {}],
        ['ADD', 'c5', { args: { cni: { ips: ['fd00::1:0'] } } }],
        ['ADD', 'c6', { cniVersion: '0.4.0' }],
        ['ADD', 'c7', { cniVersion: '0.2.0' }],
        ['ADD', 'c8', { runtimeConfig: { ipRanges: [[{ subnet: '10.9.0.0/24' }]] } }],
        ['CHECK', 'c1', {}],
        ['DEL', 'c1', {}],
        ['DEL', 'c1', {}]
      ]
      for (const [command, id, more] of steps) {
        const a = ours.call(OURS, command, id, ours.config(more))
        const b = theirs.call(REFERENCE, command, id, theirs.config(more))
        assert.is(a.status, b.status, `${command} ${id} ${a.output}`)
        assert.equal(json(a.output), json(b.output), `${command} ${id}`)
        assert.equal(ours.files(), theirs.files(), `${command} ${id}`)
      }
    })
  ))

test('taking turns on one directory: no address twice, each removes what the other gave', () =>
  withNet(net => {
    const seen = new Set<string>()
    for (let i = 0; i < 12; i += 1) {
      for (const one of net.add(i % 2 === 0 ? OURS : REFERENCE, `c${i}`)) {
        assert.not.ok(seen.has(one), `${one} was given twice`)
        seen.add(one)
      }
    }
    assert.is(net.leases().length, 24)
    // The order of the pool goes on whoever gives: the 12th address is 10.1.0.13.
    assert.ok(seen.has('10.1.0.13/24'))
    for (let i = 0; i < 12; i += 1) {
      const program = i % 2 === 0 ? REFERENCE : OURS
      assert.is(net.call(program, 'CHECK', `c${i}`).status, 0)
      assert.is(net.call(program, 'DEL', `c${i}`).status, 0)
      assert.is(net.call(i % 2 === 0 ? OURS : REFERENCE, 'CHECK', `c${i}`).status, 1)
    }
    assert.equal(net.leases(), [])
  }))

test('an owner of the reference gets the same addresses again from us', () =>
  withNet(net => {
    const first = net.add(REFERENCE, 'c1')
    net.add(REFERENCE, 'c2')
    assert.equal(net.add(OURS, 'c1'), first)
    net.add(REFERENCE, 'c3')
    assert.equal(net.add(OURS, 'c1'), first)
    assert.equal(net.leases().length, 6)
  }))

test('a lease rewritten in the oldest format, in place: DEL takes it, as the reference does', () =>
  withNet(net => {
    for (const [adder, deleter] of [
      [OURS, OURS],
      [OURS, REFERENCE],
      [REFERENCE, OURS]
    ] as const) {
      net.add(adder, 'dummy')
      for (const name of net.leases()) writeFileSync(join(net.path, name), 'dummy')
      assert.is(net.call(deleter, 'DEL', 'dummy').status, 0)
      assert.equal(net.leases(), [])
    }
  }))

test('an owner that moved from us to the reference and back leaves nothing', () =>
  withNet(net => {
    net.add(OURS, 'c1')
    net.add(OURS, 'c2')
    net.call(REFERENCE, 'DEL', 'c1')
    const moved = net.add(REFERENCE, 'c1')
    assert.equal(net.add(OURS, 'c1'), moved)
    net.call(REFERENCE, 'ADD', 'c1', net.config({ runtimeConfig: { ips: ['10.1.0.77/24'] } }))
    net.call(OURS, 'DEL', 'c1')
    assert.equal(net.leases(), ['10.1.0.3', 'fd00::3'])
  }))

test('many at once, ours and theirs: every address once, and none left after as many DELs', () =>
  withNet(async net => {
    const programs = Array.from({ length: 24 }, (_, i) => (i % 4 === 3 ? REFERENCE : OURS))
    const added = await Promise.all(programs.map((program, i) => finished(net.start(program, 'ADD', `c${i}`))))
    for (const one of added) assert.is(one.status, 0, one.output)
    assert.is(new Set(added.flatMap(one => one.addresses)).size, 48)
    assert.is(net.leases().length, 48)
    const deleted = await Promise.all(programs.map((program, i) => finished(net.start(program, 'DEL', `c${i}`))))
    for (const one of deleted) assert.is(one.status, 0, one.output)
    assert.equal(net.leases(), [])
  }))

test('kill -9 at any moment: every lease names its owner, and a DEL leaves nothing', () =>
  withNet(async net => {
    const begin = performance.now()
    net.add(OURS, 'other')
    const milliseconds = performance.now() - begin
    for (let i = 0; i < 32; i += 1) {
      const child = net.start(OURS, i % 4 === 3 ? 'DEL' : 'ADD', 'victim')
      const done = finished(child).catch(() => undefined)
      await new Promise(resolve => setTimeout(resolve, (milliseconds * 1.2 * i) / 32))
      child.kill('SIGKILL')
      await done
      // What a kill left half written has a name that no reader takes for a lease, and goes with the next call.
      for (const name of net.leases().filter(one => !one.startsWith('.'))) {
        assert.is(readFileSync(join(net.path, name), 'utf8').split('\r\n')[1], 'eth0', `${name} of kill ${i}`)
      }
    }
    assert.is(net.call(OURS, 'DEL', 'victim').status, 0)
    assert.equal(net.leases(), ['10.1.0.2', 'fd00::2'])
  }))

test('a full disk: a clear error with code 5, no torn lease, and DEL works', () =>
  withNet(net => {
    // 24 inodes, on a file system of its own in a mount namespace of its own.
    const script = `
      mount -t tmpfs -o mode=755,nr_inodes=24,size=1m none "$1" || exit 99
      for i in 1 2 3 4 5 6 7 8 9; do
        printf '%s' "$2" | CNI_COMMAND=ADD CNI_CONTAINERID=c$i "$0" || break
      done
      failed=$i
      find "$1/net" -type f ! -name lock ! -name 'last_reserved*' -empty
      for i in 1 2 3 4 5 6 7 8 9; do
        printf '%s' "$2" | CNI_COMMAND=DEL CNI_CONTAINERID=c$i "$0" || exit 98
      done
      find "$1/net" -type f ! -name lock ! -name 'last_reserved*'
      echo "failed at $failed"`
    const run = spawnSync('unshare', ['-m', 'sh', '-c', script, OURS, net.dataDir, net.config()], {
      env: environment('', ''),
      encoding: 'utf8'
    })
    assert.is(run.status, 0, run.stdout + run.stderr)
    const error = JSON.parse(
      run.stdout.slice(run.stdout.lastIndexOf('{\n    "cniVersion"'), run.stdout.lastIndexOf('}') + 1)
    )
    assert.is(error.code, 5)
    assert.match(error.msg, /^(write|create|make directory) ".*\/net\/.*": ENOSPC/)
    assert.match(run.stdout, /\}\nfailed at [2-9]\n$/, 'no file is empty, none is left')
  }))

test('GC and STATUS, which the reference lacks, take the reference’s leases along', () =>
  withNet(net => {
    const config = (more: object) =>
      net.config({ cniVersion: '1.1.0', ...more }, { ranges: [[{ subnet: '10.1.0.0/29' }]] })
    const old = net.config({}, { ranges: [[{ subnet: '10.1.0.0/29' }]] })
    for (const id of ['c1', 'c2', 'c3', 'c4', 'c5']) net.add(id === 'c5' ? OURS : REFERENCE, id, old)
    const full = net.call(OURS, 'STATUS', '', config({}))
    assert.is(full.status, 1)
    assert.is(JSON.parse(full.output).code, 50)
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'c2', ifname: 'eth0' }] }
    assert.is(net.call(OURS, 'GC', '', config(valid)).status, 0)
    assert.equal(net.leases(), ['10.1.0.3'])
    assert.is(net.call(OURS, 'STATUS', '', config({})).status, 0)
    assert.is(net.call(REFERENCE, 'CHECK', 'c2', old).status, 0)
  }))

test('files are closed to others, the directory is open to those that list it', () =>
  withNet(net => {
    net.add(OURS, 'c1')
    assert.is(statSync(join(net.path, '10.1.0.2')).mode & 0o777, 0o600)
    assert.is(statSync(net.path).mode & 0o777, 0o755)
    assert.is(statSync(join(net.dataDir, '.patchbay')).mode & 0o777, 0o700)
  }))

function json(text: string): unknown {
  return text === '' ? '' : JSON.parse(text)
}

test.run()
