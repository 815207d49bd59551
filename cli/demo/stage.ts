/** What the demos of several hosts stand on: hosts around a switch, a directory for all of them, and their end. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Site } from './site.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const PATCHBAY = join(ROOT, 'dist/node/patchbay')
/** The faster engine that is built, or the one that PATCHBAY_ENGINE names: `native` or `node`; '' when it is not built. */
export const ENGINE = enginesToTry().find(engine => existsSync(join(ROOT, 'dist', engine, 'bin'))) ?? ''
/** The plugins of that engine. */
export const BIN_DIR = ENGINE === '' ? '' : join(ROOT, 'dist', ENGINE, 'bin')

function enginesToTry(): readonly string[] {
  const wanted = process.env['PATCHBAY_ENGINE'] ?? ''
  return ['native', 'node'].filter(engine => wanted === '' || engine === wanted)
}

export const NAMES: readonly string[] = ['amsterdam', 'berlin', 'copenhagen']

/** Why the demo cannot run on this machine, or undefined. @param script its name in package.json */
export function obstacleTo(script: string): string | undefined {
  if (process.getuid?.() !== 0)
    return `npm run ${script} needs root, because it makes network namespaces: sudo npm run ${script}`
  return existsSync(PATCHBAY) && ENGINE !== '' ? undefined : 'no executables in dist: npm run build'
}

export function hasEtcd(): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/sbin']
  return folders.some(folder => existsSync(join(folder, 'etcd')))
}

export interface Stage {
  readonly site: Site
  readonly directory: string
  /** What is to be done at the end, when the hosts' programs are killed and the directory is still there. */
  readonly atEnd: (work: () => void) => void
}

/** Makes three hosts and a directory for `body` and takes them away after it, also when it is interrupted. */
export async function onStage(body: (stage: Stage) => Promise<number>): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-demo-'))
  const site = Site.create(NAMES)
  const works: (() => void)[] = []
  const cleanUp = (): void => {
    site.stop()
    for (const work of works) work()
    rmSync(directory, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      cleanUp()
      process.exit(130)
    })
  }
  try {
    return await body({ site, directory, atEnd: work => works.push(work) })
  } finally {
    cleanUp()
  }
}
