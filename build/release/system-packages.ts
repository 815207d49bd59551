/**
 * The packages of distributions, without the form that dpkg or rpm want them in.
 *
 * `patchbay` brings the command, the engines below /usr/lib/patchbay, the units (nothing is started), manual pages and completion, and
 * lives beside any other CNI plugins. `patchbay-cni` puts the plugins where the distribution's runtimes look for them, in place of
 * containernetworking-plugins: a directory of plugins has one `bridge`.
 */
import type { Built } from './executables.ts'
import {
  below,
  helpTree,
  pluginTree,
  programPluginTree,
  programTree,
  systemTree,
  type Tree,
  together,
  UNITS,
  unitTree
} from './tree.ts'

type Family = 'debian' | 'rpm'

export interface SystemPackage {
  readonly name: string
  readonly summary: string
  /** Lines of at most 75 characters. */
  readonly description: readonly string[]
  readonly depends: Readonly<Record<Family, readonly string[]>>
  /** Packages that it stands for and cannot be beside. */
  readonly standsFor: readonly string[]
  /** Shell commands; for whom the units are known to the running systemd. */
  readonly scripts: Scripts
  /** All but its documents, which each family has elsewhere. */
  readonly tree: (built: Built, family: Family) => Tree | Promise<Tree>
  /** The licences of what is linked into its executables, for its documents. */
  readonly linked: (built: Built) => string | undefined
}

export interface SystemPacking {
  readonly version: string
  /** The time of everything in it, since 1970. */
  readonly seconds: number
  readonly gzipLevel: number
}

interface Scripts {
  /** After it was put in place. */
  readonly installed: readonly string[]
  /** After a newer one took an older one's place. */
  readonly upgraded: readonly string[]
  /** Before it is taken away for good. */
  readonly removing: readonly string[]
  /** After everything of it shall be gone, also what it knew. */
  readonly purged: readonly string[]
}

/** Where the distribution's runtimes look for plugins. */
const PLUGIN_DIR: Readonly<Record<Family, string>> = { debian: 'usr/lib/cni', rpm: 'usr/libexec/cni' }

const NOTHING: Scripts = { installed: [], upgraded: [], removing: [], purged: [] }

const SERVICES = UNITS.filter(name => name.endsWith('.service')).join(' ')

export const SYSTEM_PACKAGES: readonly SystemPackage[] = [
  {
    name: 'patchbay',
    summary: 'container networks: create, connect, look into and mend them',
    description: [
      'The patchbay command makes container networks in the way of Docker, over',
      'CNI, and looks into those of any container runtime. Its agent gives',
      'containers names, services, and networks that span hosts; a DHCP daemon',
      'leases addresses for them. The CNI plugins are included and are put where',
      'a container runtime looks for them by "patchbay install" or by the',
      'package patchbay-cni.'
    ],
    depends: {
      debian: ['libc6 (>= 2.28)', 'libgcc-s1 (>= 3.0) | libgcc1', 'libstdc++6 (>= 8)', 'libatomic1'],
      // Their libraries' symbols, by which every distribution of rpm's names them.
      rpm: ['libc.so.6(GLIBC_2.28)(64bit)', 'libstdc++.so.6(GLIBCXX_3.4.22)(64bit)', 'libatomic.so.1()(64bit)']
    },
    standsFor: [],
    scripts: {
      installed: ['systemctl daemon-reload'],
      // They take over what their predecessors served; callers wait at the sockets meanwhile.
      upgraded: [`systemctl try-restart ${SERVICES}`],
      removing: [`systemctl --no-reload disable --now ${UNITS.join(' ')}`],
      purged: ['rm -rf /var/lib/patchbay']
    },
    tree: async built =>
      together(
        systemTree(together(programTree(built), programPluginTree())),
        below('usr/lib/systemd/system', unitTree('/usr/bin/patchbay')),
        below('usr/share', await helpTree('gzip'))
      ),
    // They lie beside the executables.
    linked: () => undefined
  },
  {
    name: 'patchbay-cni',
    summary: 'CNI plugins in one small file, in place of containernetworking-plugins',
    description: [
      'Plugins by which containerd, CRI-O, podman and nerdctl wire containers:',
      'bridge, macvlan, ipvlan, vlan, ptp, host-device, dummy, tap, vxlan,',
      'portmap, firewall, tuning, bandwidth, sbr, vrf, dns, host-local, static',
      'and dhcp. They know every key of the reference plugins and take over',
      'what those have made.'
    ],
    depends: { debian: [], rpm: [] },
    standsFor: ['containernetworking-plugins'],
    scripts: NOTHING,
    tree: (built, family) => below(PLUGIN_DIR[family], pluginTree(built)),
    linked: built => built.native.licenses
  }
]
