/** Directories that a configuration names, for what only root may write: journal, leases, saved settings. */
import type { Section } from '../config/section.ts'
import { messageOf } from '../sys/errors.ts'
import { whatOthersCanChange } from '../sys/own-path.ts'

/**
 * The member of the section that names a directory; what is wrong with it becomes a problem of the section.
 *
 * @param usual where the member is absent or ''
 */
export function readDirectory(section: Section, key: string, usual: string): string {
  const { path, problem } = judge(section, key, usual)
  if (problem !== '') section.problem(key, problem)
  return path
}

/**
 * The same for DEL, which must not fail for it. ADD refuses such a directory, so that nothing of ours is in it; and what is
 * in it may be anybody's.
 *
 * @returns undefined when nothing in it can be believed
 */
export function readDirectoryForRemoval(section: Section, key: string, usual: string): string | undefined {
  const { path, problem } = judge(section, key, usual)
  if (problem === '') return path
  process.stderr.write(`${section.pathOf(key)} ${problem}: left alone\n`)
  return undefined
}

function judge(section: Section, key: string, usual: string): { readonly path: string; readonly problem: string } {
  const text = section.text(key) ?? ''
  const path = text === '' ? usual : text
  // Files below whatever directory a runtime happens to be in would be found by nobody, or planted by somebody.
  if (!path.startsWith('/')) return { path, problem: 'must be an absolute path' }
  try {
    const found = whatOthersCanChange(path)
    return { path, problem: found === '' ? '' : `must be a directory that root alone can change, but ${found}` }
  } catch (error) {
    return { path, problem: `must be a directory that can be made: ${messageOf(error)}` }
  }
}
