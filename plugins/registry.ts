/** Every plugin of the executable: the one list to add a new one to. */
import { cluster } from '../ipam/cluster/cluster.ts'
import { dhcp } from '../ipam/dhcp/dhcp.ts'
import { hostLocal } from '../ipam/host-local/host-local.ts'
import { staticAddresses } from '../ipam/static/static.ts'
import type { PluginMaker } from '../lib/cni/plugin.ts'
import type { Kernel } from '../lib/net/kernel.ts'
import { bandwidth } from './bandwidth/bandwidth.ts'
import { bridge } from './bridge/bridge.ts'
import { dns, dnsname } from './dns/dns.ts'
import { dummy } from './dummy/dummy.ts'
import { firewall } from './firewall/firewall.ts'
import { hostDevice } from './host-device/host-device.ts'
import { ipvlan } from './ipvlan/ipvlan.ts'
import { loopback } from './loopback/loopback.ts'
import { macvlan } from './macvlan/macvlan.ts'
import { portmap } from './portmap/portmap.ts'
import { ptp } from './ptp/ptp.ts'
import { sbr } from './sbr/sbr.ts'
import { tap } from './tap/tap.ts'
import { tuning } from './tuning/tuning.ts'
import { vlan } from './vlan/vlan.ts'
import { vrf } from './vrf/vrf.ts'
import { vxlan } from './vxlan/vxlan.ts'

/** All plugins, over a kernel that opens nothing before a plugin asks. In the order of their names. */
export function allPlugins(kernel: Kernel): readonly PluginMaker[] {
  return [
    { name: 'bandwidth', make: () => bandwidth(kernel) },
    { name: 'bridge', make: () => bridge(kernel) },
    { name: 'cluster', make: () => cluster() },
    { name: 'dhcp', make: () => dhcp() },
    { name: 'dns', make: () => dns(kernel) },
    { name: 'dnsname', make: () => dnsname(kernel) },
    { name: 'dummy', make: () => dummy(kernel) },
    { name: 'firewall', make: () => firewall(kernel) },
    { name: 'host-device', make: () => hostDevice(kernel) },
    { name: 'host-local', make: () => hostLocal() },
    { name: 'ipvlan', make: () => ipvlan(kernel) },
    { name: 'loopback', make: () => loopback(kernel) },
    { name: 'macvlan', make: () => macvlan(kernel) },
    { name: 'portmap', make: () => portmap(kernel) },
    { name: 'ptp', make: () => ptp(kernel) },
    { name: 'sbr', make: () => sbr(kernel) },
    { name: 'static', make: () => staticAddresses() },
    { name: 'tap', make: () => tap(kernel) },
    { name: 'tuning', make: () => tuning(kernel) },
    { name: 'vlan', make: () => vlan(kernel) },
    { name: 'vrf', make: () => vrf(kernel) },
    { name: 'vxlan', make: () => vxlan(kernel) }
  ]
}
