/**
 * Files that survive a kill at any moment: complete, or not there.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  statSync
} from 'node:fs'
import { dirname } from 'node:path'
import * as libc from '#libc'
import { errnoOf, SysError } from './errors.ts'

/** The file's text; undefined when it is absent. */
export function readText(path: string): string | undefined {
  // It does not block: a FIFO in the file's place would otherwise wait for a writer for ever; so it reads as empty.
  const fd = libc.openToRead(path)
  if (fd < 0) {
    const errno = libc.errnoName()
    if (isAbsence(errno)) return undefined
    throw new SysError('read', JSON.stringify(path), errno, '')
  }
  try {
    return readAll(fd, path)
  } finally {
    closeDescriptor(fd)
  }
}

/** Most files that plugins read are shorter than half of it. */
const ROOM = 4096
const room = new Uint8Array(ROOM)

/** Bytes. A path that somebody configured may lead to /dev/zero. */
const LONGEST_TEXT = 16 * 1024 * 1024

/**
 * All that is left to read at the descriptor's offset.
 *
 * Half of the room left empty is the end: an ordinary file fills what it can, and what /proc makes up line by line breaks off
 * where the next line does not fit into a page. So one call is enough for short texts.
 *
 * @throws {SysError} EISDIR, EFBIG
 */
function readAll(fd: number, path: string): string {
  let bytes = room
  let length = 0
  for (;;) {
    const left = bytes.length - length
    const count = libc.read(fd, length === 0 ? bytes : bytes.subarray(length))
    if (count >= 0) {
      length += count
      if (2 * count < left) return new TextDecoder().decode(bytes.subarray(0, length))
      if (length < bytes.length) continue
      if (length >= LONGEST_TEXT) throw new SysError('read', JSON.stringify(path), 'EFBIG', 'it has no end')
      const larger = new Uint8Array(2 * length)
      larger.set(bytes)
      bytes = larger
      continue
    }
    const errno = libc.errnoName()
    if (errno !== 'EINTR') throw new SysError('read', JSON.stringify(path), errno, '')
  }
}

/**
 * Closes a descriptor that holds no text of ours. Whatever close says, the descriptor is gone (man 2 close), and with
 * nothing written there is nothing that can have been lost: no reason to fail for what is done already.
 */
export function closeDescriptor(fd: number): void {
  libc.close(fd)
}

/** No file can have a name that is too long: DEL and GC of an attachment that ADD had to refuse find nothing of it. */
function isAbsence(errno: string): boolean {
  return errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ENAMETOOLONG'
}

/** A failure of node:fs as ours. */
export function fileError(operation: string, path: string, error: unknown): Error {
  const errno = errnoOf(error)
  if (errno === '') return error instanceof Error ? error : new Error(String(error))
  return new SysError(operation, JSON.stringify(path), errno, '')
}

/**
 * Makes a directory and those above it that are missing.
 *
 * One at a time: where a directory cannot be made in one that is there, as in /proc, Node's recursive mkdir tries for
 * ever, and on a read-only file system it names the wrong errno.
 *
 * @param mode of what is made; what exists keeps its own
 * @throws {SysError} EEXIST when something else has the name, ENOENT, EROFS, EACCES
 */
export function ensureDirectory(path: string, mode: number): void {
  for (let tries = 1; ; tries += 1) {
    const errno = makeDirectory(path, mode)
    if (errno === '' || (errno === 'EEXIST' && isDirectory(path))) return
    // Another process removed it between our two calls: make it again.
    if (errno === 'EEXIST' && tries < 100 && !existsSync(path)) continue
    const parent = dirname(path)
    if (errno !== 'ENOENT' || parent === path || tries > 2) {
      throw new SysError('make directory', JSON.stringify(path), errno, '')
    }
    ensureDirectory(parent, mode)
  }
}

