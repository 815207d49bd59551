// needs: ip nft
/** `--shell CASE`: the world of a case that failed stays, and the calls that a finding names can be made again in it. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('conformance/shell')
const bin = process.env['PATCHBAY_BIN_DIR'] ?? ''

/** Its DEL does nothing until somebody makes a file. */
const FORGETFUL = `#!/bin/sh
[ "$CNI_COMMAND" = DEL ] && [ ! -e /run/remember ] && exit 0
exec ${bin}/bridge
`

/** @param lines what is typed into the shell */
function shell(folder: string, lines: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  const program = join(import.meta.dirname, 'main.ts')
  const args = ['--plugin-dir', folder, '--plugin', 'bridge', '--shell', 'del-usual']
  return spawnSync(process.execPath, ['--no-warnings', program, ...args], {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8'
  })
}

test('what the case left is there, and the call that is shown works by hand', () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-shell-'))
  try {
    symlinkSync(join(bin, 'host-local'), join(folder, 'host-local'))
    writeFileSync(join(folder, 'bridge'), FORGETFUL)
    chmodSync(join(folder, 'bridge'), 0o755)
    const inside = 'ip -n box-1-1 -o link show dev eth0'
    const first = shell(folder, [inside, 'echo "plugin $PLUGIN"'])
    assert.match(first.stdout, /^del\.removes\n {2}expected {2}eth0 is gone$/m)
    assert.match(first.stdout, /^[0-9]+: eth0@/m)
    assert.match(first.stdout, `plugin ${join(folder, 'bridge')}\n`)
    assert.match(first.stdout, /^bridge del-usual: failed/m)
    assert.is(first.status, 1)
    const call = /^ {2}call {6}(.*)$/m.exec(first.stdout)?.[1] ?? ''
    const again = shell(folder, [
      'touch /run/remember',
      call,
      `echo "DEL $?"`,
      `${inside} 2>/dev/null || echo it is gone`
    ])
    assert.match(again.stdout, /^DEL 0\nit is gone$/m)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.run()
