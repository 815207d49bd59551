/**
 * Matches and targets of iptables inside of nf_tables rules: what iptables-nft has no other expression for.
 *
 * @source linux/netfilter/nf_tables_compat.h enum nft_match_attributes, nft_target_attributes; linux/netfilter/xt_comment.h,
 *   xt_tcpudp.h, xt_multiport.h
 */
import { type Rows, readingRows } from '../../lib/netlink/rows.ts'

const NAME_BYTES = 30
const ALL_PORTS = 65_535

interface Extension {
  readonly name: string
  readonly info: Uint8Array
}

function extensionRows(rows: Rows): Extension {
  return {
    name: rows.text(1, 'NFTA_MATCH_NAME', undefined, NAME_BYTES) ?? '',
    info: rows.bytes(3, 'NFTA_MATCH_INFO', undefined) ?? new Uint8Array(0)
  }
}

function extensionIn(attributes: Uint8Array): Extension {
  return extensionRows(readingRows(attributes, 'NFTA_EXPR_DATA', false))
}

/** `-m comment --comment hello`; of those that are not known here the name: `-m physdev` */
export function matchWords(attributes: Uint8Array): string {
  const { name, info } = extensionIn(attributes)
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength)
  switch (name) {
    case 'comment':
      return `-m comment --comment ${JSON.stringify(textIn(info))}`
    case 'tcp':
    case 'udp': {
      if (info.length < 8) break
      const ports = [0, 2, 4, 6].map(at => view.getUint16(at, true))
      return `-m ${name}${range('--sport', ports[0], ports[1])}${range('--dport', ports[2], ports[3])}`
    }
    case 'multiport': {
      const count = view.byteLength < 34 ? 0 : Math.min(view.getUint8(1), 15)
      const ports = Array.from({ length: count }, (_, i) => view.getUint16(2 + 2 * i, true))
      return `-m multiport ${view.byteLength > 0 && view.getUint8(0) === 0 ? '--sports' : '--dports'} ${ports.join(',')}`
    }
  }
  return `-m ${name}`
}

/** `-j REJECT` */
export function targetWords(attributes: Uint8Array): string {
  return `-j ${extensionIn(attributes).name}`
}

function textIn(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

function range(flag: string, first = 0, last = ALL_PORTS): string {
  if (first === 0 && last === ALL_PORTS) return ''
  return first === last ? ` ${flag} ${String(first)}` : ` ${flag} ${String(first)}:${String(last)}`
}