/** @returns the errno of failing, '' when it is made */
function makeDirectory(path: string, mode: number): string {
  return libc.mkdir(path, mode) < 0 ? libc.errnoName() : ''
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/**
 * Gives this process a mask of its own: modes are those that the code asks for. Under a runtime's umask of 0777 the
 * directories of leases and journal would be closed to a root that may not override modes.
 */
export function ownFileModes(): void {
  libc.umask(OWN_UMASK)
  hasOwnUmask = true
}

const OWN_UMASK = 0o022
let hasOwnUmask = false

/**
 * Replaces a file as a whole: readers see the old text or the new.
 *
 * @param mode exact, whatever the umask
 * @param durable false where a power cut ends what the file tells of, too: waiting for the disk is most of the cost
 */
export function writeAtomic(path: string, text: string, mode: number, durable = true): void {
  const temporary = temporaryName(path)
  writeTemporary(temporary, { path, text, mode, durable })
  rename(temporary, path)
}

function rename(temporary: string, path: string): void {
  try {
    renameSync(temporary, path)
  } catch (error) {
    removeIfPossible(temporary)
    throw fileError('write', path, error)
  }
}

/**
 * The same for a file that only one process at a time writes, and that `removeSingly` removes with what a killed writer
 * left beside it. It does not wait for the disk.
 */
export function writeSingly(path: string, text: string, mode: number): void {
  const temporary = singleName(path)
  writeTemporary(temporary, { path, text, mode, durable: false })
  rename(temporary, path)
}

/** Removes the file if it is there, and the beginning of one. */
export function removeSingly(path: string): void {
  removeFile(path)
  removeUnfinished(path)
}

/**
 * Removes the beginning of a file, as a writer that was killed leaves it, but not the file.
 *
 * @returns false when there was none
 */
export function removeUnfinished(path: string): boolean {
  return removeFile(singleName(path))
}

/**
 * Writes a file in its place, which costs a third of writeAtomic. A kill or a full disk leaves the beginning of the text, or
 * all of it with the end of a longer one that was there behind it: for files whose readers can tell.
 *
 * It is cut at the end, not at the beginning: a file that was cut to nothing ext4 writes to the disk before it lets go of it.
 */
export function overwrite(path: string, text: string, mode: number): void {
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, mode)
    try {
      const bytes = new TextEncoder().encode(text)
      writeAll(fd, bytes, path)
      if (libc.ftruncate(fd, bytes.length) < 0) throw new SysError('write', JSON.stringify(path), libc.errnoName(), '')
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw fileError('write', path, error)
  }
}

/**
 * Writes all of `bytes` at the descriptor's offset. Node's own way to write asks the native engine for four calls about
 * signals each time.
 *
 * @throws {SysError} ENOSPC, EINVAL of a sysctl that does not take the value
 */
function writeAll(fd: number, bytes: Uint8Array, path: string): void {
  let offset = 0
  while (offset < bytes.length) {
    const written = libc.write(fd, offset === 0 ? bytes : bytes.subarray(offset))
    if (written >= 0) {
      offset += written
      continue
    }
    const errno = libc.errnoName()
    if (errno !== 'EINTR') throw new SysError('write', JSON.stringify(path), errno, '')
  }
}

/**
 * Writes to a file that is there, from its beginning, and makes none: what the kernel has as a file takes its value this way.
 *
 * @returns the symbol of errno, '' when all is written
 */
export function writeInto(path: string, text: string): string {
  const fd = libc.openToWrite(path)
  if (fd < 0) return libc.errnoName()
  try {
    writeAll(fd, new TextEncoder().encode(text), path)
    return ''
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === '') throw error
    return errno
  } finally {
    closeDescriptor(fd)
  }
}

/**
 * Makes a file with its text, unless one is there.
 *
 * The text is written under another name first, which then becomes this one: a process that dies between creating a lease
 * and writing its owner would otherwise leave an empty file that belongs to nobody and blocks the address.
 *
 * @param durable false where a power cut ends what the file tells of, too: waiting for the disk is most of the cost
 * @returns false when the file exists, untouched
 */
