// needs: etcd
// waits: for hosts that die, whose lease is 3 s
/** README's demos, with the plugins of each engine: what a new user sees first. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ENGINE } from '../lib/testing/blackbox.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite(`cli/demos ${ENGINE}`)

/** What the demo printed. That it ended well, said nothing of errors and left no file is asserted. */
function play(script: string, ...args: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-demos-'))
  try {
    const command = ['--no-warnings', join(import.meta.dirname, script), ...args]
    const env = { ...process.env, TMPDIR: directory }
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8', env })
    assert.equal([status, stderr], [0, ''], stdout)
    assert.equal(readdirSync(directory), [])
    return stdout
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('npm run demo: wired, reached, found by name, broken and detached', () => {
  const shown = play('demo.ts')
  assert.match(shown, `Plugins: the ${ENGINE} engine's`)
  for (const [from, to] of [
    ['red', 'blue'],
    ['blue', 'red']
  ]) {
    assert.match(
      shown,
      new RegExp(`^   ${from} -> ${to} +10\\.77\\.0\\.[23] +[0-9.]+ ms, seen as 10\\.77\\.0\\.[23]$`, 'm')
    )
    assert.match(shown, new RegExp(`^   ${from} -> ${to} +fd77::[23] +[0-9.]+ ms, seen as fd77::[23]$`, 'm'))
    assert.match(shown, new RegExp(`^   ${from} asks for ${to}: 10\\.77\\.0\\.[23]`, 'm'))
  }
  assert.match(shown, /^ {3}host -> red +127\.0\.0\.1 /m)
  assert.match(shown, /Nothing is left/)
})

test('npm run demo:services: by name and by published port, replaced without a failure, removed', () => {
  const shown = play('demo-services.ts')
  for (const host of ['amsterdam', 'berlin', 'copenhagen'])
    assert.match(shown, new RegExp(`^   ${host}:8001 +-> web[12] on (amsterdam|berlin) with db1 on copenhagen$`, 'm'))
  assert.match(shown, /^ {3}client -> web \(10\.42\.0\.[0-9]+\) -> web1 on amsterdam with db1 on copenhagen$/m)
  assert.match(
    shown,
    /^ {3}[0-9]+ connections answered, [0-9]+ ended with the server that they were open with, 0 failed$/m
  )
  assert.match(shown, /nothing of them is left/)
})

for (const registry of ['etcd', 'a file with the addresses of the hosts']) {
  test(`npm run demo:overlay with ${registry}: all reach all, the dead host is forgotten, nothing is left`, () => {
    const shown = play('demo-overlay.ts', ...(registry === 'etcd' ? [] : ['--static']))
    assert.match(shown, `the registry is ${registry}.`)
    const reached = (a: string, b: string): number =>
      shown.match(new RegExp(`^   on-${a} -> on-${b}: TCP 10[.0-9]+ [0-9.]+ ms, fd42:[:0-9a-f]+ [0-9.]+ ms$`, 'gm'))
        ?.length ?? 0
    assert.equal(
      [reached('amsterdam', 'berlin'), reached('berlin', 'amsterdam')],
      [2, 2],
      'before the death and after it'
    )
    assert.equal([reached('amsterdam', 'copenhagen'), reached('copenhagen', 'berlin')], [1, 1], 'before the death')
    assert.match(shown, /after [0-9.]+ s amsterdam and berlin have forgotten it/)
    assert.match(shown, /nothing is left on the hosts/)
  })
}

test.run()
