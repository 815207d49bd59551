/**
 * The main function of every plugin: variables, standard input, JSON, versions, the plugin's own function, printing.
 * Standard output carries exactly one JSON object or nothing; everything else goes to standard error.
 * @source CNI specification 1.1.0, "Execution Protocol"
 */
import { isName } from '../attachment.ts'
import { type Json, jsonArray, jsonObject, jsonString, jsonText, memberOf, parseJson } from '../config/json.ts'
import { dispatch } from './call.ts'
import { type Environment, readEnvironment } from './env.ts'
import { CniError, DECODE_FAILURE, errorToJson, INVALID_CONFIG, IO_FAILURE, toCniError } from './error.ts'
import type { Invocation } from './invocation.ts'
import type { Io } from './io.ts'
import type { Plugin, PluginMaker } from './plugin.ts'
import { EMPTY_RESULT } from './result.ts'
import { resultText } from './result-json.ts'
import {
  IMPLIED_VERSION,
  isKnownVersion,
  NEWEST_VERSION,
  PATCHBAY_VERSION,
  REFERENCE_LEVEL,
  versionsSince
} from './version.ts'

/** Bytes of configuration beyond which nothing is read. */
const STDIN_LIMIT = 16 * 1024 * 1024

/**
 * Serves one call.
 *
 * @param builtins the plugins that can be called in this process when one of them is named as delegate
 * @returns the exit status
 */
export function run(plugin: Plugin, builtins: readonly PluginMaker[], io: Io): number {
  if (isBare(io)) return banner(plugin, io)
  let version = NEWEST_VERSION
  try {
    const environment = readEnvironment(io.env)
    if (environment.command === 'VERSION') {
      io.stdout(versionText(plugin, requestedVersion(io)))
      return 0
    }
    const text = readInput(io)
    const config = readConfig(text)
    const cniVersion = versionOf(config)
    if (isKnownVersion(cniVersion)) version = cniVersion
    const network = networkOf(config)
    serve(plugin, { environment, network, cniVersion, text, config, builtins, io, delegated: false })
    return 0
  } catch (error) {
    return report(io, toCniError(error, io.env('CNI_COMMAND')), version)
  }
}

/** Started by hand or by a tool that asks for the version: none of the variables of a call is there. */
function isBare(io: Io): boolean {
  return (
    io.env('CNI_COMMAND') === '' &&
    io.env('CNI_CONTAINERID') === '' &&
    io.env('CNI_NETNS') === '' &&
    io.env('CNI_IFNAME') === ''
  )
}

/**
 * nerdctl takes all that follows "CNI firewall plugin " on its line for a version and wants 1.7.1 at least: the first
 * line names the reference level and nothing else.
 */
function banner(plugin: Plugin, io: Io): number {
  const versions = versionsSince(plugin.since).join(', ')
  const name = `CNI ${plugin.name} plugin v${REFERENCE_LEVEL}`
  io.stderr(`${name}\nCNI protocol versions supported: ${versions}\nPatchbay v${PATCHBAY_VERSION}\n`)
  return 0
}

function versionText(plugin: Plugin, requested: string): string {
  const versions = jsonArray(versionsSince(plugin.since).map(jsonString))
  return textOf(
    jsonObject([
      ['cniVersion', jsonString(requested)],
      ['supportedVersions', versions]
    ])
  )
}

/** The version that the runtime asks in, when we know it. VERSION must answer whatever it is given. */
function requestedVersion(io: Io): string {
  if (!io.hasStdin()) return NEWEST_VERSION
  try {
    const version = versionOf(readConfig(readInput(io)))
    return isKnownVersion(version) ? version : NEWEST_VERSION
  } catch {
    return NEWEST_VERSION
  }
}

