/** Plugins that are broken in a key of theirs. */
import { edited, fed, type Mutation, mutation } from './mutation.ts'

export const KEY_MUTATIONS: readonly Mutation[] = [
  ...(
    [
      ['bridge.mac-spoof-check', 'macspoofchk', 'bridge'],
      ['bridge.disable-container-interface', 'disableContainerInterface', 'bridge'],
      ['bridge.ip-masq', 'ipMasq', 'bridge'],
      ['ptp.dns', 'dns', 'ptp'],
      ['macvlan.bcqueuelen', 'bcqueuelen', 'macvlan'],
      ['tap.bridge', 'bridge', 'tap'],
      ['vxlan.port', 'port', 'vxlan'],
      ['vxlan.last-goes', 'keepDevices', 'vxlan'],
      ['portmap.conditions', 'conditionsV4', 'portmap'],
      ['portmap.external-chain', 'externalSetMarkChain', 'portmap'],
      ['tuning.tx-queue', 'txQLen', 'tuning'],
      ['sbr.table', 'table', 'sbr'],
      ['static.routes-and-dns', 'routes', 'static']
    ] as const
  ).map(([clause, key, plugin]) =>
    mutation([clause, clause.replace('.', '-')], `does not know ${key}`, fed(`s/"${key}"/"${key}-"/g`), plugin)
  ),
  mutation(
    ['firewall.isolated', 'firewall-isolated'],
    'lets neighbours in although isolated',
    fed('s/"isolated"/"same-bridge"/'),
    'firewall'
  ),
  mutation(
    ['vxlan.other-host', 'vxlan-other-host'],
    'sends to the wrong host',
    fed('s/192\\.0\\.2\\.1"/192.0.2.7"/'),
    'vxlan'
  ),
  mutation(
    ['bandwidth.burst', 'bandwidth-burst'],
    'halves the bucket',
    fed('s/Burst":800000/Burst":400000/g'),
    'bandwidth'
  ),
  mutation(
    ['host-device.by-mac', 'host-device-by-mac'],
    'takes another device than the one asked for',
    fed('s/"hwaddr":"[^"]*"/"device":"spare1"/'),
    'host-device'
  ),
  mutation(
    ['loopback.result', 'loopback-result'],
    'tells of another address',
    edited('s/127.0.0.1\\/8/127.0.0.2\\/8/'),
    'loopback'
  ),
  mutation(['bridge.mtu', 'bridge-mtu'], 'ignores mtu', fed('s/"mtu":1400,?//; s/,\\}/}/')),
  mutation(
    ['bridge.hairpin-mode', 'bridge-hairpin-mode'],
    'ignores hairpinMode',
    fed('s/"hairpinMode":true/"hairpinMode":false/')
  ),
  mutation(
    ['host-local.range', 'host-local-range'],
    'ignores rangeStart',
    fed('s/"rangeStart"/"rangeBegin"/'),
    'host-local'
  ),
  mutation(['tuning.link', 'tuning-link'], 'ignores promisc', fed('s/"promisc":true/"promisc":false/'), 'tuning')
]
