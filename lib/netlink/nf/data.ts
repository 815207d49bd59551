/**
 * Constants in nf_tables: plain bytes, or a verdict.
 *
 * @source linux/netfilter/nf_tables.h enum nft_data_attributes, enum nft_verdict_attributes, enum nft_verdicts
 */
import { type Attribute, attributes, DecodeError, readText, readU32be } from '../reader.ts'
import type { Writer } from '../writer.ts'

const NFTA_DATA_VALUE = 1
const NFTA_DATA_VERDICT = 2
const NFTA_VERDICT_CODE = 1
const NFTA_VERDICT_CHAIN = 2

/** What becomes of the packet; jump and goto name a chain. */
export type VerdictName = 'drop' | 'accept' | 'continue' | 'return' | 'jump' | 'goto'

export interface NfVerdict {
  readonly name: VerdictName
  /** The target of jump and goto, else the empty string. */
  readonly chain: string
}

/** enum nft_verdicts, NF_DROP, NF_ACCEPT, as the unsigned number on the wire */
function verdictCode(name: VerdictName): number {
  switch (name) {
    case 'drop':
      return 0
    case 'accept':
      return 1
    case 'continue':
      return 0xffffffff
    case 'jump':
      return 0xfffffffd
    case 'goto':
      return 0xfffffffc
    case 'return':
      return 0xfffffffb
  }
}

function verdictName(code: number): VerdictName {
  if (code === 0) return 'drop'
  if (code === 1) return 'accept'
  if (code === 0xffffffff) return 'continue'
  if (code === 0xfffffffd) return 'jump'
  if (code === 0xfffffffc) return 'goto'
  if (code === 0xfffffffb) return 'return'
  throw new DecodeError('NFTA_VERDICT_CODE', `unknown verdict ${String(code)}`)
}

/** An attribute that holds constant bytes. */
export function writeValue(writer: Writer, type: number, value: Uint8Array): void {
  writer.nested(type, () => {
    writer.attr(NFTA_DATA_VALUE, value)
  })
}

/** An attribute that holds a verdict. */
export function writeVerdict(writer: Writer, type: number, verdict: NfVerdict): void {
  writer.nested(type, () => {
    writer.nested(NFTA_DATA_VERDICT, () => {
      writer.attrU32be(NFTA_VERDICT_CODE, verdictCode(verdict.name))
      if (verdict.chain !== '') writer.attrText(NFTA_VERDICT_CHAIN, verdict.chain)
    })
  })
}

/** The bytes of a constant; empty when it is a verdict. Copied out of the message. */
export function readValue(attribute: Attribute, symbol: string): Uint8Array {
  for (const inner of attributes(attribute.value, symbol)) {
    if (inner.type === NFTA_DATA_VALUE) return inner.value.slice(0)
  }
  return new Uint8Array(0)
}

/** The verdict of a constant; undefined when it is bytes. */
export function readVerdict(attribute: Attribute, symbol: string): NfVerdict | undefined {
  for (const inner of attributes(attribute.value, symbol)) {
    if (inner.type === NFTA_DATA_VERDICT) return decodeVerdictAttributes(inner)
  }
  return undefined
}

function decodeVerdictAttributes(attribute: Attribute): NfVerdict {
  let code = 0
  let chain = ''
  for (const inner of attributes(attribute.value, 'NFTA_VERDICT')) {
    if (inner.type === NFTA_VERDICT_CODE) code = readU32be(inner, 'NFTA_VERDICT_CODE')
    if (inner.type === NFTA_VERDICT_CHAIN) chain = readText(inner, 'NFTA_VERDICT_CHAIN')
  }
  return { name: verdictName(code), chain }
}
