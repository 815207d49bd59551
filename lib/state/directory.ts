/** Directories that a configuration names, for what only root may write: journal, leases, saved settings. */
import type { Section } from '../config/section.ts'
import { NOT_THERE, whatOthersCanChange } from '../sys/own-path.ts'

/**
 * The member of the section that names a directory; what is wrong with it becomes a problem of the section.
 *
 * @param usual where the member is absent or ''
 * @throws {SysError} EROFS, ENOSPC, EACCES where it cannot be made
 */
export function readDirectory(section: Section, key: string, usual: string): string {
  const path = pathOf(section, key, usual)
  const problem = problemOf(path, true)
  if (problem !== '') section.problem(key, problem)
  return path
}

/**
 * The same for DEL, which must not fail for it. ADD refuses such a directory, so that nothing of ours is in it; and what is
 * in it may be anybody's.
 *
 * @returns undefined when it is not there, or nothing in it can be believed
 */
export function readDirectoryForRemoval(section: Section, key: string, usual: string): string | undefined {
  const path = pathOf(section, key, usual)
  const problem = problemOf(path, false)
  if (problem === '') return path
  if (problem === NOT_THERE) return undefined
  process.stderr.write(`${section.pathOf(key)} ${problem}: left alone\n`)
  return undefined
}

function pathOf(section: Section, key: string, usual: string): string {
  const text = section.text(key) ?? ''
  return text === '' ? usual : text
}

function problemOf(path: string, makes: boolean): string {
  // Files below whatever directory a runtime happens to be in would be found by nobody, or planted by somebody.
  if (!path.startsWith('/')) return 'must be an absolute path'
  const found = whatOthersCanChange(path, makes)
  return found === '' || found === NOT_THERE ? found : `must be a directory that root alone can change, but ${found}`
}
