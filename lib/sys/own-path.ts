/** Whether a path is ours alone: whoever may write to a directory on its way can put something else in its place. */
import { realpathSync } from 'node:fs'
import { errnoOf } from './errors.ts'
import { type FileStatus, fileStatus } from './file-status.ts'
import { ensureDirectory, readText } from './files.ts'

const S_IFMT = 0o170000
const S_IFLNK = 0o120000
const S_IFDIR = 0o040000
const S_ISVTX = 0o1000
const S_IWGRP = 0o020
const S_IWOTH = 0o002

/** linux/highuid.h: whom a user namespace has no number for, such as the machine's root in one of a user. */
const OVERFLOW_UID = 65534

/**
 * Looks at the directory and all above it. Each must belong to root or to whoever runs this, and be closed to the writes of
 * others; one above it may be open if its sticky bit keeps everybody to his own files, as in /tmp. What is not there yet is
 * made by us; below a sticky directory it is made at once, before somebody else does.
 *
 * @param path absolute
 * @param makes false where nothing is to be made
 * @returns what others can change, or what is no directory, with the reason; '' nothing; NOT_THERE where nothing is to be made
 * @throws {SysError} EROFS, EACCES
 */
export function whatOthersCanChange(path: string, makes: boolean): string {
  let isSticky = false
  for (let end = endOfPart(path, 1); end > 0; end = endOfPart(path, end + 1)) {
    const place = path.slice(0, end)
    const owner = statusOf(place, isSticky && makes)
    if (owner === undefined) return makes ? '' : NOT_THERE
    if (!isTrusted(owner.uid)) return `${JSON.stringify(place)} belongs to user ${String(owner.uid)}`
    if ((owner.mode & S_IFMT) === S_IFLNK) {
      const found = behindLink(place, makes)
      if (found !== '') return found
      isSticky = false
      continue
    }
    if ((owner.mode & S_IFMT) !== S_IFDIR) return `${JSON.stringify(place)} is no directory`
    const isOpen = (owner.mode & S_IWOTH) !== 0 || ((owner.mode & S_IWGRP) !== 0 && owner.gid !== 0)
    isSticky = isOpen && (owner.mode & S_ISVTX) !== 0 && end < path.length
    if (isOpen && !isSticky) return `others may write to ${JSON.stringify(place)}`
  }
  return ''
}

/** What `whatOthersCanChange` finds where it finds nothing. */
export const NOT_THERE = 'nothing is there'

/** Where the part of the path ends that begins at `from`, or behind it; 0 when there is none. */
function endOfPart(path: string, from: number): number {
  if (from > path.length) return 0
  const end = path.indexOf('/', from)
  return end < 0 ? path.length : end
}

/** The same of what a symbolic link leads to. One that leads nowhere is no place to make a directory in. */
function behindLink(path: string, makes: boolean): string {
  try {
    return whatOthersCanChange(realpathSync(path), makes)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  }
}

/** @returns undefined when nothing is there */
function statusOf(path: string, makes: boolean): FileStatus | undefined {
  const present = fileStatus(path, false)
  if (present !== undefined || !makes) return present
  ensureDirectory(path, 0o700)
  return fileStatus(path, false)
}

function isTrusted(uid: number): boolean {
  if (uid === 0 || uid === ownUid()) return true
  return uid === OVERFLOW_UID && !/^\s*0\s+0\s+4294967295\s*$/.test(readText('/proc/self/uid_map') ?? '')
}

function ownUid(): number {
  return process.getuid?.() ?? 0
}
