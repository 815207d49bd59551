/** With br_netfilter, what a bridge switches goes through the host's IP firewall as well. */
import type { Check } from '../finding.ts'

export const brNetfilter: Check = {
  name: 'br-netfilter',
  title: 'containers of one bridge are not cut off by the IP firewall',
  find: facts => {
    const shared = facts.segments.segments.filter(
      one => one.namespace.isHost && one.kind === 'bridge' && one.members.length > 1
    )
    const dropping = facts.chains.filter(chain => chain.isForward && chain.drops)
    const isOn = facts.sysctl('bridge/bridge-nf-call-iptables') === '1'
    if (!isOn || dropping.length === 0 || shared.length === 0) return []
    return [
      {
        severity: 'warning',
        what: 'what containers of one bridge send each other has to pass a firewall that drops by default',
        evidence: [
          'net.bridge.bridge-nf-call-iptables = 1',
          ...dropping.map(chain => `policy drop: ${chain.family} ${chain.table} ${chain.name}`),
          ...shared.map(one => `bridge ${one.link?.name ?? ''} has ${String(one.members.length)} containers`)
        ],
        remedy:
          'accept what comes from the bridge and goes to it (iptables -I FORWARD -i BRIDGE -o BRIDGE -j ACCEPT), or set it to 0 where nothing needs it: Kubernetes does'
      }
    ]
  }
}
