import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Attachment } from '../attachment.ts'
import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { LeaseDirectory } from './leases.ts'

const test = suite('lib/state/leases')

const c1: Attachment = { network: 'net', containerId: 'c1', ifName: 'eth0' }
const c2: Attachment = { network: 'net', containerId: 'c2', ifName: 'eth0' }

interface Scratch {
  readonly dataDir: string
  /** The network's directory. */
  readonly path: string
  /** Where owner files are. */
  readonly owners: string
  readonly leases: LeaseDirectory
}

function inScratch(body: (scratch: Scratch) => void): void {
  const dataDir = mkdtempSync(join(tmpdir(), 'leases-'))
  try {
    const leases = new LeaseDirectory(dataDir, 'net')
    body({ dataDir, path: join(dataDir, 'net'), owners: join(dataDir, '.patchbay', 'net'), leases })
  } finally {
    rmSync(dataDir, { recursive: true })
  }
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

function claim(leases: LeaseDirectory, owner: Attachment, ...texts: readonly string[]): void {
  const claims = texts.map((text, set) => ({ address: address(text), set }))
  leases.locked(() => leases.claim(owner, leases.heldBy(owner), claims))
}

function held(leases: LeaseDirectory, owner: Attachment): readonly string[] {
  return leases.locked(() => leases.heldBy(owner).map(formatAddress)).toSorted()
}

/** As the reference does it: in place, without us knowing. */
function referenceLease(path: string, name: string, text: string): void {
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, name), text, { flag: 'wx' })
}

test('claim: the bytes on disk are the reference’s', () =>
  inScratch(({ leases, path }) => {
    claim(leases, c1, '10.1.0.2', 'fd00::2')
    assert.equal(readdirSync(path).sort(), ['10.1.0.2', 'fd00::2', 'last_reserved_ip.0', 'last_reserved_ip.1', 'lock'])
    assert.is(readFileSync(join(path, '10.1.0.2'), 'utf8'), 'c1\r\neth0')
    assert.is(readFileSync(join(path, 'fd00::2'), 'utf8'), 'c1\r\neth0')
    assert.is(readFileSync(join(path, 'last_reserved_ip.0'), 'utf8'), '10.1.0.2')
    assert.is(readFileSync(join(path, 'last_reserved_ip.1'), 'utf8'), 'fd00::2')
    assert.is(statSync(join(path, '10.1.0.2')).mode & 0o777, 0o600)
    assert.is(statSync(path).mode & 0o777, 0o755)
    assert.equal(held(leases, c1), ['10.1.0.2', 'fd00::2'])
    assert.equal(held(leases, { network: 'net', containerId: 'c1', ifName: 'eth1' }), [])
  }))

test('release: gives back all of the owner and nothing else', () =>
  inScratch(({ leases, path, owners }) => {
    claim(leases, c1, '10.1.0.2', 'fd00::2')
    claim(leases, c2, '10.1.0.3')
    leases.locked(() => leases.release(c1))
    leases.locked(() => leases.release(c1))
    assert.equal([...leases.names()], ['10.1.0.3'])
    assert.equal(readdirSync(owners).sort(), ['c2:eth0', 'seal'])
    assert.not.ok(existsSync(join(path, '10.1.0.2')))
  }))

test('owner files are only a help: without them, and with wrong ones, the same leases are found', () => {
  const damages: readonly ((scratch: Scratch) => void)[] = [
    s => rmSync(join(s.dataDir, '.patchbay'), { recursive: true }),
    s => unlinkSync(join(s.owners, 'seal')),
    s => truncateSync(join(s.owners, 'c1:eth0'), 0),
    s => truncateSync(join(s.owners, 'c1:eth0'), 44),
    s => truncateSync(join(s.owners, 'seal'), 5),
    // A writer was killed before it cut the end of the longer text that was there.
    s => appendFileSync(join(s.owners, 'c1:eth0'), '.3 10.1.0.3 fd00::9\n'),
    s => appendFileSync(join(s.owners, 'seal'), '7\n'),
    s => {
      unlinkSync(join(s.owners, 'c1:eth0'))
      writeFileSync(join(s.owners, 'seal'), 'another-boot 1 1\n')
    },
    s => {
      // A restored copy: same names and times, another directory.
      const copy = `${s.path}.copy`
      spawnSync('cp', ['-a', s.path, copy])
      rmSync(s.path, { recursive: true })
      spawnSync('mv', [copy, s.path])
      unlinkSync(join(s.owners, 'c1:eth0'))
    }
  ]
  for (const [i, damage] of damages.entries()) {
    inScratch(scratch => {
      claim(scratch.leases, c1, '10.1.0.2', 'fd00::2')
      claim(scratch.leases, c2, '10.1.0.3')
      damage(scratch)
      assert.equal(held(scratch.leases, c1), ['10.1.0.2', 'fd00::2'], `damage ${i}`)
      assert.equal(held(scratch.leases, c2), ['10.1.0.3'], `damage ${i}`)
      scratch.leases.locked(() => scratch.leases.release(c1))
      assert.equal([...scratch.leases.names()], ['10.1.0.3'], `damage ${i}`)
    })
  }
})

