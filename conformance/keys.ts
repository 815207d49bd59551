/**
 * Which clause judges which configuration key. A test compares the keys with the tables of fields in the plugins'
 * README files: a key that is documented but neither judged nor excused here fails it.
 */

/** Ids of clauses; a text with blanks is the reason why no clause judges the key. */
export type KeyCoverage = Readonly<Record<string, readonly string[] | string>>

const OWN = "only this project's plugin has the key: its own kernel tests judge it"
const STATE = "only this project's plugins have the key: where they keep their own notes"
const HARDWARE = 'needs hardware that no virtual machine has; a refusal of what is not there is judged by needs-device'
const AGENT = 'needs the agent, which is judged by its own tests'
const DHCP = 'needs the daemon and a DHCP server: judged by its own tests'
const IPAM = ['delegate.configuration', 'delegate.search']

const STACKED = (plugin: string): KeyCoverage => ({
  master: [`${plugin}.no-such-master`, `${plugin}.master-gone`],
  linkInContainer: [`${plugin}.link-in-container`],
  mtu: [`${plugin}.mtu`, `${plugin}.mtu-too-large`],
  acceptRa: OWN,
  ipam: IPAM,
  dns: [`${plugin}.dns`],
  stateDir: STATE
})

export const KEYS: Readonly<Record<string, KeyCoverage>> = {
  bridge: {
    bridge: ['bridge.default-name', 'bridge.not-a-bridge'],
    isGateway: ['bridge.is-gateway', 'bridge.not-gateway'],
    isDefaultGateway: ['bridge.is-default-gateway'],
    forceAddress: ['bridge.other-address'],
    ipMasq: ['bridge.ip-masq', 'bridge.ip-masq-off', 'bridge.ip-masq-gone'],
    ipMasqBackend: ['bridge.ip-masq-backend'],
    ipMasqFamilies: OWN,
    ipMasqExclude: OWN,
    ipMasqSource: OWN,
    mtu: ['bridge.mtu', 'bridge.reconciles'],
    hairpinMode: ['bridge.hairpin-mode', 'bridge.hairpin-traffic'],
    promiscMode: ['bridge.promisc-mode', 'bridge.hairpin-or-promisc'],
    vlan: ['bridge.vlan', 'bridge.vlans-apart', 'bridge.bad-vlan'],
    vlanTrunk: ['bridge.vlan-trunk', 'bridge.bad-vlan-trunk'],
    preserveDefaultVlan: ['bridge.preserve-default-vlan'],
    portIsolation: ['bridge.port-isolation', 'bridge.port-isolation-traffic'],
    macspoofchk: ['bridge.mac-spoof-check', 'bridge.mac-spoof-check-gone'],
    enabledad: ['bridge.duplicate-address'],
    acceptRa: OWN,
    disableContainerInterface: ['bridge.disable-container-interface'],
    keepDevices: OWN,
    ipam: [...IPAM, 'bridge.layer-2'],
    dns: ['bridge.dns'],
    stateDir: STATE
  },
  ptp: {
    ipMasq: ['ptp.ip-masq'],
    ipMasqBackend: ['ptp.ip-masq-backend'],
    ipMasqFamilies: OWN,
    ipMasqExclude: OWN,
    ipMasqSource: OWN,
    mtu: ['ptp.mtu'],
    ipam: [...IPAM, 'ptp.needs-ipam'],
    dns: ['ptp.dns'],
    stateDir: STATE
  },
  macvlan: {
    ...STACKED('macvlan'),
    mode: ['macvlan.modes', 'macvlan.second-passthru'],
    mac: ['mac.sources'],
    bcqueuelen: ['macvlan.bcqueuelen'],
    sourceMacs: OWN,
    createMaster: OWN
  },
  ipvlan: { ...STACKED('ipvlan'), mode: ['ipvlan.modes', 'ipvlan.layer-3-modes'], flag: OWN, createMaster: OWN },
  vlan: { ...STACKED('vlan'), vlanId: ['vlan.id', 'vlan.tagged', 'vlan.bad-id'] },
  vxlan: {
    vni: ['vxlan.vni', 'vxlan.bad-vni'],
    peers: ['vxlan.peers', 'vxlan.peers-changed', 'vxlan.other-host'],
    group: ['vxlan.group', 'vxlan.one-source'],
    registry: AGENT,
    encrypted: AGENT,
    port: ['vxlan.port'],
    dev: ['vxlan.underlay'],
    local: ['vxlan.underlay'],
    bridge: ['vxlan.names'],
    tunnel: ['vxlan.names', 'vxlan.foreign-tunnel'],
    mtu: ['vxlan.mtu'],
    isGateway: ['vxlan.gateway'],
    isDefaultGateway: ['vxlan.default-gateway'],
    forceAddress: ['vxlan.other-address'],
    ipMasq: ['vxlan.ip-masq', 'vxlan.ip-masq-off'],
    ipMasqBackend: ['vxlan.ip-masq-backend'],
    ipMasqFamilies: OWN,
    ipMasqExclude: OWN,
    ipMasqSource: OWN,
    hairpinMode: ['vxlan.hairpin-mode'],
    acceptRa: OWN,
    keepDevices: ['vxlan.last-goes'],
    txChecksumOffload: ['vxlan.checksum'],
    ipam: IPAM,
    dns: ['vxlan.dns'],
    stateDir: STATE
  },
  dummy: { mtu: OWN, ipam: [...IPAM, 'dummy.needs-ipam'], dns: ['dummy.dns'], stateDir: STATE },
  tap: {
    owner: ['tap.owner'],
    group: ['tap.owner'],
    multiQueue: ['tap.multi-queue'],
    mtu: ['tap.mtu-and-mac'],
    mac: ['tap.mtu-and-mac'],
    bridge: ['tap.bridge'],
    selinuxContext: 'needs a kernel under SELinux, which Debian does not enable',
    ipam: IPAM,
    dns: ['tap.dns'],
    stateDir: STATE
  },
  'host-device': {
    device: ['host-device.there-and-back', 'host-device.no-such-device'],
    hwaddr: ['host-device.by-mac'],
    kernelpath: HARDWARE,
    pciBusID: HARDWARE,
    'runtimeConfig.deviceID': HARDWARE,
    ipam: [...IPAM, 'host-device.layer-2'],
    dns: ['host-device.dns'],
    stateDir: STATE
  },
  portmap: {
    backend: ['portmap.backend'],
    snat: ['portmap.snat-off', 'portmap.from-host'],
    masqAll: ['portmap.masq-all'],
    markMasqBit: ['portmap.mark-bit'],
    externalSetMarkChain: ['portmap.external-chain'],
    conditionsV4: ['portmap.conditions', 'portmap.conditions-let-in'],
    conditionsV6: ['portmap.conditions-v6'],
    hostPort: ['portmap.from-outside', 'portmap.bad-port'],
    containerPort: ['portmap.from-outside'],
    protocol: ['portmap.udp', 'portmap.sctp'],
    hostIP: ['portmap.host-ip', 'portmap.any-host-ip'],
    stateDir: STATE
  },
  firewall: {
    ingressPolicy: ['firewall.same-bridge', 'firewall.isolated', 'firewall.open-policy', 'firewall.bad-policy'],
    backend: ['firewall.opens', 'firewall.firewalld-missing'],
    directRouting: OWN,
    iptablesAdminChainName: ['firewall.admin-chain'],
    firewalldZone: 'needs firewalld on the system bus; the plugin has its own test with one that is played',
    stateDir: STATE
  },
  tuning: {
    sysctl: ['tuning.sysctl', 'tuning.only-net', 'tuning.unknown-sysctl'],
    mac: ['tuning.link', 'tuning.mac-sources'],
    mtu: ['tuning.link'],
    promisc: ['tuning.link'],
    allmulti: ['tuning.link'],
    txQLen: ['tuning.tx-queue'],
    dataDir: ['tuning.data-dir']
  },
  bandwidth: {
    ingressRate: ['bandwidth.queues', 'bandwidth.rate-without-burst'],
    ingressBurst: ['bandwidth.burst'],
    egressRate: ['bandwidth.queues', 'bandwidth.one-direction'],
    egressBurst: ['bandwidth.burst'],
    stateDir: STATE
  },
  sbr: {
    table: ['sbr.table'],
    gateways: OWN,
    addSourceHints: ['sbr.source-hints'],
    stateDir: STATE
  },
  vrf: { vrfname: ['vrf.member', 'vrf.needs-name'], table: ['vrf.table'], stateDir: STATE },
  loopback: {},
  'host-local': {
    ranges: ['host-local.two-families', 'host-local.two-ranges', 'host-local.bad-ranges'],
    subnet: ['host-local.whole-subnet', 'host-local.small-subnets'],
    rangeStart: ['host-local.range'],
    rangeEnd: ['host-local.range'],
    gateway: ['host-local.range'],
    exclude: OWN,
    requestedFrom: OWN,
    routes: ['host-local.routes', 'host-local.route-attributes'],
    resolvConf: ['host-local.resolv-conf'],
    dataDir: ['host-local.files']
  },
  static: {
    addresses: ['static.sources', 'static.bad-address'],
    leasesOf: OWN,
    dataDir: OWN,
    routes: ['static.routes-and-dns'],
    dns: ['static.routes-and-dns']
  },
  cluster: {
    ranges: AGENT,
    subnet: AGENT,
    rangeStart: AGENT,
    rangeEnd: AGENT,
    gateway: AGENT,
    exclude: AGENT,
    requestedFrom: AGENT,
    pool: AGENT,
    registry: AGENT,
    routes: AGENT
  },
  dns: {
    domainName: AGENT,
    remoteServers: AGENT,
    internal: AGENT,
    multiDomain: AGENT,
    registry: AGENT,
    'registry.socket': AGENT,
    'registry.timeout': AGENT,
    agent: AGENT,
    'agent.socket': AGENT,
    'agent.timeout': AGENT,
    stateDir: STATE
  },
  dhcp: {
    daemonSocketPath: DHCP,
    request: DHCP,
    provide: DHCP,
    priority: DHCP,
    families: DHCP,
    probe: DHCP,
    timeout: DHCP
  }
}
