/** Namespaces that outlive the process they were named by, and paths that lead elsewhere since. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { netnsIdentity } from '../sys/netns-identity.ts'
import { Namespace } from '../testing/namespace.ts'
import { assert, suite } from '../testing/suite.ts'
import { Namespaces } from './namespaces.ts'

const test = suite('lib/runtime/namespaces')

/** A shell in a namespace of its own, which has started another process there. */
async function family(): Promise<{ readonly parent: ChildProcess; readonly child: string }> {
  const parent = spawn('unshare', ['--net', 'sh', '-c', 'sleep 600 >/dev/null <&1 & echo $!; read line'], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const [line] = await once(parent.stdout, 'data')
  return { parent, child: String(line).trim() }
}

test('a namespace lives on with the other processes in it', async () => {
  const { parent, child } = await family()
  try {
    const path = `/proc/${String(parent.pid)}/ns/net`
    const recorded = { netns: path, netnsIdentity: netnsIdentity(path) }
    assert.is(new Namespaces().pathOf(recorded), path)
    parent.stdin?.end('\n')
    await once(parent, 'exit')
    assert.is(new Namespaces().pathOf(recorded), `/proc/${child}/ns/net`)
  } finally {
    process.kill(Number(child), 'SIGKILL')
  }
  const recorded = { netns: '/proc/0/ns/net', netnsIdentity: '1-1' }
  assert.is(new Namespaces().pathOf(recorded), '', 'and ends with the last')
})

test('a path that leads to another namespace by now is not the recorded one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-namespaces-'))
  const path = join(directory, 'a b')
  const [former, next] = [Namespace.create(), Namespace.create()]
  const mount = (of: Namespace): void => {
    writeFileSync(path, '')
    assert.is(spawnSync('mount', ['--bind', of.path, path]).status, 0)
  }
  try {
    mount(former)
    const recorded = { netns: '/nonexistent', netnsIdentity: netnsIdentity(path) }
    assert.is(new Namespaces().isGone(recorded), false)
    former.close()
    while (existsSync(former.path)) await pause(1)
    assert.is(new Namespaces().pathOf(recorded), path, 'the mount holds it')
    assert.is(spawnSync('umount', [path]).status, 0)
    assert.is(new Namespaces().pathOf({ netns: path, netnsIdentity: '' }), '', 'an ordinary file is left at the path')
    mount(next)
    assert.is(new Namespaces().pathOf({ ...recorded, netns: path }), '')
    assert.is(
      new Namespaces().pathOf({ netns: path, netnsIdentity: '' }),
      path,
      "another runtime's record has only the path"
    )
  } finally {
    spawnSync('umount', [path])
    for (const one of [former, next]) one.close()
    rmSync(directory, { recursive: true })
  }
})

test('an identity is an inode and a cookie; the cookie is no inode used again', () => {
  const seen = new Set<string>()
  for (let i = 0; i < 5; i += 1) {
    const box = Namespace.create()
    const identity = netnsIdentity(box.path)
    assert.match(identity, /^[0-9]+-[0-9]+$/)
    assert.is(
      identity.split('-')[0],
      String(/\[([0-9]+)\]/.exec(box.run('readlink', ['/proc/self/ns/net']).stdout)?.[1])
    )
    seen.add(identity.split('-')[1] ?? '')
    box.close()
  }
  assert.is(seen.size, 5)
})

test.run()
