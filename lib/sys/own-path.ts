/** Whether a path is ours alone: whoever may write to a directory on its way can put something else in its place. */
import { realpathSync } from 'node:fs'
import * as libc from '#libc'
import { errnoOf } from './errors.ts'
import { ensureDirectory, readText } from './files.ts'

/** linux/stat.h: struct statx and what to ask for. */
const STATX_SIZE = 256
const UID_AT = 20
const GID_AT = 24
const MODE_AT = 28

const S_IFMT = 0o170000
const S_IFLNK = 0o120000
const S_ISVTX = 0o1000
const S_IWGRP = 0o020
const S_IWOTH = 0o002

/** linux/highuid.h: whom a user namespace has no number for, such as the machine's root in one of a user. */
const OVERFLOW_UID = 65534

interface Owner {
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

/**
 * Looks at the directory and all above it. Each must belong to root or to whoever runs this, and be closed to the writes of
 * others; one above it may be open if its sticky bit keeps everybody to his own files, as in /tmp. What is not there yet is
 * made by us; below a sticky directory it is made at once, before somebody else does.
 *
 * @param path absolute
 * @returns what others can change, with the reason; '' nothing
 * @throws {SysError} EROFS, EACCES
 */
export function whatOthersCanChange(path: string): string {
  let place = ''
  let isSticky = false
  const parts = path.split('/').filter(part => part !== '')
  for (let i = 0; i < parts.length; i += 1) {
    place += `/${parts[i] ?? ''}`
    const owner = ownerOf(place, isSticky)
    if (owner === undefined) return ''
    if (!isTrusted(owner.uid)) return `${JSON.stringify(place)} belongs to user ${String(owner.uid)}`
    if ((owner.mode & S_IFMT) === S_IFLNK) {
      const found = behindLink(place)
      if (found !== '') return found
      isSticky = false
      continue
    }
    const isOpen = (owner.mode & S_IWOTH) !== 0 || ((owner.mode & S_IWGRP) !== 0 && owner.gid !== 0)
    isSticky = isOpen && (owner.mode & S_ISVTX) !== 0 && i < parts.length - 1
    if (isOpen && !isSticky) return `others may write to ${JSON.stringify(place)}`
  }
  return ''
}

/** The same of what a symbolic link leads to. One that leads nowhere is no place to make a directory in. */
function behindLink(path: string): string {
  try {
    return whatOthersCanChange(realpathSync(path))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  }
}

/** @returns undefined when nothing is there, which nobody else can put there */
function ownerOf(path: string, parentIsSticky: boolean): Owner | undefined {
  const present = statOf(path)
  if (present !== undefined || !parentIsSticky) return present
  ensureDirectory(path, 0o700)
  return statOf(path)
}

const buffer = new Uint8Array(STATX_SIZE)

function statOf(path: string): Owner | undefined {
  if (libc.lstatx(path, buffer) < 0) return undefined
  const view = new DataView(buffer.buffer)
  return {
    uid: view.getUint32(UID_AT, true),
    gid: view.getUint32(GID_AT, true),
    mode: view.getUint16(MODE_AT, true)
  }
}

function isTrusted(uid: number): boolean {
  if (uid === 0 || uid === ownUid()) return true
  return uid === OVERFLOW_UID && !/^\s*0\s+0\s+4294967295\s*$/.test(readText('/proc/self/uid_map') ?? '')
}

function ownUid(): number {
  return process.getuid?.() ?? 0
}