test('leases that the reference makes or removes in between are seen', () =>
  inScratch(({ leases, path }) => {
    claim(leases, c1, '10.1.0.2')
    referenceLease(path, '10.1.0.3', 'c1\r\neth0')
    referenceLease(path, '10.1.0.4', 'c2\r\neth0')
    assert.equal(held(leases, c1), ['10.1.0.2', '10.1.0.3'])
    assert.equal(held(leases, c2), ['10.1.0.4'])
    unlinkSync(join(path, '10.1.0.4'))
    referenceLease(path, '10.1.0.5', 'c2\r\neth0')
    assert.equal(held(leases, c2), ['10.1.0.5'])
    unlinkSync(join(path, '10.1.0.2'))
    referenceLease(path, '10.1.0.2', 'c2\r\neth0')
    assert.equal(held(leases, c1), ['10.1.0.3'])
    assert.equal(held(leases, c2), ['10.1.0.2', '10.1.0.5'])
  }))

test('leases of others are known without a file for each, and reading them again makes none', () =>
  inScratch(({ leases, path, owners }) => {
    for (let i = 0; i < 1000; i += 1) referenceLease(path, `10.1.${i >> 8}.${i & 255}`, `x${i}\r\neth0`)
    assert.equal(held(leases, { network: 'net', containerId: 'x777', ifName: 'eth0' }), ['10.1.3.9'])
    const files = readdirSync(owners)
    assert.ok(files.length <= 257, `${files.length} files`)
    referenceLease(path, '10.2.0.1', 'x777\r\neth0')
    assert.equal(held(leases, { network: 'net', containerId: 'x777', ifName: 'eth0' }), ['10.1.3.9', '10.2.0.1'])
    assert.equal(readdirSync(owners).sort(), files.sort())
    leases.locked(() => leases.release({ network: 'net', containerId: 'x777', ifName: 'eth0' }))
    assert.equal(held(leases, { network: 'net', containerId: 'x777', ifName: 'eth0' }), [])
    assert.is(leases.names().size, 999)
    leases.locked(() => leases.remove(leases.list()))
    rmSync(join(path, 'lock'))
    held(leases, c1)
    assert.equal(readdirSync(owners), ['seal'], 'nothing is kept of leases that are gone')
  }))

test('no lease is read whose owner is not asked for, until somebody else makes one', () =>
  inScratch(({ leases, path }) => {
    claim(leases, c1, '10.1.0.2')
    claim(leases, c2, '10.1.0.3')
    const before = statSync(path)
    // A change that leaves name, inode and the directory's time alone can only be noticed by reading this file.
    writeFileSync(join(path, '10.1.0.3'), 'c1\r\neth0')
    assert.equal(held(leases, c1), ['10.1.0.2'])
    assert.is(statSync(path).mtimeMs, before.mtimeMs)
    referenceLease(path, '10.1.0.4', 'c9\r\neth0')
    assert.equal(held(leases, c1), ['10.1.0.2', '10.1.0.3'])
  }))

test('leases of the oldest format belong to the container, when it has none of the newer', () =>
  inScratch(({ leases, path }) => {
    referenceLease(path, '10.1.0.2', 'c1\n')
    referenceLease(path, '10.1.0.3', 'c2')
    referenceLease(path, '10.1.0.4', 'c2\r\neth0')
    assert.equal(held(leases, c1), ['10.1.0.2'])
    assert.equal(held(leases, c2), ['10.1.0.4'])
    leases.locked(() => leases.release(c2))
    assert.equal(held(leases, c2), ['10.1.0.3'])
    leases.locked(() => leases.release(c2))
    assert.equal([...leases.names()], ['10.1.0.2'])
  }))

