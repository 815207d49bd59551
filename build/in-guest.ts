/**
 * Runs a program of this repository on the guest's kernel (lib/testing/guest.ts), for machines whose own lacks something:
 *
 *     npm run in-guest -- cli/demo-overlay.ts --encrypted
 *
 * What it writes to files stays in there.
 */
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { guestObstacle, runInGuest } from '../lib/testing/guest.ts'
import { NODE_BIN, ROOT } from './project.ts'
import { bundle, GUEST_ENV } from './test-guest.ts'

/** Against hanging only. */
const SECONDS = 1800

async function main([program, ...args]: readonly string[]): Promise<number> {
  const obstacle = guestObstacle()
  const isThere = program?.endsWith('.ts') === true && existsSync(join(ROOT, program))
  if (program === undefined || !isThere || obstacle !== undefined) {
    process.stderr.write(isThere ? `in-guest: ${obstacle}\n` : 'usage: npm run in-guest -- FILE.ts [arguments]\n')
    return isThere ? 1 : 2
  }
  // Where it finds the packages.
  const bundled = join(ROOT, '.cache', 'in-guest', `${basename(program, '.ts')}.mjs`)
  await bundle(program, bundled)
  const { status, console } = await runInGuest({
    argv: [NODE_BIN, '--no-warnings', bundled, ...args],
    directory: ROOT,
    env: GUEST_ENV,
    seconds: SECONDS,
    onLine: line => process.stdout.write(`${line}\n`)
  })
  if (status !== 0) process.stderr.write(console)
  return status ?? 1
}

process.exitCode = await main(process.argv.slice(2))
