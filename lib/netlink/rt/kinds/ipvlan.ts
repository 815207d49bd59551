/**
 * An ipvlan link: the parent's MAC address, IP addresses of its own.
 *
 * @source linux/if_link.h enum IFLA_IPVLAN_*, IPVLAN_F_*; types by drivers/net/ipvlan/ipvlan_main.c ipvlan_nl_policy
 */
import type { Attribute, Choice, Rows } from '../../rows.ts'

export type IpvlanMode = 'l2' | 'l3' | 'l3s'

/** Who may talk: all of the parent's ipvlans with each other, none, or only through an outside switch. */
export type IpvlanFlag = 'bridge' | 'private' | 'vepa'

export interface IpvlanInfo {
  readonly kind: 'ipvlan'
  readonly mode?: IpvlanMode | undefined
  readonly flag?: IpvlanFlag | undefined
  readonly unknown?: readonly Attribute[] | undefined
}

const MODES: readonly Choice[] = [
  { value: 0, name: 'l2' },
  { value: 1, name: 'l3' },
  { value: 2, name: 'l3s' }
]

const FLAGS: readonly Choice[] = [
  { value: 0, name: 'bridge' },
  { value: 1, name: 'private' },
  { value: 2, name: 'vepa' }
]

export function ipvlanRows(rows: Rows, ipvlan: IpvlanInfo): IpvlanInfo {
  return {
    kind: 'ipvlan',
    mode: rows.choiceU16(1, 'IFLA_IPVLAN_MODE', ipvlan.mode, MODES) as IpvlanMode | undefined,
    flag: rows.choiceU16(2, 'IFLA_IPVLAN_FLAGS', ipvlan.flag, FLAGS) as IpvlanFlag | undefined,
    unknown: rows.unknown(ipvlan.unknown)
  }
}
