/**
 * A second kernel for tests: Debian's cloud kernel under qemu, emulated (no KVM needed), on the host's own files,
 * read-only below a tmpfs. It has what small kernels lack: 8021q, bridge VLAN filtering, dummy, ipvlan, vrf, ...
 *
 * Nothing is installed: the kernel package is downloaded by apt-get and unpacked into .cache/.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { setPriority, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isListening } from './helper.ts'

const HERE = join(import.meta.dirname, 'guest')
const VIRTIOFSD_LOCKS = '/run/virtiofsd'
const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'guest')

/** The package that always depends on the newest cloud kernel. */
const KERNEL_PACKAGE = 'linux-image-cloud-amd64'

/** What the RAM disk must load before the host's files are there. */
const EARLY_MODULES: readonly string[] = ['virtio_pci', 'virtiofs', 'overlay']

const MEMORY = '1536M'

/** As `nice` has it: three times the share of what has none. */
const PRIORITY = -5

interface Tool {
  readonly debianPackage: string
  readonly paths: readonly string[]
}

const TOOLS = {
  qemu: { debianPackage: 'qemu-system-x86', paths: ['/usr/bin/qemu-system-x86_64'] },
  virtiofsd: { debianPackage: 'qemu-system-common', paths: ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'] },
  busybox: { debianPackage: 'busybox-static', paths: ['/bin/busybox'] },
  depmod: { debianPackage: 'kmod', paths: ['/sbin/depmod', '/usr/sbin/depmod'] },
  dpkg: { debianPackage: 'dpkg', paths: ['/usr/bin/dpkg-deb'] }
} as const satisfies Record<string, Tool>

/** Why no guest can be started on this machine, or undefined. Downloads nothing. */
export function guestObstacle(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return `needs an x86-64 Linux host, not ${process.arch}`
  if (process.getuid?.() !== 0) return 'needs root'
  const tools: readonly Tool[] = Object.values(TOOLS)
  const absent = tools.filter(tool => !tool.paths.some(path => existsSync(path)))
  if (absent.length > 0) return `needs apt-get install ${absent.map(tool => tool.debianPackage).join(' ')}`
  return undefined
}

function pathOf(tool: Tool): string {
  const found = tool.paths.find(path => existsSync(path))
  if (found === undefined) throw new Error(`find ${tool.paths.join(' or ')}: install ${tool.debianPackage}`)
  return found
}

/** An unpacked kernel package. */
interface GuestKernel {
  readonly image: string
  /** The directory that holds `<version>/` with the modules. */
  readonly modules: string
  readonly version: string
}

function runTool(program: string, args: readonly string[], directory: string): string {
  const child = spawnSync(program, args, { cwd: directory, encoding: 'utf8' })
  if (child.error !== undefined) throw new Error(`run ${program}: ${child.error.message}`)
  if (child.status !== 0) throw new Error(`run ${basename(program)} ${args.join(' ')}: ${child.stderr.trim()}`)
  return child.stdout
}

/** The kernel of the cache, downloaded the first time. */
function guestKernel(): GuestKernel {
  const unpacked = join(CACHE, 'kernel')
  if (!existsSync(unpacked)) {
    const depends = runTool('apt-cache', ['depends', '--important', KERNEL_PACKAGE], '/')
    const name = /Depends: (linux-image-\S+-cloud-amd64)/.exec(depends)?.[1]
    if (name === undefined) throw new Error(`find a kernel: ${KERNEL_PACKAGE} is unknown to apt (apt-get update?)`)
    mkdirSync(CACHE, { recursive: true })
    const work = mkdtempSync(join(CACHE, 'unpacking-'))
    try {
      runTool('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', name], work)
      const archive = readdirSync(work).find(file => file.endsWith('.deb'))
      if (archive === undefined) throw new Error(`download ${name}: apt-get left no file`)
      runTool(pathOf(TOOLS.dpkg), ['-x', archive, 'kernel'], work)
      const version = name.slice('linux-image-'.length)
      runTool(pathOf(TOOLS.depmod), ['-b', join(work, 'kernel'), version], work)
      if (!existsSync(unpacked)) renameSync(join(work, 'kernel'), unpacked)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  const modules = join(unpacked, 'lib', 'modules')
  const [version] = readdirSync(modules)
  if (version === undefined) throw new Error(`read ${modules}: no kernel in it; remove ${CACHE} and try again`)
  return { image: join(unpacked, 'boot', `vmlinuz-${version}`), modules, version }
}

/** The files of the modules and of all they depend on, in the order of loading. */
function moduleFiles(kernel: GuestKernel, names: readonly string[]): readonly string[] {
  const folder = join(kernel.modules, kernel.version)
  const dependencies = new Map<string, readonly string[]>()
  for (const line of readFileSync(join(folder, 'modules.dep'), 'utf8').split('\n')) {
    const [path, rest] = line.split(':')
    if (path !== undefined && rest !== undefined) dependencies.set(path, rest.split(' ').filter(Boolean))
  }
  const order: string[] = []
  for (const name of names) {
    const path = [...dependencies.keys()].find(key => basename(key).replaceAll('-', '_') === `${name}.ko`)
    // Not a module: built in.
    if (path === undefined) continue
    for (const file of [...(dependencies.get(path) ?? []).toReversed(), path])
      if (!order.includes(file)) order.push(file)
  }
  return order.map(file => join(folder, file))
}

/** A `newc` cpio archive, the form of an initial RAM disk. @source Linux Documentation/driver-api/early-userspace/buffer-format.rst */
function cpio(files: ReadonlyMap<string, { readonly mode: number; readonly content: Uint8Array }>): Buffer {
  const parts: Buffer[] = []
  const pad = (length: number) => Buffer.alloc((4 - (length % 4)) % 4)
  let inode = 1
  const add = (name: string, mode: number, content: Uint8Array) => {
    const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0]
    const header = Buffer.from(`070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}${name}\0`)
    parts.push(header, pad(header.length), Buffer.from(content), pad(content.length))
    inode += 1
  }
  for (const [name, { mode, content }] of files) add(name, mode, content)
  add('TRAILER!!!', 0, new Uint8Array())
  return Buffer.concat(parts)
}

const DIRECTORY = 0o040755
const PROGRAM = 0o100755

function initialDisk(kernel: GuestKernel, command: string): Buffer {
  const files = new Map<string, { mode: number; content: Uint8Array }>()
  const early = moduleFiles(kernel, EARLY_MODULES)
  for (const folder of ['bin', 'modules']) files.set(folder, { mode: DIRECTORY, content: new Uint8Array() })
  const program = (name: string, content: Uint8Array) => files.set(name, { mode: PROGRAM, content })
  program('bin/busybox', readFileSync(pathOf(TOOLS.busybox)))
  program('bin/sh', readFileSync(pathOf(TOOLS.busybox)))
  program('init', readFileSync(join(HERE, 'init.sh')))
  program('start.sh', readFileSync(join(HERE, 'start.sh')))
  program('command', Buffer.from(command))
  for (const path of early) program(`modules/${basename(path)}`, readFileSync(path))
  program('modules/list', Buffer.from(`${early.map(path => basename(path)).join('\n')}\n`))
  return cpio(files)
}

export interface GuestCommand {
  /** Program and arguments, as paths of the host. */
  readonly argv: readonly string[]
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  /** Boot included. */
  readonly seconds: number
  /** Called with each line of the command's standard output as it comes. */
  readonly onLine: (line: string) => void
}

export interface GuestOutcome {
  /** The command's exit status; undefined when the guest died or ran out of time. */
  readonly status: number | undefined
  /** What the kernel and the command's stderr printed. */
  readonly console: string
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

/** Boots a guest, runs one command in it as root and powers it off. About three seconds beside the command itself. */
export async function runInGuest(command: GuestCommand): Promise<GuestOutcome> {
  const kernel = guestKernel()
  const scratch = mkdtempSync(join(tmpdir(), 'patchbay-guest-'))
  const socket = join(scratch, 'virtiofs')
  const consoleLog = join(scratch, 'console')
  const assignments = Object.entries(command.env).map(([name, value]) => `${name}=${quoted(value)}`)
  const script = [
    `MODULES=${quoted(kernel.modules)}`,
    `DIRECTORY=${quoted(command.directory)}`,
    `run() { env ${[...assignments, ...command.argv.map(quoted)].join(' ')}; }`
  ]
  writeFileSync(join(scratch, 'disk'), initialDisk(kernel, `${script.join('\n')}\n`))
  const sharing = ['-o', 'source=/', '-o', 'cache=always', '-o', 'sandbox=chroot', '--thread-pool-size=2']
  const files = spawn(pathOf(TOOLS.virtiofsd), [`--socket-path=${socket}`, ...sharing], { stdio: 'ignore' })
  try {
    for (let waited = 0; !isListening(socket); waited += 1) {
      if (waited > 1500 || files.exitCode !== null) throw new Error('start virtiofsd: it did not open its socket')
      await sleep(20)
    }
    const status = await emulate(kernel, scratch, command)
    return { status, console: existsSync(consoleLog) ? readFileSync(consoleLog, 'utf8') : '' }
  } finally {
    files.kill('SIGKILL')
    rmSync(scratch, { recursive: true, force: true })
    forgetVirtiofsd(socket)
  }
}

/** Wherever its socket is, virtiofsd keeps a file with its number in /run. @source qemu tools/virtiofsd/fuse_virtio.c, fv_socket_lock */
function forgetVirtiofsd(socket: string): void {
  rmSync(join(VIRTIOFSD_LOCKS, `${socket.replaceAll('/', '.')}.pid`), { force: true })
  try {
    rmdirSync(VIRTIOFSD_LOCKS)
  } catch {
    // It isn't there, or has others' files in it.
  }
}

/** Emulated time is worth twenty of the machine's: it is not shared evenly with what else runs. */
function goFirst(pid: number | undefined): void {
  try {
    if (pid !== undefined) setPriority(pid, PRIORITY)
  } catch {
    // Without CAP_SYS_NICE it goes no faster than others.
  }
}

function emulate(kernel: GuestKernel, scratch: string, command: GuestCommand): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const words: readonly (readonly string[])[] = [
    ['-accel', 'tcg,thread=multi'],
    ['-cpu', 'max'],
    ['-smp', '2'],
    ['-machine', 'q35'],
    ['-m', MEMORY],
    ['-nodefaults', '-no-reboot'],
    ['-display', 'none'],
    // virtiofs needs memory that virtiofsd can map too.
    ['-object', `memory-backend-memfd,id=memory,size=${MEMORY},share=on`],
    ['-numa', 'node,memdev=memory'],
    ['-chardev', `socket,id=files,path=${join(scratch, 'virtiofs')}`],
    ['-device', 'vhost-user-fs-pci,chardev=files,tag=host'],
    // A physical network interface whose cable leads nowhere: what only such a one does can be seen there.
    ['-netdev', 'hubport,id=wire,hubid=0'],
    ['-device', 'virtio-net-pci,netdev=wire,romfile='],
    ['-serial', `file:${join(scratch, 'console')}`],
    ['-serial', 'stdio'],
    ['-kernel', kernel.image],
    ['-initrd', join(scratch, 'disk')],
    ['-append', 'console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable']
  ]
  const child = spawn(pathOf(TOOLS.qemu), words.flat(), { stdio: ['ignore', 'pipe', 'ignore'] })
  goFirst(child.pid)
  const timer = setTimeout(() => child.kill('SIGKILL'), command.seconds * 1000)
  let status: number | undefined
  let rest = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const exit = /^guest: exit ([0-9]+)$/.exec(line)
      if (exit !== null) status = Number(exit[1])
      else command.onLine(line)
    }
  })
  child.on('error', () => resolve(undefined))
  child.on('close', () => {
    clearTimeout(timer)
    resolve(status)
  })
  return promise
}
