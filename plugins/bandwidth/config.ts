/** The limits that a network configuration, or the caller for one container, sets. */
import { runtimeConfig } from '../../lib/cni/inputs.ts'
import type { Section } from '../../lib/config/section.ts'
import type { Tbf } from '../../lib/net/qdiscs.ts'
import { limitForLatency } from '../../lib/net/tbf.ts'

/** Seen from the container; undefined = as fast as it goes. */
export interface Limits {
  readonly ingress: Tbf | undefined
  readonly egress: Tbf | undefined
}

const KEYS: readonly string[] = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst']

/** How long a packet may wait in the queue, in milliseconds; as the reference plugin has it. */
const LATENCY = 25

/** A bucket is counted in bytes by 32 bits, so this many bits are the most that fit. */
const MAX_BURST = 34_359_738_359

/**
 * The limits of the configuration itself, or, when it has none of the four keys, those of `runtimeConfig.bandwidth`.
 * Mistakes are problems of `config`.
 */
export function readLimits(config: Section): Limits {
  const isStatic = KEYS.some(key => config.has(key))
  const section = isStatic ? config : runtimeConfig(config)?.section('bandwidth')
  if (section === undefined) return { ingress: undefined, egress: undefined }
  return { ingress: readTbf(section, 'ingress'), egress: readTbf(section, 'egress') }
}

/** Rates are in bits per second and bursts in bits, as the conventions have them; zero is no limit. */
function readTbf(section: Section, direction: string): Tbf | undefined {
  const rateKey = `${direction}Rate`
  const burstKey = `${direction}Burst`
  const rate = section.integer(rateKey, 0, Number.MAX_SAFE_INTEGER)
  const burst = section.integer(burstKey, 0, MAX_BURST)
  // A key that is there without a value is a mistake that is already written down.
  if ((section.has(rateKey) && rate === undefined) || (section.has(burstKey) && burst === undefined)) return undefined
  const bits = rate ?? 0
  const burstBits = burst ?? 0
  if (bits === 0 && burstBits === 0) return undefined
  if (bits === 0) section.problem(burstKey, `must come with ${rateKey}`)
  else if (burstBits === 0) section.problem(rateKey, `must come with ${burstKey}`)
  else if (bits < 8) section.problem(rateKey, 'must be 0 or at least 8 (bits per second)')
  else if (burstBits < 8) section.problem(burstKey, 'must be 0 or at least 8 (bits)')
  const bytesPerSecond = Math.floor(bits / 8)
  const bytes = Math.floor(burstBits / 8)
  return { rate: bytesPerSecond, burst: bytes, limit: limitForLatency(bytesPerSecond, bytes, LATENCY) }
}
