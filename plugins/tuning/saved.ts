/**
 * The attributes an interface had before tuning, as the reference plugin saves them:
 *
 *     { "mac": "0a:00:00:00:00:01", "promisc": false, "mtu": 1500, "allmulti": false, "txQLen": 1000 }
 *
 * Only what has been changed is there. Ours also names the attachment, its namespace and the index of the interface.
 */
import { withNetns } from '../../lib/attach/attachment.ts'
import type { Session } from '../../lib/attach/session.ts'
import { sameBytes } from '../../lib/bytes/compare.ts'
import { type Json, jsonBoolean, jsonNumber, jsonObject, jsonString, memberOf } from '../../lib/config/json.ts'
import { Section } from '../../lib/config/section.ts'
import { formatMac, parseMac } from '../../lib/ip/mac.ts'
import type { Link, LinkChange } from '../../lib/net/links.ts'
import { isEmptyChange } from './config.ts'

/** What `link` has of that which `change` is about to change. */
export function attributesBefore(link: Link, change: LinkChange): LinkChange {
  return {
    mac: change.mac === undefined ? undefined : link.mac,
    mtu: change.mtu === undefined ? undefined : link.mtu,
    promiscuous: change.promiscuous === undefined ? undefined : link.isPromiscuous,
    allMulticast: change.allMulticast === undefined ? undefined : link.isAllMulticast,
    txQueueLength: change.txQueueLength === undefined ? undefined : link.txQueueLength
  }
}

/** @param index of the interface, in the namespace that ADD was given */
/** What of `wanted` the link does not have; undefined when it has all of it. */
export function differingFrom(link: Link, wanted: LinkChange): LinkChange | undefined {
  const { mac, mtu, promiscuous, allMulticast, txQueueLength } = wanted
  const change: LinkChange = {
    mac: mac === undefined || sameBytes(link.mac, mac) ? undefined : mac,
    mtu: mtu === link.mtu ? undefined : mtu,
    promiscuous: promiscuous === link.isPromiscuous ? undefined : promiscuous,
    allMulticast: allMulticast === link.isAllMulticast ? undefined : allMulticast,
    txQueueLength: txQueueLength === link.txQueueLength ? undefined : txQueueLength
  }
  return isEmptyChange(change) ? undefined : change
}

export function savedToJson(session: Session, before: LinkChange, index: number): Json {
  const saved = jsonObject([
    ['mac', before.mac === undefined ? undefined : jsonString(formatMac(before.mac))],
    ['promisc', before.promiscuous === undefined ? undefined : jsonBoolean(before.promiscuous)],
    ['mtu', before.mtu === undefined ? undefined : jsonNumber(before.mtu)],
    ['allmulti', before.allMulticast === undefined ? undefined : jsonBoolean(before.allMulticast)],
    ['txQLen', before.txQueueLength === undefined ? undefined : jsonNumber(before.txQueueLength)],
    ['index', jsonNumber(index)]
  ])
  return withNetns(session, saved)
}

/** The index of the interface that was saved; undefined in files of the reference. */
export function indexIn(saved: Json): number | undefined {
  return new Section(saved).integer('index', 1, 2_147_483_647)
}

/**
 * The changes that put everything back, one attribute each, so that one which the kernel refuses keeps none of the
 * others from being restored. What is not as it should be in the file is left out.
 */
export function restoringChanges(saved: Json): readonly LinkChange[] {
  const section = new Section(saved)
  const changes: LinkChange[] = []
  const mtu = section.integer('mtu', 1, 4_294_967_295)
  if (mtu !== undefined) changes.push({ mtu })
  const mac = parseMac(section.text('mac') ?? '')
  if (mac !== undefined) changes.push({ mac })
  if (isBoolean(saved, 'promisc')) changes.push({ promiscuous: section.boolean('promisc', false) })
  if (isBoolean(saved, 'allmulti')) changes.push({ allMulticast: section.boolean('allmulti', false) })
  const txQueueLength = section.integer('txQLen', 0, 4_294_967_295)
  if (txQueueLength !== undefined) changes.push({ txQueueLength })
  return changes
}

function isBoolean(saved: Json, key: string): boolean {
  return memberOf(saved, key)?.type === 'boolean'
}
