/** A chain of plugins as a runtime runs it: forward for ADD and CHECK, backward for DEL, results handed on. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Netns } from '../netns.ts'
import { outputOf, run, type TimedCall, timedCall } from './measure.ts'

export type JsonObject = { readonly [key: string]: unknown }

export interface Attachment {
  readonly containerId: string
  readonly ifName: string
  /** undefined: the runtime no longer knows it, and CNI_NETNS is empty. */
  readonly netns: Netns | undefined
}

export interface ChainOptions {
  readonly name: string
  readonly cniVersion: string
  readonly plugins: readonly JsonObject[]
  /** Environment besides CNI's own; nothing else is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cniArgs?: string
}

/** What each plugin's call cost, at its place in the chain; milliseconds unless another meter counts. */
export type ChainTiming = readonly number[]

export class ChainFailure extends Error {}

export class Chain {
  readonly #dir: string
  readonly #options: ChainOptions
  readonly #calls = new Map<string, TimedCall>()
  /** What the last ADD gave. */
  result: JsonObject | undefined
  /** The call that was run last. */
  last: TimedCall | undefined

  constructor(dir: string, options: ChainOptions) {
    this.#dir = dir
    this.#options = options
  }

  /** The call of one plugin, made once and given new input each time. */
  call(index: number, verb: string, attachment: Attachment, prevResult: JsonObject | undefined): TimedCall {
    const { name, cniVersion, plugins, env, cniArgs } = this.#options
    const plugin = plugins[index] ?? {}
    const input = JSON.stringify({ cniVersion, name, ...plugin, ...(prevResult === undefined ? {} : { prevResult }) })
    const netns = attachment.netns?.path ?? ''
    const key = `${index} ${verb} ${attachment.containerId} ${attachment.ifName} ${netns}`
    const known = this.#calls.get(key)
    if (known !== undefined) {
      writeFileSync(known.outputPath.replace(/out$/, 'in'), input)
      return known
    }
    const all = {
      ...env,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: attachment.containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: attachment.ifName,
      CNI_PATH: this.#dir,
      ...(cniArgs === undefined ? {} : { CNI_ARGS: cniArgs })
    }
    const made = timedCall(`${String(plugin['type'])} ${verb}`, [join(this.#dir, String(plugin['type']))], all, input)
    this.#calls.set(key, made)
    return made
  }

  #run(index: number, verb: string, attachment: Attachment, prevResult: JsonObject | undefined): [number, string] {
    const call = this.call(index, verb, attachment, prevResult)
    this.last = call
    const { amount, status } = run(call)
    const output = outputOf(call)
    if (status !== 0) throw new ChainFailure(`${call.label}: exit ${status}: ${output.trim().replaceAll(/\s+/g, ' ')}`)
    return [amount, output]
  }

  add(attachment: Attachment): ChainTiming {
    return this.#options.plugins.map((_plugin, index) => this.addOne(index, attachment))
  }

  /** ADD of one plugin of the chain, which must be run in order. */
  addOne(index: number, attachment: Attachment): number {
    if (index === 0) this.result = undefined
    const [amount, output] = this.#run(index, 'ADD', attachment, this.result)
    this.result = resultOf(output, this.last?.label ?? 'ADD')
    return amount
  }

  /** @param indices the plugins to ask; the order of the chain does not matter */
  check(attachment: Attachment, indices: readonly number[]): ChainTiming {
    return placed(indices, index => this.#run(index, 'CHECK', attachment, this.result)[0])
  }

  status(attachment: Attachment, indices: readonly number[]): ChainTiming {
    return placed(indices, index => this.#run(index, 'STATUS', attachment, undefined)[0])
  }

  /** @param prevResult left out as some runtimes do before the first ADD */
  del(attachment: Attachment, indices = this.all, prevResult = this.result): ChainTiming {
    const backwards = [...indices].sort((a, b) => b - a)
    return placed(backwards, index => this.#run(index, 'DEL', attachment, prevResult)[0])
  }

  /** Every place in the chain. */
  get all(): readonly number[] {
    return this.#options.plugins.map((_plugin, index) => index)
  }
}

function placed(indices: readonly number[], cost: (index: number) => number): ChainTiming {
  const timing: number[] = []
  for (const index of indices) timing[index] = cost(index)
  return timing
}

/** What ADD printed; some sets print a log before it. */
function resultOf(output: string, label: string): JsonObject {
  try {
    return JSON.parse(output.slice(output.indexOf('{')))
  } catch {
    throw new ChainFailure(`${label}: its output is not JSON`)
  }
}

export function sum(timing: ChainTiming, measured: readonly number[]): number {
  return measured.reduce((total, index) => total + (timing[index] ?? Number.NaN), 0)
}
