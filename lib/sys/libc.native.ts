/**
 * The C library of the native engine: foreign functions that the compiler links (ffi.json names their symbols
 * and C parameters; `bytes` and `string`, in UTF-8 with a NUL behind it, become the pair pointer, length).
 *
 * Every call is wrapped in a function: a foreign call as the direct initialiser of a `const` compiles to code
 * that throws at run time (seen with scriptc 0.1.7).
 */
declare function cSocket(domain: number, type: number, protocol: number): number
declare function cBind(fd: number, address: Uint8Array): number
declare function cConnect(fd: number, address: Uint8Array): number
declare function cSend(fd: number, bytes: Uint8Array, flags: number): number
declare function cRecv(fd: number, buffer: Uint8Array, flags: number): number
declare function cListen(fd: number, backlog: number): number
declare function cSendDescriptors(fd: number, bytes: Uint8Array, first: number, second: number): number
declare function cSetsockopt(fd: number, level: number, name: number, value: Uint8Array): number
declare function cClose(fd: number): number
declare function cSetns(fd: number, kind: number): number
declare function cUnshare(flags: number): number
declare function cFlock(fd: number, operation: number): number
declare function cFstatfs(fd: number, buffer: Uint8Array): number
declare function cIoctl(fd: number, request: number, argument: Uint8Array): number
declare function cIoctlNumber(fd: number, request: number, argument: number): number
declare function cDup(fd: number): number
declare function cDup2(from: number, to: number): number
declare function cPipe(fds: Uint8Array): number
declare function cMemfdCreate(name: Uint8Array): number
declare function cSignal(signal: number, handler: number): number
declare function cUmask(mask: number): number
declare function cUsleep(microseconds: number): number
declare function cErrnoName(buffer: Uint8Array): number
declare function cFtruncate(fd: number, length: number): number
declare function cRenameNew(from: string, to: string): number
declare function cStatx(path: string, flags: number, buffer: Uint8Array): number
declare function cFstatx(fd: number, buffer: Uint8Array): number
declare function cUtimens(path: string, times: Uint8Array): number
declare function cOpenToRead(path: string): number
declare function cOpenToWrite(path: string): number
declare function cRead(fd: number, buffer: Uint8Array): number
declare function cMkdir(path: string, mode: number): number
declare function cRmdir(path: string): number
declare function cUnlink(path: string): number
declare function cGetppid(): number
declare function cWrite(fd: number, bytes: Uint8Array): number
declare function cGetrandom(buffer: Uint8Array, flags: number): number

const SIGPIPE = 13
const SIG_IGN = 1
export function socket(domain: number, type: number, protocol: number): number {
  return cSocket(domain, type, protocol)
}
export function bind(fd: number, address: Uint8Array): number {
  return cBind(fd, address)
}
export function connect(fd: number, address: Uint8Array): number {
  return cConnect(fd, address)
}
export function send(fd: number, bytes: Uint8Array, flags: number): number {
  return cSend(fd, bytes, flags)
}
export function recv(fd: number, buffer: Uint8Array, flags: number): number {
  return cRecv(fd, buffer, flags)
}
export function listen(fd: number, backlog: number): number {
  return cListen(fd, backlog)
}
export function sendDescriptors(fd: number, bytes: Uint8Array, first: number, second: number): number {
  return cSendDescriptors(fd, bytes, first, second)
}
export function setsockopt(fd: number, level: number, name: number, value: Uint8Array): number {
  return cSetsockopt(fd, level, name, value)
}
export function close(fd: number): number {
  return cClose(fd)
}
export function setns(fd: number, kind: number): number {
  return cSetns(fd, kind)
}
export function unshare(flags: number): number {
  return cUnshare(flags)
}
export function flock(fd: number, operation: number): number {
  return cFlock(fd, operation)
}
export function fstatfs(fd: number, buffer: Uint8Array): number {
  return cFstatfs(fd, buffer)
}
export function ioctl(fd: number, request: number, argument: Uint8Array): number {
  return cIoctl(fd, request, argument)
}
export function ioctlNumber(fd: number, request: number, argument: number): number {
  return cIoctlNumber(fd, request, argument | 0)
}
export function getrandom(buffer: Uint8Array): number {
  return cGetrandom(buffer, 0)
}
export function dup(fd: number): number {
  return cDup(fd)
}
export function dup2(from: number, to: number): number {
  return cDup2(from, to)
}

/** The name is the empty string, one NUL byte; its length, 1, arrives as memfd_create's flags: MFD_CLOEXEC. */
const memfdName = new Uint8Array(1)
export function pipe(fds: Uint8Array): number {
  return cPipe(fds)
}
export function memfdCreate(): number {
  return cMemfdCreate(memfdName)
}
export function ignoreSigpipe(): void {
  cSignal(SIGPIPE, SIG_IGN)
}
export function umask(mask: number): number {
  return cUmask(mask)
}
export function usleep(microseconds: number): number {
  return cUsleep(microseconds)
}

export function write(fd: number, bytes: Uint8Array): number {
  return cWrite(fd, bytes)
}
export function ftruncate(fd: number, length: number): number {
  return cFtruncate(fd, length)
}

export function renameNew(from: string, to: string): number {
  return cRenameNew(from, to)
}
export function statx(path: string, flags: number, buffer: Uint8Array): number {
  return cStatx(path, flags, buffer)
}
export function fstatx(fd: number, buffer: Uint8Array): number {
  return cFstatx(fd, buffer)
}
export function utimens(path: string, times: Uint8Array): number {
  return cUtimens(path, times)
}
export function openToRead(path: string): number {
  return cOpenToRead(path)
}
export function openToWrite(path: string): number {
  return cOpenToWrite(path)
}
export function read(fd: number, buffer: Uint8Array): number {
  return cRead(fd, buffer)
}
export function mkdir(path: string, mode: number): number {
  return cMkdir(path, mode)
}
export function rmdir(path: string): number {
  return cRmdir(path)
}
export function unlink(path: string): number {
  return cUnlink(path)
}
export function getppid(): number {
  return cGetppid()
}

/** errno is a pointer's target in C, which foreign functions cannot read here: native/calls.c writes its symbol. */
const errnoText = new Uint8Array(32)
export function errnoName(): string {
  const length = cErrnoName(errnoText)
  return new TextDecoder().decode(errnoText.subarray(0, length))
}
