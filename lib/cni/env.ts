/**
 * The variables that a runtime calls a plugin with: one table says which verb needs which, and what a value must be.
 * @source CNI specification 1.1.0, "Parameters"; libcni's rules for container ids and interface names
 */
import { isName } from '../attachment.ts'
import { hasSpaceOr } from '../bytes/characters.ts'
import { CniError, INVALID_ENVIRONMENT } from './error.ts'
import type { Command } from './plugin.ts'

/** The variables of one call; '' is absent. */
export interface Environment {
  readonly command: Command
  readonly containerId: string
  readonly netns: string
  readonly ifName: string
  readonly args: string
  /** Directories to look for delegates in, separated by ":". */
  readonly path: string
  /** Whether CNI_NETNS may be the namespace of the runtime itself. */
  readonly allowOwnNetns: boolean
}

interface Rule {
  readonly variable: string
  readonly requiredFor: readonly Command[]
  /** What is wrong with a value, '' when nothing is. Asked only where the variable is required. */
  readonly fault: (value: string) => string
}

const COMMANDS: readonly Command[] = ['ADD', 'CHECK', 'DEL', 'GC', 'STATUS', 'VERSION']

const RULES: readonly Rule[] = [
  { variable: 'CNI_CONTAINERID', requiredFor: ['ADD', 'CHECK', 'DEL'], fault: nameFault },
  { variable: 'CNI_NETNS', requiredFor: ['ADD', 'CHECK'], fault: noFault },
  { variable: 'CNI_IFNAME', requiredFor: ['ADD', 'CHECK', 'DEL'], fault: ifNameFault },
  // Optional for the other verbs in the specification, though libcni demands it: missed where a delegate is looked for.
  { variable: 'CNI_PATH', requiredFor: ['GC'], fault: noFault }
]

/**
 * Reads and judges the variables.
 * @throws CniError code 4 that names every variable missing or wrong
 */
export function readEnvironment(get: (name: string) => string): Environment {
  const command = readCommand(get('CNI_COMMAND'))
  const missing: string[] = []
  const faults: string[] = []
  for (const rule of RULES) {
    if (!rule.requiredFor.some(verb => verb === command)) continue
    const value = get(rule.variable)
    if (value === '') {
      missing.push(rule.variable)
      continue
    }
    const fault = rule.fault(value)
    if (fault !== '') faults.push(`${rule.variable} ${fault}, got ${JSON.stringify(value)}`)
  }
  if (missing.length > 0) faults.unshift(`missing ${missing.join(', ')}`)
  if (faults.length > 0) {
    const details = `for ${command} the runtime must set ${requiredFor(command).join(', ')}`
    throw new CniError(INVALID_ENVIRONMENT, `read environment: ${faults.join('; ')}`, details)
  }
  const override = get('CNI_NETNS_OVERRIDE')
  return {
    command,
    containerId: get('CNI_CONTAINERID'),
    netns: get('CNI_NETNS'),
    ifName: get('CNI_IFNAME'),
    args: get('CNI_ARGS'),
    path: get('CNI_PATH'),
    allowOwnNetns: override === '1' || override.toUpperCase() === 'TRUE'
  }
}

function readCommand(text: string): Command {
  const command = COMMANDS.find(one => one === text)
  if (command !== undefined) return command
  const fault = text === '' ? 'missing CNI_COMMAND' : `CNI_COMMAND must be a verb, got ${JSON.stringify(text)}`
  throw new CniError(INVALID_ENVIRONMENT, `read environment: ${fault}`, `the verbs are ${COMMANDS.join(', ')}`)
}

function requiredFor(command: Command): readonly string[] {
  return RULES.filter(rule => rule.requiredFor.some(verb => verb === command)).map(rule => rule.variable)
}

function noFault(_value: string): string {
  return ''
}

function nameFault(text: string): string {
  return isName(text) ? '' : 'must begin with a letter or digit and hold only letters, digits and "_.-"'
}

const LONGEST_IFNAME = 15
/** What stands for bytes that are no UTF-8, once they are text. */
const REPLACEMENT = '\ufffd'
/** White space in Latin-1, as which the kernel reads every byte; no part of an ASCII character. */
const LATIN1_SPACE = 0xa0

/**
 * What is wrong with an interface name, '' when nothing is. The kernel takes `eth%d` as the wish for the first free number.
 *
 * To the kernel a name is bytes; here it is text, and UTF-8 wherever it leaves the process: netlink, ioctl, /proc/sys, file
 * names, hashes. A name that is no UTF-8 would be another one after the first step.
 * @source net/core/dev.c dev_valid_name, __dev_alloc_name; lib/ctype.c; net/ipv4/devinet.c devinet_sysctl_register
 */
export function ifNameFault(name: string): string {
  if (name === '') return 'must not be empty'
  const bytes = new TextEncoder().encode(name)
  if (bytes.length > LONGEST_IFNAME) return `must be at most ${String(LONGEST_IFNAME)} bytes`
  // Decoded again: the native engine's texts of variables hold the bytes as they came.
  if (new TextDecoder().decode(bytes).indexOf(REPLACEMENT) >= 0) return 'must be UTF-8'
  if (hasByte(bytes, LATIN1_SPACE)) return 'must hold no byte a0, which the kernel takes for white space'
  if (name === '.' || name === '..') return 'must not be "." or ".."'
  // net.ipv4.conf has entries of these names already: the kernel makes no such link (sysctl_dev_name_is_allowed).
  if (name === 'all' || name === 'default') return 'must not be "all" or "default"'
  if (hasSpaceOr(name, '/:%\0')) return 'must hold no "/", ":", "%" or white space'
  return ''
}

function hasByte(bytes: Uint8Array, wanted: number): boolean {
  for (const byte of bytes) if (byte === wanted) return true
  return false
}