export function createExclusive(path: string, text: string, mode: number, durable = true): boolean {
  const temporary = temporaryName(path)
  writeTemporary(temporary, { path, text, mode, durable })
  if (libc.renameNew(temporary, path) >= 0) return true
  const errno = libc.errnoName()
  // EINVAL: a file system that cannot rename without replacing.
  if (errno === 'EINVAL' || errno === 'ENOSYS') return linkNew(temporary, path)
  removeIfPossible(temporary)
  if (errno === 'EEXIST') return false
  throw new SysError('create', JSON.stringify(path), errno, '')
}

function linkNew(temporary: string, path: string): boolean {
  try {
    linkSync(temporary, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw fileError('create', path, error)
  } finally {
    removeIfPossible(temporary)
  }
}

/**
 * The file that matters is there, or its failure is what to tell of: what stays beside it is no failure of its own. One
 * more try, because nobody else would clear it away soon.
 */
function removeIfPossible(path: string): void {
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      removeFile(path)
      return
    } catch (error) {
      if (!(error instanceof Error)) throw error
    }
  }
}

/** A name beside `path` that no reader takes for its own: dot first, this process's id. */
function temporaryName(path: string): string {
  return besideName(path, `.${String(process.pid)}.tmp`)
}

function singleName(path: string): string {
  return besideName(path, '.tmp')
}

function besideName(path: string, ending: string): string {
  const slash = path.lastIndexOf('/')
  return `${path.slice(0, slash + 1)}.${path.slice(slash + 1)}${ending}`
}

/** A file to be. */
interface Draft {
  readonly path: string
  readonly text: string
  readonly mode: number
  readonly durable: boolean
}

function writeTemporary(temporary: string, { path, text, mode, durable }: Draft): void {
  try {
    const fd = openSync(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
      mode
    )
    try {
      if (!hasOwnUmask || (mode & OWN_UMASK) !== 0) fchmodSync(fd, mode)
      writeAll(fd, new TextEncoder().encode(text), path)
      if (durable) fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    removeIfPossible(temporary)
    throw fileError('write', path, error)
  }
}

const UTIME_OMIT = 0x3ffffffe

/**
 * Sets when a file or directory counts as modified.
 *
 * @param seconds whole, since 1970
 * @throws {SysError} EPERM, EROFS, ENOENT
 * @source man 2 utimensat
 */
export function setModified(path: string, seconds: number): void {
  const times = new Uint8Array(32)
  const view = new DataView(times.buffer)
  view.setUint32(8, UTIME_OMIT, true)
  view.setUint32(16, seconds % 4294967296, true)
  view.setUint32(20, Math.floor(seconds / 4294967296), true)
  if (libc.utimens(path, times) < 0) throw new SysError('set time of', JSON.stringify(path), libc.errnoName(), '')
}

/**
 * Removes a file.
 *
 * @returns false when it was absent
 */
export function removeFile(path: string): boolean {
  if (libc.unlink(path) >= 0) return true
  const errno = libc.errnoName()
  // A read-only file system says so before it looks whether there is anything to remove.
  if (isAbsence(errno) || (errno === 'EROFS' && !existsSync(path))) return false
  throw new SysError('remove', JSON.stringify(path), errno, '')
}

/**
 * Gives a file another name, in one step.
 *
 * @returns false when it was absent
 */
export function moveFile(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (isAbsence(errnoOf(error))) return false
    throw fileError('move', from, error)
  }
}

/** Names in a directory, in no order; none when it is absent. */
export function listDirectory(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch (error) {
    if (isAbsence(errnoOf(error))) return []
    throw fileError('list', path, error)
  }
}

/** When a file was modified, in milliseconds since 1970; undefined when it is absent or out of reach. */
export function modifiedAt(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs
  } catch {
    return undefined
  }
}

/** Removes a directory if it is empty; anything else leaves it as it is. */
export function removeEmptyDirectory(path: string): boolean {
  if (libc.rmdir(path) >= 0) return true
  const errno = libc.errnoName()
  if (isAbsence(errno)) return false
  if (errno === 'ENOTEMPTY' || errno === 'EEXIST' || errno === 'EBUSY' || errno === 'EROFS') return false
  throw new SysError('remove directory', JSON.stringify(path), errno, '')
}
