/**
 * A contestant that no plugin can beat: floor.c, a bridge ADD with nothing but the kernel's work. It takes part where its
 * built-in configuration is that of the scenario.
 */
import { spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant } from './scenario.ts'

export const FLOOR = 'floor'

const COMPILERS = ['cc', 'gcc', 'clang', 'clang-19']

/** Statically where the C library can be: that start is the shorter one. */
const LINKING: readonly (readonly string[])[] = [['-static'], []]

/** A start with nothing to do, and a bridge without anything else, alone and among others. */
function isItsOwn(id: string): boolean {
  return id === 'bare' || id === 'bridge' || /^(?:parallel|ports|routes)-/.test(id)
}

/**
 * Compiles it.
 *
 * @param folder gets a `bridge`, and a `host-local` that is only started with nothing to do
 * @returns undefined where no C compiler is
 */
export function makeFloor(folder: string): Contestant | undefined {
  mkdirSync(folder, { recursive: true })
  const unfinished = join(folder, `.bridge.${process.pid}`)
  const source = join(import.meta.dirname, 'floor.c')
  for (const compiler of COMPILERS) {
    for (const linking of LINKING) {
      const { status } = spawnSync(compiler, ['-O2', ...linking, '-o', unfinished, source], { stdio: 'ignore' })
      if (status !== 0) continue
      renameSync(unfinished, join(folder, 'bridge'))
      rmSync(join(folder, 'host-local'), { force: true })
      linkSync(join(folder, 'bridge'), join(folder, 'host-local'))
      return floorIn(folder)
    }
  }
  return undefined
}

/** The one that was compiled into the folder. */
export function floorIn(folder: string): Contestant {
  return { name: FLOOR, dir: folder, takesPart: isItsOwn }
}
