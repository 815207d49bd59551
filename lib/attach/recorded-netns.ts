/** Which namespace an entry tells of, beside its path: the path may lead to another container by now. */
import { type Json, memberOf } from '../config/json.ts'
import type { Net } from '../net/net.ts'

/** The member of an entry. */
export const NETNS_ID = 'netnsId'

/** Whether the namespace is the one that the entry tells of. A number that is free again goes to the next namespace. */
export function isRecordedNetns(container: Net, entry: Json | undefined): boolean {
  return entry !== undefined && memberOf(entry, NETNS_ID)?.text === container.id()
}
