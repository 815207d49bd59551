/** Which tool made a table of the packet filter: it left its own chains beside what it changed. */

interface Maker {
  /** '' when nothing tells it. */
  readonly who: string
  /** What to do where the table drops what containers send. */
  readonly remedy: string
}

const MAKERS: readonly (Maker & { readonly chains: RegExp })[] = [
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

const OTHERS: Maker = {
  who: '',
  remedy: 'accept the network there, or add the plugin firewall to it: that is a rule for each container'
}
const FIREWALLD: Maker = {
  who: 'firewalld',
  remedy: 'firewall-cmd --permanent --zone=trusted --add-interface=BRIDGE && firewall-cmd --reload'
}

/** @param table its name, and the names of all its chains */
export function makerOf({ table, siblings }: { readonly table: string; readonly siblings: readonly string[] }): Maker {
  if (table === 'firewalld') return FIREWALLD
  const found = MAKERS.find(({ chains }) => siblings.some(name => chains.test(name)))
  return found ?? OTHERS
}