test('empty files and files of zeros are nobody’s, and can be claimed', () =>
  inScratch(({ leases, path }) => {
    for (const [name, text] of [
      ['10.1.0.2', ''],
      ['10.1.0.3', '\0\0\0\0'],
      ['10.1.0.4', '\r\n']
    ] as const) {
      referenceLease(path, name, text)
      leases.locked(() => assert.is(leases.find(address(name))?.owner, undefined))
      claim(leases, c1, name)
      assert.is(readFileSync(join(path, name), 'utf8'), 'c1\r\neth0')
    }
    assert.equal(held(leases, c1), ['10.1.0.2', '10.1.0.3', '10.1.0.4'])
  }))

test('claim: all or nothing', () =>
  inScratch(({ leases, path }) => {
    claim(leases, c2, '10.1.0.3')
    throwsLike(() => claim(leases, c1, '10.1.0.2', '10.1.0.3'), { name: 'SysError', errno: 'EEXIST' })
    assert.equal([...leases.names()], ['10.1.0.3'])
    assert.is(readFileSync(join(path, '10.1.0.3'), 'utf8'), 'c2\r\neth0')
    assert.equal(held(leases, c1), [])
  }))

test('what a kill leaves between any two steps is found and cleared', () =>
  inScratch(({ leases, path, owners }) => {
    claim(leases, c1, '10.1.0.2')
    // Killed after the owner file, before the lease.
    writeFileSync(join(owners, 'c2:eth0'), 'boot 10.1.0.9\n')
    assert.equal(held(leases, c2), [])
    // Killed after writing the temporary file.
    writeFileSync(join(path, '.10.1.0.9.4711.tmp'), 'c2\r\neth0')
    assert.equal(held(leases, c2), [])
    assert.not.ok(existsSync(join(path, '.10.1.0.9.4711.tmp')), 'the temporary file is cleared away')
    // Killed after linking it, before removing its first name.
    writeFileSync(join(path, '.10.1.0.9.4711.tmp'), 'c2\r\neth0')
    linkSync(join(path, '.10.1.0.9.4711.tmp'), join(path, '10.1.0.9'))
    assert.equal(held(leases, c2), ['10.1.0.9'])
    leases.locked(() => leases.release(c2))
    assert.equal(readdirSync(path).sort(), ['10.1.0.2', 'last_reserved_ip.0', 'lock'])
  }))

test('texts made by hand never become paths', () =>
  inScratch(({ leases, path, dataDir, owners }) => {
    for (const [i, text] of ['../../../x', 'my router\r\n../y', 'a b', '.', 'x/y'].entries()) {
      referenceLease(path, `10.1.0.${i + 2}`, text)
    }
    assert.equal(held(leases, c1), [])
    assert.equal(readdirSync(owners), ['seal'])
    assert.equal(readdirSync(dataDir).sort(), ['.patchbay', 'net'])
    assert.is(leases.names().size, 5)
  }))

test('container ids longer than a file name are known too', () =>
  inScratch(({ leases }) => {
    const long = { network: 'net', containerId: 'x'.repeat(300), ifName: 'eth0' }
    claim(leases, long, '10.1.0.2')
    assert.equal(held(leases, long), ['10.1.0.2'])
    assert.equal(held(leases, { network: 'net', containerId: 'x'.repeat(299), ifName: 'eth0' }), [])
  }))

test('isBeforeBoot: this boot’s leases never, an earlier boot’s by owner file', () =>
  inScratch(({ leases, path, owners }) => {
    claim(leases, c1, '10.1.0.2')
    const before = () =>
      leases.locked(() => leases.list().map(lease => [formatAddress(lease.address), leases.isBeforeBoot(lease)]))
    assert.equal(before(), [['10.1.0.2', false]])
    // The clock was set forward by years since: the time alone would say that it is older than the boot.
    utimesSync(join(path, '10.1.0.2'), 1_000_000, 1_000_000)
    assert.equal(before(), [['10.1.0.2', false]])
    writeFileSync(join(owners, 'c1:eth0'), 'earlier-boot 10.1.0.2\n')
    assert.equal(before(), [['10.1.0.2', true]])
    // The reference gave it again in this boot.
    utimesSync(join(path, '10.1.0.2'), Date.now() / 1000, Date.now() / 1000)
    assert.equal(before(), [['10.1.0.2', false]])
  }))

