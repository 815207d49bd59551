/**
 * Generic netlink: families by name, and the one request of ethtool's that is used here.
 *
 * @source linux/genetlink.h, linux/ethtool_netlink.h, Documentation/networking/ethtool-netlink.rst
 */
import { attributes, readU16 } from './reader.ts'
import { Writer } from './writer.ts'

/** GENL_ID_CTRL */
export const GENERIC_CONTROL = 0x10
const CTRL_CMD_GETFAMILY = 3
const CTRL_ATTR_FAMILY_ID = 1
const CTRL_ATTR_FAMILY_NAME = 2
/** struct genlmsghdr: command, version, reserved */
const GENERIC_HEADER = 4

const ETHTOOL_GENL_VERSION = 1
const ETHTOOL_MSG_FEATURES_SET = 12
const ETHTOOL_A_FEATURES_HEADER = 1
const ETHTOOL_A_FEATURES_WANTED = 3
const ETHTOOL_A_HEADER_DEV_NAME = 2
const ETHTOOL_A_HEADER_FLAGS = 3
const ETHTOOL_FLAG_OMIT_REPLY = 2
const ETHTOOL_A_BITSET_BITS = 3
const ETHTOOL_A_BITSET_BITS_BIT = 1
const ETHTOOL_A_BITSET_BIT_NAME = 2
const ETHTOOL_A_BITSET_BIT_VALUE = 3

function header(command: number, version: number): Writer {
  return new Writer().u8(command).u8(version).u16(0)
}

/** The payload that asks for a family's number. */
export function encodeGetFamily(name: string): Uint8Array {
  return header(CTRL_CMD_GETFAMILY, 2).attrText(CTRL_ATTR_FAMILY_NAME, name).finish()
}

/** The family's number, which is the type of its messages. */
export function decodeFamily(payload: Uint8Array): number | undefined {
  const found = attributes(payload.subarray(GENERIC_HEADER), 'CTRL_ATTR').find(one => one.type === CTRL_ATTR_FAMILY_ID)
  return found === undefined ? undefined : readU16(found, 'CTRL_ATTR_FAMILY_ID')
}

/** The payload that switches one feature of a link, named as `ethtool -k` names it. */
export function encodeSetFeature(link: string, feature: string, isOn: boolean): Uint8Array {
  const writer = header(ETHTOOL_MSG_FEATURES_SET, ETHTOOL_GENL_VERSION)
  writer.nested(ETHTOOL_A_FEATURES_HEADER, () => {
    writer.attrText(ETHTOOL_A_HEADER_DEV_NAME, link)
    writer.attrU32(ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_OMIT_REPLY)
  })
  writer.nested(ETHTOOL_A_FEATURES_WANTED, () => {
    writer.nested(ETHTOOL_A_BITSET_BITS, () => {
      writer.nested(ETHTOOL_A_BITSET_BITS_BIT, () => {
        writer.attrText(ETHTOOL_A_BITSET_BIT_NAME, feature)
        // A bit that is listed without its value is one to clear.
        if (isOn) writer.attrFlag(ETHTOOL_A_BITSET_BIT_VALUE)
      })
    })
  })
  return writer.finish()
}