/** The standard input as text. @throws CniError codes 5 and 6 */
export function readInput(io: Io): string {
  const bytes = readBytes(io)
  if (bytes.length > STDIN_LIMIT) {
    const message = 'read standard input: more than 16 MiB'
    throw new CniError(DECODE_FAILURE, message, 'a network configuration has a few kilobytes: look at what writes it')
  }
  if (bytes.length === 0) {
    throw new CniError(DECODE_FAILURE, 'read standard input: it is empty', 'write the network configuration to it')
  }
  const text = new TextDecoder().decode(bytes)
  // Only where the decoder put its replacement character can the input have been wrong.
  if (text.indexOf('\ufffd') >= 0) checkUtf8(bytes, text)
  return text
}

function readBytes(io: Io): Uint8Array {
  try {
    return io.stdin(STDIN_LIMIT + 1)
  } catch (error) {
    const message = error instanceof Error ? error.message : 'read standard input: no reason given'
    throw new CniError(IO_FAILURE, message, 'connect the network configuration to standard input')
  }
}

function checkUtf8(bytes: Uint8Array, text: string): void {
  const again = new TextEncoder().encode(text)
  const skipped = bytes[0] === 0xef && again[0] !== 0xef ? 3 : 0 // a byte order mark, which the decoder drops
  for (let i = skipped; i < bytes.length; i += 1) {
    if (bytes[i] === again[i - skipped]) continue
    throw new CniError(
      DECODE_FAILURE,
      `read standard input: byte ${String(i)} is not UTF-8`,
      'write the configuration in UTF-8'
    )
  }
}

/** The configuration, an object. @throws CniError code 6 */
export function readConfig(text: string): Json {
  const config = parseJson(text)
  if (config.type === 'object') return config
  throw new CniError(DECODE_FAILURE, `read configuration: must be an object, got ${config.type}`)
}

function versionOf(config: Json): string {
  const version = memberOf(config, 'cniVersion')
  if (version === undefined || version.type === 'null') return IMPLIED_VERSION
  if (version.type !== 'string') {
    throw new CniError(DECODE_FAILURE, `read configuration: cniVersion must be a string, got ${jsonText(version)}`)
  }
  return version.text === '' ? IMPLIED_VERSION : version.text
}

function networkOf(config: Json): string {
  const name = memberOf(config, 'name')
  if (name !== undefined && name.type === 'string' && isName(name.text)) return name.text
  const fault = name === undefined ? 'name is missing' : `name must be a network name, got ${jsonText(name)}`
  const details = 'a name begins with a letter or digit and holds only letters, digits and "_.-"'
  throw new CniError(INVALID_CONFIG, `read configuration: ${fault}`, details)
}

function serve(plugin: Plugin, call: Invocation): void {
  const result = dispatch(plugin, call, call.environment.command)
  if (call.environment.command !== 'ADD') return
  try {
    call.io.stdout(resultText(result ?? EMPTY_RESULT, call.cniVersion))
  } catch (error) {
    takeBack(plugin, call)
    throw error
  }
}

/** An ADD whose result nobody can read has failed, and a runtime that is gone will not call DEL. */
function takeBack(plugin: Plugin, call: Invocation): void {
  const environment: Environment = { ...call.environment, command: 'DEL' }
  try {
    dispatch(plugin, { ...call, environment }, 'DEL')
  } catch (error) {
    writeLastWords(call.io, `${toCniError(error, 'DEL').message}\n`)
  }
}

/** Answers a call that has failed before its version was known. @returns the exit status */
export function answerError(error: unknown, io: Io): number {
  return report(io, toCniError(error, io.env('CNI_COMMAND')), NEWEST_VERSION)
}

function report(io: Io, error: CniError, version: string): number {
  try {
    io.stdout(textOf(errorToJson(error, version)))
  } catch (lost) {
    const why = lost instanceof Error ? lost.message : 'write standard output: no reason given'
    writeLastWords(io, why === error.message ? `${why}\n` : `${error.message}; ${why}\n`)
  }
  return 1
}

/** Nobody may be listening there either; the exit status remains. */
function writeLastWords(io: Io, text: string): void {
  try {
    io.stderr(text)
  } catch {
    return
  }
}

function textOf(json: Json): string {
  return `${jsonText(json, 4)}\n`
}