test('isBeforeBoot: the reference’s leases by time, with a margin; hand-made ones never', () =>
  inScratch(({ leases, path }) => {
    const boot = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1])
    const first = Math.min(boot, statSync('/dev/null').mtimeMs / 1000)
    for (const [name, seconds, text] of [
      ['10.1.0.2', first - 7200, 'c1\r\neth0'],
      ['10.1.0.3', first - 60, 'c2\r\neth0'],
      ['10.1.0.4', boot + 60, 'c3\r\neth0'],
      ['10.1.0.5', first - 7200, 'reserved'],
      ['10.1.0.6', first - 7200, '']
    ] as const) {
      referenceLease(path, name, text)
      utimesSync(join(path, name), seconds, seconds)
    }
    const old = leases.locked(() => leases.list().filter(lease => leases.isBeforeBoot(lease)))
    assert.equal(
      old.map(lease => formatAddress(lease.address)),
      ['10.1.0.2']
    )
  }))

test('held leases that are claimed anew belong to this boot', () =>
  inScratch(({ leases, path, owners }) => {
    claim(leases, c1, '10.1.0.2')
    writeFileSync(join(owners, 'c1:eth0'), 'earlier-boot 10.1.0.2\n')
    utimesSync(join(path, '10.1.0.2'), 1_000_000, 1_000_000)
    claim(leases, c1)
    assert.ok(leases.locked(() => leases.list().every(lease => !leases.isBeforeBoot(lease))))
    assert.ok(statSync(join(path, '10.1.0.2')).mtimeMs > Date.now() - 60_000)
    rmSync(owners, { recursive: true })
    assert.ok(leases.locked(() => leases.list().every(lease => !leases.isBeforeBoot(lease))))
  }))

test('remove: whoever holds them; owners without leases lose their file', () =>
  inScratch(({ leases, owners }) => {
    claim(leases, c1, '10.1.0.2', 'fd00::2')
    claim(leases, c2, '10.1.0.3')
    leases.locked(() => leases.remove(leases.list().filter(lease => lease.address.family === 4)))
    assert.equal([...leases.names()], ['fd00::2'])
    assert.equal(readdirSync(owners).sort(), ['c1:eth0', 'seal'])
    assert.equal(held(leases, c1), ['fd00::2'])
  }))

test('names: absent directory, other files', () =>
  inScratch(({ leases, path }) => {
    assert.is(leases.exists(), false)
    assert.is(leases.names().size, 0)
    referenceLease(path, '10.1.0.2', 'c1')
    for (const name of ['lock', 'last_reserved_ip.0', '.10.1.0.3.1.tmp', 'FD00::1', '010.1.0.2', 'readme'])
      referenceLease(path, name, 'x')
    assert.is(leases.exists(), true)
    assert.equal([...leases.names()], ['10.1.0.2'])
  }))

test('a claim that fails leaves neither lease nor owner file, and what was held before stays', () =>
  inScratch(({ leases, path, owners }) => {
    claim(leases, c1, '10.1.0.2')
    throwsLike(() => claim(leases, c2, '10.1.0.3', '10.1.0.2'), { errno: 'EEXIST' })
    assert.equal(
      readdirSync(owners).filter(name => name.startsWith('c2')),
      []
    )
    assert.not.ok(existsSync(join(path, '10.1.0.3')))

    claim(leases, c2, '10.1.0.3')
    throwsLike(() => claim(leases, c1, '10.1.0.4', '10.1.0.3'), { errno: 'EEXIST' })
    assert.equal(held(leases, c1), ['10.1.0.2'])
    assert.equal(held(leases, c2), ['10.1.0.3'])
  }))

test('a lease that somebody rewrote in place is whose it says it is', () =>
  inScratch(({ leases, path }) => {
    // Neither the directory's time nor the owner files tell of it.
    claim(leases, c1, '10.1.0.2')
    claim(leases, c2, '10.1.0.3')
    writeFileSync(join(path, '10.1.0.2'), 'c1')
    assert.equal(held(leases, c1), ['10.1.0.2'])
    leases.locked(() => leases.release(c1))
    assert.equal([...leases.names()], ['10.1.0.3'])
    writeFileSync(join(path, '10.1.0.3'), 'somebody\r\neth0')
    assert.equal(held(leases, c2), [])
    leases.locked(() => leases.release(c2))
    assert.equal([...leases.names()], ['10.1.0.3'])
  }))

test.run()
