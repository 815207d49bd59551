/** A firewall that drops what it does not know drops what containers send. */
import type { BaseChain } from '../base-chains.ts'
import type { Check } from '../finding.ts'

export const forwardPolicy: Check = {
  name: 'forward-policy',
  title: 'no firewall drops forwarded packets unseen',
  find: ({ chains, routed }) => {
    const dropping = chains.filter(chain => chain.isForward && chain.drops)
    if (routed.length === 0) return []
    return dropping.map(chain => {
      const { who, remedy } = makerOf(chain)
      return {
        severity: 'warning',
        what: `chain ${chain.name} of table ${chain.family} ${chain.table} drops what is forwarded and no rule of it accepts${who === '' ? '' : `; ${who} set it`}`,
        evidence: [
          `policy drop at hook forward: nft list chain ${chain.family} ${chain.table} ${chain.name}`,
          `${String(routed.length)} containers are on this host's bridges and wires`
        ],
        remedy
      }
    })
  }
}

/** Who left its own chains beside it. */
const MAKERS: readonly { readonly who: string; readonly chains: RegExp; readonly remedy: string }[] = [
  {
    who: 'Docker',
    chains: /^DOCKER(?:-|$)/,
    remedy:
      'accept the network in chain DOCKER-USER, which Docker keeps: iptables -I DOCKER-USER -i BRIDGE -j ACCEPT; or add the plugin firewall to the network'
  },
  { who: 'ufw', chains: /^ufw6?-/, remedy: 'ufw route allow in on BRIDGE; or add the plugin firewall to the network' },
  {
    who: 'Kubernetes',
    chains: /^KUBE-FORWARD$/,
    remedy: 'add the plugin firewall to the network, or accept its addresses in chain FORWARD'
  }
]

const OTHERS = 'accept the network there, or add the plugin firewall to it: that is a rule for each container'

function makerOf(chain: BaseChain): { readonly who: string; readonly remedy: string } {
  if (chain.table === 'firewalld')
    return {
      who: 'firewalld',
      remedy: 'firewall-cmd --permanent --zone=trusted --add-interface=BRIDGE && firewall-cmd --reload'
    }
  const found = MAKERS.find(({ chains }) => chain.siblings.some(name => chains.test(name)))
  return found ?? { who: '', remedy: OTHERS }
}
