/**
 * Generic netlink: families by name, and the one request of ethtool's that is used here.
 *
 * @source linux/genetlink.h, linux/ethtool_netlink.h, Documentation/networking/ethtool-netlink.rst
 */
import { encodeRows, nest, type Rows, readingRows } from './rows.ts'

/** GENL_ID_CTRL */
export const GENERIC_CONTROL = 0x10
const CTRL_CMD_GETFAMILY = 3
const CTRL_VERSION = 2
const GENL_NAMSIZ = 16

const ETHTOOL_GENL_VERSION = 1
const ETHTOOL_MSG_FEATURES_SET = 12
const ETHTOOL_FLAG_OMIT_REPLY = 2
const ALTIFNAMSIZ = 128
const ETH_GSTRING_LEN = 32

/** struct genlmsghdr */
export function headerRows(rows: Rows, command: number, version: number): void {
  rows.fixedU8('cmd', command)
  rows.fixedU8('version', version)
  rows.fixedU16('reserved', 0)
}

/** CTRL_ATTR_*: a request has the name, the answer has both. */
interface Family {
  readonly name?: string | undefined
  /** The type of its messages. */
  readonly id?: number | undefined
}

function familyRows(rows: Rows, family: Family): Family {
  headerRows(rows, CTRL_CMD_GETFAMILY, CTRL_VERSION)
  return {
    name: rows.text(2, 'CTRL_ATTR_FAMILY_NAME', family.name, GENL_NAMSIZ),
    id: rows.u16(1, 'CTRL_ATTR_FAMILY_ID', family.id)
  }
}

/** The payload that asks for a family's number. */
export function encodeGetFamily(name: string): Uint8Array {
  return encodeRows({ name }, familyRows)
}

/** The family's number, which is the type of its messages. */
export function decodeFamily(payload: Uint8Array): number | undefined {
  return familyRows(readingRows(payload, 'genlmsghdr', false), {}).id
}

interface Feature {
  readonly link: string
  readonly name: string
  readonly isOn: boolean
}

function featureRows(rows: Rows, feature: Feature): Feature {
  headerRows(rows, ETHTOOL_MSG_FEATURES_SET, ETHTOOL_GENL_VERSION)
  nest(rows.at(1, 'ETHTOOL_A_FEATURES_HEADER'), feature, feature, linkRows)
  nest(rows.at(3, 'ETHTOOL_A_FEATURES_WANTED'), feature, feature, bitsetRows)
  return feature
}

function linkRows(rows: Rows, feature: Feature): Feature {
  rows.text(2, 'ETHTOOL_A_HEADER_DEV_NAME', feature.link, ALTIFNAMSIZ)
  rows.u32(3, 'ETHTOOL_A_HEADER_FLAGS', ETHTOOL_FLAG_OMIT_REPLY)
  return feature
}

function bitsetRows(rows: Rows, feature: Feature): Feature {
  return nest(rows.at(3, 'ETHTOOL_A_BITSET_BITS'), feature, feature, bitsRows) ?? feature
}

function bitsRows(rows: Rows, feature: Feature): Feature {
  return nest(rows.at(1, 'ETHTOOL_A_BITSET_BITS_BIT'), feature, feature, bitRows) ?? feature
}

function bitRows(rows: Rows, feature: Feature): Feature {
  rows.text(2, 'ETHTOOL_A_BITSET_BIT_NAME', feature.name, ETH_GSTRING_LEN)
  // A bit that is listed without its value is one to clear.
  rows.flag(3, 'ETHTOOL_A_BITSET_BIT_VALUE', feature.isOn)
  return feature
}

/** The payload that switches one feature of a link, named as `ethtool -k` names it. */
export function encodeSetFeature(link: string, feature: string, isOn: boolean): Uint8Array {
  return encodeRows({ link, name: feature, isOn }, featureRows)
}
