/** Configurations changed at random: the same seed makes the same ones again. */

/** Numbers from 0 to below 1. @source mulberry32, a 32-bit generator in the public domain */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    const state = this.#state
    const mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    const last = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((last ^ (last >>> 14)) >>> 0) / 4294967296
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  pick<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)]
    if (one === undefined) throw new Error('pick from a list: it is empty')
    return one
  }
}

/** Values as JSON text, that no program expects in most places. */
const STRANGE: readonly string[] = [
  ...[
    'null',
    'true',
    '{}',
    '[]',
    '[[]]',
    '""',
    '"\\u0000"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\u212a\u017f\u0130"',
    '"\u2028\ufeff"'
  ],
  ...['0', '-0', '-1', '1e3', '1.0', '1E400', '4294967296', '9007199254740993', '18446744073709551615', '1e-7'],
  ...[
    '"10.1.2.3"',
    '"10.1.2.0/24"',
    '"10.1.2.0/33"',
    '"010.1.2.3"',
    '"::"',
    '"fd00::/64"',
    '"::ffff:1.2.3.4"',
    '"1::2::3"'
  ],
  ...[
    '"10.1.2.3-10.1.2.9"',
    '"02:00:00:00:00:01"',
    '"FF:FF:FF:FF:FF:FF"',
    '"0.3.1"',
    '"1.2.0"',
    '"../x"',
    '"a/b"',
    '"%s%n"'
  ],
  JSON.stringify('é'.repeat(400))
]

const KEYS: readonly string[] = [
  ...[
    'cniVersion',
    'name',
    'type',
    'ipam',
    'ranges',
    'subnet',
    'gateway',
    'exclude',
    'routes',
    'dst',
    'mtu',
    'priority'
  ],
  ...['addresses', 'address', 'dns', 'search', 'args', 'cni', 'ips', 'runtimeConfig', 'ipRanges', 'mac', 'prevResult'],
  ...[
    'interfaces',
    'interface',
    'bridge',
    'isGateway',
    'vlan',
    'vlanTrunk',
    'minID',
    'cni.dev/valid-attachments',
    'ip4'
  ]
]

/** Stands for a strange value until the object is text: JSON.stringify cannot write most of them. */
const PLACE = 'strange value number '

/** The configuration as text after `times` changes: values, keys and their case, lists, and now and then a byte. */
export function mutated(config: object, times: number, random: Random): Uint8Array {
  const copy: unknown = structuredClone(config)
  for (let i = 0; i < times; i += 1) change(copy, random)
  const text = JSON.stringify(copy).replace(new RegExp(`"${PLACE}(\\d+)"`, 'g'), (_all, i) => STRANGE[Number(i)] ?? '')
  const bytes = new TextEncoder().encode(text)
  const at = random.below(bytes.length)
  const fate = random.below(30)
  if (fate === 0) return bytes.slice(0, at)
  if (fate === 1) bytes[at] = random.below(256)
  return bytes
}

/** A member of an object or an array. */
interface Place {
  readonly of: Record<string, unknown>
  readonly key: string
}

function placesIn(value: unknown): readonly Place[] {
  if (typeof value !== 'object' || value === null) return []
  const of = value as Record<string, unknown>
  return Object.keys(of).flatMap(key => [{ of, key }, ...placesIn(of[key])])
}

function change(config: unknown, random: Random): void {
  const places = placesIn(config)
  if (places.length === 0) return
  const { of, key } = random.pick(places)
  const strange = `${PLACE}${random.below(STRANGE.length)}`
  const old = of[key]
  const way = random.below(5)
  if (way === 0 || way === 1) of[key] = strange
  else if (way === 2) of[key] = [old, old]
  else if (Array.isArray(of)) of.push(strange)
  else if (way === 3) of[random.pick(KEYS)] = strange
  else {
    if (random.below(2) === 0) delete of[key]
    of[random.pick([key.toUpperCase(), key.toLowerCase(), key.replace('s', '\u017f').replace('k', '\u212a')])] = old
  }
}
