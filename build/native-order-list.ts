/**
 * Writes build/native-order.txt: runs calls of the native file under valgrind, which tells every piece of code that it comes to,
 * and notes the functions as they come. Needs root and valgrind, and is run when the list has grown old:
 *
 *     node build/run.mjs native-order
 */
import { spawnSync } from 'node:child_process'
import { linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Namespace, withNamespaces } from '../lib/testing/namespace.ts'
import { PluginProgram } from '../lib/testing/plugin-program.ts'
import { compileNative, compileToLlvm, hostArch, inWorkshop } from './native-engine.ts'
import { Functions, ORDER_FILE } from './native-order.ts'
import { findClang, staticToolchain } from './native-toolchain.ts'

const HEAD = '# Functions of the native file in the order of their first use. Written by build/native-order-list.ts.'

interface Symbol {
  readonly address: number
  readonly name: string
}

/** The functions of an executable, by address. */
function functionsOf(file: string): readonly Symbol[] {
  const { stdout } = spawnSync('nm', ['-n', file], { encoding: 'utf8', maxBuffer: 1 << 26 })
  return [...stdout.matchAll(/^([0-9a-f]+) [tTwW] (\S+)$/gm)].map(([, address = '', name = '']) => ({
    address: parseInt(address, 16),
    name
  }))
}

/** Adds the functions of a trace to those that were seen before. The first piece of code is _start's. */
function addSeen(trace: string, functions: readonly Symbol[], seen: Set<string>): void {
  const start = functions.find(({ name }) => name === '_start')?.address ?? 0
  let base: number | undefined
  for (const [, digits = ''] of trace.matchAll(/^SB ([0-9a-f]+)$/gm)) {
    const address = parseInt(digits, 16)
    base ??= address - start
    const name = functionAt(functions, address - base)
    if (name !== undefined) seen.add(name)
  }
}

function functionAt(functions: readonly Symbol[], address: number): string | undefined {
  let [low, high] = [0, functions.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((functions[middle]?.address ?? 0) <= address) low = middle + 1
    else high = middle
  }
  return functions[low - 1]?.name
}

/** The calls whose start counts, by plugin: verbs in their order, with what the plugin is configured with. */
function callsIn(directory: string): readonly (readonly [string, readonly string[], object])[] {
  const ipam = { type: 'host-local', dataDir: join(directory, 'leases'), ranges: [[{ subnet: '10.1.0.0/16' }]] }
  const bridge = {
    bridge: 'cni0',
    isGateway: true,
    hairpinMode: true,
    ipam: { ...ipam, routes: [{ dst: '0.0.0.0/0' }] }
  }
  const ips = [{ address: '10.1.0.3/16', gateway: '10.1.0.1', interface: 0 }]
  const prevResult = { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: '/proc/self/ns/net' }], ips }
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }]
  return [
    ['bridge', ['ADD', 'DEL', 'DEL'], bridge],
    ['host-local', ['ADD', 'DEL'], { ipam }],
    ['bridge', ['ADD', 'DEL'], { ...bridge, ipMasq: true }],
    ['portmap', ['ADD', 'DEL', 'DEL'], { runtimeConfig: { portMappings }, prevResult }],
    ['firewall', ['ADD', 'DEL'], { backend: 'nftables', prevResult }],
    ['tuning', ['DEL'], { dataDir: join(directory, 'tuning'), prevResult }],
    ['loopback', ['ADD', 'DEL'], {}]
  ]
}

function trace(file: string, directory: string, host: Namespace, box: Namespace): ReadonlySet<string> {
  const functions = functionsOf(file)
  const seen = new Set<string>()
  const log = join(directory, 'trace')
  const calls = callsIn(directory)
  // All of them first: bridge looks for host-local beside itself.
  for (const type of new Set(calls.map(([one]) => one))) linkSync(file, join(directory, type))
  for (const [type, verbs, config] of calls) {
    const program = join(directory, type)
    const valgrind = ['valgrind', '--tool=lackey', '--trace-superblocks=yes', `--log-file=${log}`, program]
    const caller = new PluginProgram(host, type, valgrind)
    caller.env = { CNI_PATH: directory, DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' }
    for (const verb of verbs) {
      caller.ok(verb, 'c1', config, box.path)
      addSeen(readFileSync(log, 'utf8'), functions, seen)
    }
    caller.close()
  }
  return seen
}

function writeList(): void {
  const clang = findClang()
  if (clang === undefined) throw new Error('list functions: there is no clang')
  const tools = staticToolchain(clang, hostArch())
  inWorkshop(workshop => {
    const program = compileToLlvm(join(workshop, 'main.ll'))
    const file = join(workshop, 'host-local')
    compileNative({ ...tools, keepsNames: true }, program, file)
    const directory = mkdtempSync(join(tmpdir(), 'patchbay-order-'))
    try {
      withNamespaces(2, (host, box) => {
        const names = new Functions(readFileSync(program, 'utf8'))
        const seen = [...trace(file, directory, host, box)].map(symbol => names.nameOf(symbol))
        writeFileSync(ORDER_FILE, `${[HEAD, ...new Set(seen.filter(name => name !== ''))].join('\n')}\n`)
      })
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
}

writeList()
