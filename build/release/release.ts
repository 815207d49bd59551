/**
 * `npm run release`: archives, npm packages, packages of distributions and a container image for linux x64 and arm64, their
 * checksums and their bill of materials, in dist/release.
 *
 *     npm run release -- [--allow-changes] [--from-dist] [--only FORM]... [--key FILE] [--output DIR]
 *
 * The same commit gives the same bits, wherever and whenever it is built with the same tools.
 * --from-dist: in seconds, of this processor's executables in dist/ as they are: to try the packing, not to be published.
 * --key: signs the checksums, as `cosign verify-blob --key` checks them.
 */
import { spawnSync } from 'node:child_process'
import { createPrivateKey, sign } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { CLANG_ADVICE, type Clang, findClang, staticObstacle } from '../native-toolchain.ts'
import { ROOT } from '../project.ts'
import { sha256 } from './archive.ts'
import { builtBefore, builtForAll } from './executables.ts'
import { FORMS, packAll, type Target } from './forms.ts'
import { billOfMaterials, type Released } from './sbom.ts'
import { versionProblems } from './version.ts'

const SUMS = 'SHA256SUMS'

/** Commands that pack, by Debian's package. */
const TOOLS: ReadonlyMap<string, string> = new Map([
  ['dpkg-deb', 'dpkg'],
  ['rpmbuild', 'rpm'],
  ['npm', 'npm']
])

function git(...args: readonly string[]): string {
  const child = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' })
  if (child.status !== 0) throw new Error(`git ${args.join(' ')}: ${child.error?.message ?? child.stderr.trim()}`)
  return child.stdout.trim()
}

/** @throws Error saying what must be done first */
function checkReady(allowChanges: boolean): Clang {
  const clang = findClang()
  if (clang === undefined) throw new Error(`release: ${CLANG_ADVICE}`)
  if (process.arch !== 'x64') throw new Error('release: made on x64, from which arm64 is cross-compiled')
  const obstacle = staticObstacle(clang)
  if (obstacle !== undefined) throw new Error(`release: ${obstacle}`)
  if (!allowChanges && git('status', '--porcelain') !== '') {
    throw new Error('release: there are uncommitted changes: commit them, or try it out with --allow-changes')
  }
  return clang
}

function checkTools(): void {
  const missing = [...TOOLS].filter(([tool]) => spawnSync(tool, ['--version']).error !== undefined)
  if (missing.length === 0) return
  throw new Error(`release: apt-get install ${missing.map(([, debianPackage]) => debianPackage).join(' ')}`)
}

function checkVersion(version: string): void {
  const problems = versionProblems(version)
  if (problems.length > 0) throw new Error(`release: ${problems.join('; ')}: npm run release:version -- VERSION`)
}

async function main(argv: readonly string[]): Promise<void> {
  const options = {
    'allow-changes': { type: 'boolean' },
    'from-dist': { type: 'boolean' },
    only: { type: 'string', multiple: true },
    key: { type: 'string' },
    output: { type: 'string' }
  } as const
  const { values } = parseArgs({ args: [...argv], options })
  const only = values.only ?? []
  const unknown = only.find(name => !FORMS.includes(name))
  if (unknown !== undefined) throw new Error(`release: read --only ${unknown}: must be one of ${FORMS.join(', ')}`)
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const isTrial = values['from-dist'] === true
  const clang = isTrial ? undefined : checkReady(values['allow-changes'] === true)
  checkTools()
  checkVersion(version)
  const output = resolve(values.output ?? join(ROOT, 'dist', isTrial ? 'release-trial' : 'release'))
  const target = { version, output, seconds: Number(git('log', '-1', '--format=%ct')), isTrial }
  rmSync(output, { recursive: true, force: true })
  mkdirSync(output, { recursive: true })
  mkdirSync(join(ROOT, '.cache'), { recursive: true })
  const released =
    clang === undefined ? await packAll([await builtBefore()], target, only) : await all(clang, target, only)
  writeBill(target, released)
  writeSums(output, values.key)
}

async function all(clang: Clang, target: Target, only: readonly string[]): Promise<readonly Released[]> {
  const workshop = mkdtempSync(join(ROOT, '.cache', 'release-'))
  try {
    return await packAll(await builtForAll(clang, workshop), target, only)
  } finally {
    rmSync(workshop, { recursive: true, force: true })
  }
}

function writeBill({ version, output, seconds }: Target, released: readonly Released[]): void {
  const bill = billOfMaterials(version, seconds * 1000, released)
  writeFileSync(join(output, `patchbay-${version}.cdx.json`), `${JSON.stringify(bill, undefined, 2)}\n`)
}

/** @param key a file with a private key, PEM of ECDSA on P-256, which never gets nearer than this */
function writeSums(output: string, key: string | undefined): void {
  const files = readdirSync(output).sort()
  const sums = files.map(file => `${sha256(join(output, file))}  ${file}\n`).join('')
  writeFileSync(join(output, SUMS), sums)
  if (key !== undefined) {
    const signature = sign('sha256', Buffer.from(sums), createPrivateKey(readFileSync(key)))
    writeFileSync(join(output, `${SUMS}.sig`), `${signature.toString('base64')}\n`)
  }
  process.stdout.write(sums)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
