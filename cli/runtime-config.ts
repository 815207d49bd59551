/** The network that each container runtime is given: the same texts as in docs/runtimes, where they are explained. */

/** What `patchbay install --runtime` knows of a runtime. */
export interface RuntimeTarget {
  readonly name: string
  /** Where it looks for plugins first. */
  readonly binDir: string
  /** Where it looks for networks. */
  readonly confDir: string
  readonly fileName: string
  /** The file of docs/runtimes. */
  readonly document: string
  readonly config: NetworkConfig
  /** What is left to do by hand; '' for nothing. */
  readonly hint: string
  /** The same where the network has no subnets of this host's own; '' for nothing. */
  readonly subnetHint: string
  /** How its containers come to ask the agent's resolver; '' where they cannot. */
  readonly namesHint: string
}

interface NetworkConfig {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly object[]
}

export const CONF_DIR = '/etc/cni/net.d'
const PORTMAP = { type: 'portmap', capabilities: { portMappings: true } }
const BANDWIDTH = { type: 'bandwidth', capabilities: { bandwidth: true } }
const DNS = { type: 'dns', capabilities: { aliases: true } }
const DEFAULT_ROUTE = { dst: '0.0.0.0/0' }

const CONTAINERD: NetworkConfig = {
  cniVersion: '1.0.0',
  name: 'containerd-net',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.86.0.0/16' }], [{ subnet: 'fd50:6174:6368:86::/64' }]],
        routes: [DEFAULT_ROUTE, { dst: '::/0' }]
      }
    },
    PORTMAP,
    BANDWIDTH,
    { type: 'firewall' },
    { type: 'tuning' }
  ]
}

const KUBELET: NetworkConfig = {
  cniVersion: '1.1.0',
  name: 'pod-network',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.244.0.0/24' }], [{ subnet: 'fd50:6174:6368:244::/64' }]]
      }
    },
    PORTMAP,
    BANDWIDTH,
    { type: 'firewall' }
  ]
}

/** As nerdctl itself writes it for its default network. */
const NERDCTL: NetworkConfig & { readonly nerdctlID: string; readonly nerdctlLabels: object } = {
  cniVersion: '1.0.0',
  name: 'bridge',
  nerdctlID: '17f29b073143d8cd97b5bbe492bdeffec1c5fee55cc1fe2112c8b9335f8b6121',
  nerdctlLabels: { 'nerdctl/default-network': 'true' },
  plugins: [
    {
      type: 'bridge',
      bridge: 'nerdctl0',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        ranges: [[{ gateway: '10.4.0.1', subnet: '10.4.0.0/24' }]],
        routes: [DEFAULT_ROUTE],
        type: 'host-local'
      }
    },
    PORTMAP,
    { type: 'firewall', ingressPolicy: 'same-bridge' },
    { type: 'tuning' }
  ]
}

/** As podman itself writes it for its default network. */
const PODMAN: NetworkConfig = {
  cniVersion: '0.4.0',
  name: 'podman',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni-podman0',
      isGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.88.0.0/16', gateway: '10.88.0.1' }]],
        routes: [DEFAULT_ROUTE]
      }
    },
    PORTMAP,
    { type: 'firewall' },
    { type: 'tuning' }
  ]
}

export const RUNTIMES: readonly RuntimeTarget[] = [
  {
    name: 'containerd',
    binDir: '/opt/cni/bin',
    confDir: CONF_DIR,
    fileName: '10-containerd-net.conflist',
    document: 'containerd.conflist',
    config: CONTAINERD,
    hint: 'containerd reads it at once; running pods keep the network they have',
    subnetHint: '',
    namesHint:
      'ctr writes no resolv.conf: mount one with "nameserver 127.0.0.11"; of pods kubelet or the CRI client writes it'
  },
  {
    name: 'kubelet',
    binDir: '/opt/cni/bin',
    confDir: CONF_DIR,
    fileName: '10-pod-network.conflist',
    document: 'kubelet-dual-stack.conflist',
    config: KUBELET,
    hint: '',
    subnetHint:
      "give each node its own subnets: write the node's podCIDRs in place of 10.244.0.0/24 and fd50:6174:6368:244::/64",
    namesHint: ''
  },
  {
    name: 'nerdctl',
    binDir: '/opt/cni/bin',
    confDir: CONF_DIR,
    fileName: 'nerdctl-bridge.conflist',
    document: 'nerdctl.conflist',
    config: NERDCTL,
    hint: 'nerdctl uses it with the next container',
    subnetHint: '',
    namesHint: 'run containers with --dns 127.0.0.11: nerdctl does not look at what a network says of it'
  },
  {
    name: 'podman',
    binDir: '/usr/local/libexec/cni',
    confDir: CONF_DIR,
    fileName: '87-podman.conflist',
    document: 'podman.conflist',
    config: PODMAN,
    hint: 'podman 4 uses CNI when containers.conf says network_backend = "cni"; podman 5 no longer can',
    subnetHint: '',
    namesHint: 'podman writes the containers’ resolv.conf from it'
  }
]

/** The network with names: the same chain, and the plugin dns at its end. */
export function withNames(config: NetworkConfig): NetworkConfig {
  return { ...config, plugins: [...config.plugins, DNS] }
}

/** The file of docs/runtimes with names. */
export function namesDocument(document: string): string {
  return document.replace(/\.conflist$/, '-names.conflist')
}
