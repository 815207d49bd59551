/**
 * The table of commands: parsing, help, completion, man pages and docs/commands.md come from here. (`man`, which shows the
 * table, is added in cli/command-line.ts.)
 */
import {
  AGENT_SOCKET,
  ARGS,
  CAP,
  CONF_DIR,
  CONTAINER,
  CONTAINER_WORDS,
  DRY_RUN,
  ENDPOINT,
  FORMAT,
  ID,
  IFNAME,
  JSON_OUT,
  LINK,
  NAMES,
  NETWORK,
  OUTPUT,
  PLACE,
  QUIET,
  RUN_DIR
} from './common-options.ts'
import { DRIVER_NAMES, IPAM_DRIVERS } from './driver-names.ts'
import { LOOKING_COMMANDS } from './looking-commands.ts'
import { CONTAINER_COMMANDS } from './run/commands.ts'
import { RUNTIMES } from './runtime-config.ts'
import { SERVICE_COMMANDS, SERVICES } from './service/commands.ts'
import type { CommandSpec, ProgramSpec } from './spec.ts'

const NETWORKS = 'Networks'
const ATTACHMENTS = 'Attachments'
const DAEMONS = 'Daemons'
const HOST = 'This host'

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'network create',
    mayTakeLong: true,
    heading: NETWORKS,
    summary: 'make a network',
    description:
      'Without --subnet a free one is chosen. Driver options (-o) have the names that Docker gives them, or short: mtu, ' +
      'bridge, icc, ip-masq; for macvlan and ipvlan: parent, mode; for overlay: vni. A network of driver overlay is on every host ' +
      'of the cluster; it needs patchbay agent.',
    arguments: [{ name: 'NAME' }],
    options: [
      {
        flags: '-d, --driver DRIVER',
        summary: 'what makes the interfaces (bridge)',
        suggestions: DRIVER_NAMES
      },
      { flags: '--subnet PREFIX', summary: 'where addresses come from', isMany: true },
      { flags: '--gateway ADDRESS', summary: "the host's address in a subnet (its first)", isMany: true },
      { flags: '--ip-range PREFIX', summary: 'the part of a subnet that containers get', isMany: true },
      { flags: '--aux-address NAME=ADDRESS', summary: 'an address that no container gets', isMany: true },
      { flags: '--allow-overlap', summary: 'a subnet may be that of another network, interface or route' },
      { flags: '--ipam-driver DRIVER', summary: 'who gives addresses (host-local)', suggestions: IPAM_DRIVERS },
      { flags: '--ipv6', summary: 'an IPv6 subnet too' },
      { flags: '--internal', summary: 'no way out of the network' },
      { flags: '--encrypted', summary: 'driver overlay: nothing of it goes to other hosts in clear' },
      { flags: '--no-dns', summary: 'containers are not found by name' },
      { flags: '-o, --opt KEY=VALUE', summary: 'an option of the driver', isMany: true },
      { flags: '--label KEY=VALUE', summary: 'something to find the network by', isMany: true },
      { flags: '--scope SCOPE', summary: 'where it is known', choices: ['local', 'cluster'] },
      { flags: '--attachable', summary: 'accepted for compatibility: every network is' },
      DRY_RUN,
      JSON_OUT,
      ...PLACE,
      AGENT_SOCKET
    ],
    examples: [
      { line: 'patchbay network create blue', effect: 'a bridge network with a free subnet' },
      {
        line: 'patchbay network create --subnet 10.5.0.0/24 --ip-range 10.5.0.128/25 \\\n    --aux-address printer=10.5.0.200 web',
        effect: 'addresses from the upper half only, and never the printer address'
      },
      {
        line: 'patchbay network create -d macvlan -o parent=eth0 \\\n    --subnet 192.168.1.0/24 --ip-range 192.168.1.240/28 lan',
        effect: 'containers as neighbours of the host on its own network'
      },
      { line: 'patchbay network create -d overlay --subnet 10.42.0.0/16 all', effect: 'one network on all hosts' },
      { line: 'patchbay network create -d overlay --encrypted vault', effect: 'the same by WireGuard' }
    ],
    run: async call => (await import('./network-create.ts')).create(call)
  },
  {
    name: 'network ls',
    aliases: ['list'],
    containers: 'shown',
    heading: NETWORKS,
    summary: 'show the networks',
    options: [
      {
        flags: '-f, --filter KEY=VALUE',
        summary: 'only those with this driver, id, label, name, scope, type (builtin, custom), or dangling=true',
        isMany: true
      },
      QUIET,
      { flags: '--no-trunc', summary: 'whole ids' },
      FORMAT,
      { ...OUTPUT, flags: '-o, --output FORMAT' },
      JSON_OUT,
      ...PLACE,
      AGENT_SOCKET
    ],
    examples: [
      { line: 'patchbay network ls', effect: 'all of them' },
      {
        line: 'patchbay network ls -f driver=bridge -f dangling=true -q',
        effect: 'bridge networks without containers'
      },
      { line: "patchbay network ls --format '{{.Name}}\\t{{.Subnets}}'", effect: 'columns of your own' }
    ],
    run: async call => (await import('./network-show.ts')).list(call)
  },
  {
    name: 'network inspect',
    containers: 'shown',
    heading: NETWORKS,
    summary: 'show everything about networks and who is on them',
    arguments: [{ ...NETWORK, isMany: true }],
    options: [
      { flags: '-f, --format TEMPLATE', summary: "a template, such as '{{.IPAM.Config.0.Subnet}}'" },
      { flags: '-v, --verbose', summary: 'services too' },
      { flags: '-o, --output FORMAT', summary: 'how it is shown', choices: ['json', 'yaml'] },
      JSON_OUT,
      ...PLACE,
      AGENT_SOCKET
    ],
    examples: [
      { line: 'patchbay network inspect blue', effect: 'as JSON, in the words of docker network inspect' },
      {
        line: "patchbay network inspect -f '{{range .Containers}}{{.Name}} {{end}}' blue",
        effect: 'who is on it'
      }
    ],
    run: async call => (await import('./network-inspect.ts')).inspect(call)
  },
  {
    name: 'network connect',
    containers: 'needed',
    mayTakeLong: true,
    heading: NETWORKS,
    summary: 'attach a running container to one more network',
    description: CONTAINER_WORDS,
    arguments: [NETWORK, CONTAINER],
    options: [
      ...NAMES,
      ...ENDPOINT,
      { ...IFNAME, summary: "the interface's name in the container (the first free of eth0, eth1 ...)" },
      {
        flags: '--gw-priority N',
        summary: 'the network with the highest has the default route (0)'
      },
      LINK,
      { flags: '--driver-opt KEY=VALUE', summary: 'com.docker.network.endpoint.ifname is --ifname', isMany: true },
      { flags: '-p, --publish PORTS', summary: 'publish ports of it, as run does', isMany: true },
      ID,
      DRY_RUN,
      JSON_OUT,
      ...PLACE,
      RUN_DIR
    ],
    examples: [
      { line: 'patchbay network connect blue 4711', effect: 'the container that process 4711 is in' },
      { line: 'patchbay network connect --ip 10.5.0.9 blue web', effect: 'with an address of its own choice' },
      {
        line: 'patchbay network connect --alias db blue 4f2a9c',
        effect: 'a container of podman, nerdctl or a pod, by the beginning of its id'
      }
    ],
    run: async call => (await import('./network-connect.ts')).connect(call)
  },
  {
    name: 'network disconnect',
    containers: 'needed',
    mayTakeLong: true,
    heading: NETWORKS,
    summary: 'take a container off a network',
    description: CONTAINER_WORDS,
    arguments: [NETWORK, CONTAINER],
    options: [
      { ...IFNAME, summary: 'only this interface (all that it has on the network)' },
      ID,
      { flags: '-f, --force', summary: 'accepted for compatibility: containers that are gone need no force' },
      DRY_RUN,
      JSON_OUT,
      ...PLACE,
      RUN_DIR
    ],
    examples: [{ line: 'patchbay network disconnect blue 4711', effect: 'all its interfaces on the network go' }],
    run: async call => (await import('./network-connect.ts')).disconnect(call)
  },
  {
    name: 'network rm',
    aliases: ['remove'],
    containers: 'needed',
    mayTakeLong: true,
    heading: NETWORKS,
    summary: 'remove networks that no container is on',
    arguments: [{ ...NETWORK, isMany: true }],
    options: [
      { flags: '-f, --force', summary: 'detach its containers first; remove it even where a plugin is missing' },
      DRY_RUN,
      JSON_OUT,
      ...PLACE,
      AGENT_SOCKET
    ],
    examples: [{ line: 'patchbay network rm blue green', effect: 'both; one that fails does not keep the other' }],
    run: async call => (await import('./network-remove.ts')).remove(call)
  },
  {
    name: 'network prune',
    containers: 'needed',
    heading: NETWORKS,
    summary: 'remove the networks made here that no container is on',
    options: [
      {
        flags: '--filter KEY=VALUE',
        summary: 'only those with label=KEY[=VALUE], label!=KEY, or made before until=24h',
        isMany: true
      },
      { flags: '-f, --force', summary: 'without asking' },
      DRY_RUN,
      JSON_OUT,
      ...PLACE,
      AGENT_SOCKET
    ],
    examples: [{ line: 'patchbay network prune --dry-run', effect: 'which they are' }],
    run: async call => (await import('./network-prune.ts')).prune(call)
  },
  ...SERVICE_COMMANDS,
  ...CONTAINER_COMMANDS,
  {
    name: 'attach',
    containers: 'needed',
    mayTakeLong: true,
    heading: ATTACHMENTS,
    summary: 'attach a container to a network',
    description: `As a runtime does it, with the arguments that plugins take. ${CONTAINER_WORDS}`,
    arguments: [NETWORK, CONTAINER],
    options: [...NAMES, IFNAME, ID, ARGS, CAP, DRY_RUN, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [
      { line: 'patchbay attach blue /run/netns/web', effect: 'as eth0' },
      {
        line: `patchbay attach blue 4711 \\
    --cap 'portMappings=[{"hostPort":8080,"containerPort":80}]'`,
        effect: 'with a port published on the host'
      }
    ],
    run: async call => (await import('./attachment.ts')).attach(call)
  },
  {
    name: 'detach',
    containers: 'needed',
    mayTakeLong: true,
    heading: ATTACHMENTS,
    summary: 'detach it; repeating is no error',
    description: CONTAINER_WORDS,
    arguments: [NETWORK, { ...CONTAINER, isOptional: true }],
    options: [IFNAME, ID, ARGS, CAP, DRY_RUN, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [
      { line: 'patchbay detach blue 4711', effect: 'its eth0 goes' },
      { line: 'patchbay detach blue --container-id web', effect: 'by id alone, when the container is gone' }
    ],
    run: async call => (await import('./attachment.ts')).detach(call)
  },
  {
    name: 'check',
    containers: 'needed',
    mayTakeLong: true,
    heading: ATTACHMENTS,
    summary: 'compare an attachment with what it should be',
    description: CONTAINER_WORDS,
    arguments: [NETWORK, CONTAINER],
    options: [IFNAME, ID, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [{ line: 'patchbay check blue web', effect: 'fails, and says what differs' }],
    run: async call => (await import('./attachment.ts')).check(call)
  },
  {
    name: 'status',
    mayTakeLong: true,
    heading: ATTACHMENTS,
    summary: 'ask whether a container could be attached now',
    arguments: [NETWORK],
    options: [JSON_OUT, ...PLACE],
    examples: [{ line: 'patchbay status blue', effect: 'fails while it could not' }],
    run: async call => (await import('./attachment.ts')).status(call)
  },
  {
    name: 'gc',
    containers: 'needed',
    mayTakeLong: true,
    heading: ATTACHMENTS,
    summary: 'remove what is left of containers that are gone',
    description:
      'A container is there as long as its namespace is: as long as a process or a mount holds it, whichever process it ' +
      'was named by.',
    arguments: [NETWORK],
    options: [
      { flags: '--keep ID[:IFNAME]', summary: 'one more to keep (its eth0)', isMany: true },
      { flags: '--all', summary: 'keep nothing, not even what lives' },
      DRY_RUN,
      JSON_OUT,
      ...PLACE
    ],
    examples: [{ line: 'patchbay gc blue', effect: 'after a crash' }],
    run: async call => (await import('./attachment.ts')).gc(call)
  },
  ...LOOKING_COMMANDS,
  {
    name: 'install',
    mayTakeLong: true,
    heading: HOST,
    summary: 'put the plugins where runtimes look for them',
    arguments: [{ name: 'DIR', isOptional: true, words: 'directory' }],
    options: [
      {
        flags: '--runtime NAME',
        summary: 'a network for this runtime too',
        choices: RUNTIMES.map(one => one.name)
      },
      { flags: '--conflist FILE', summary: 'this network instead of a ready-made one', words: 'file' },
      {
        flags: '--subnet CIDR',
        summary: "the host's own subnet of that network, one for IPv4 and one for IPv6",
        isMany: true
      },
      { flags: '--subnet-file FILE', summary: 'the same from a file', words: 'file' },
      {
        flags: '--names',
        summary: "with names: the plugin dns in the runtime's network, and the agent's systemd units"
      },
      { flags: '--unit-dir DIR', summary: 'where the units go (/etc/systemd/system)', words: 'directory' },
      { flags: '--engine ENGINE', summary: 'which build (native where there is one)', choices: ['native', 'node'] },
      { flags: '--force', summary: "replace somebody else's files, which are kept in .before-patchbay" },
      { flags: '--verify', summary: 'compare what is there by checksum instead; 1 when something differs' },
      { flags: '--stay', summary: 'run on until stopped, as a container of a DaemonSet must' },
      DRY_RUN,
      JSON_OUT,
      CONF_DIR
    ],
    examples: [
      { line: 'patchbay install --runtime containerd --dry-run', effect: 'what would be written where' },
      { line: 'patchbay install --runtime podman --names', effect: 'containers find each other by name, too' },
      { line: 'patchbay install /usr/lib/cni', effect: 'the plugins alone, somewhere else' }
    ],
    run: async call => (await import('./install.ts')).install(call)
  },
  {
    name: 'uninstall',
    heading: HOST,
    summary: 'take away what install has put there, and put back what that replaced',
    description:
      'Refused while containers are attached, which these plugins alone can detach, and while the agent runs. What was changed ' +
      'since stays.',
    arguments: [{ name: 'DIR', isOptional: true, words: 'directory' }],
    options: [
      {
        flags: '--runtime NAME',
        summary: "this runtime's places alone",
        choices: RUNTIMES.map(one => one.name)
      },
      {
        flags: '--purge',
        summary: 'with state, keys, the configuration of the agent, and networks that were made here'
      },
      { flags: '--unit-dir DIR', summary: "where the agent's units are (/etc/systemd/system)", words: 'directory' },
      { flags: '--force', summary: 'although containers are attached, or the agent runs' },
      DRY_RUN,
      JSON_OUT,
      CONF_DIR
    ],
    examples: [
      { line: 'patchbay uninstall --dry-run', effect: 'what would be removed, restored and left' },
      { line: 'patchbay uninstall --purge', effect: 'nothing of it is left on this host' }
    ],
    run: async call => (await import('./uninstall.ts')).uninstall(call)
  },
  {
    name: 'completion',
    heading: HOST,
    summary: 'print what completes command lines in a shell',
    arguments: [{ name: 'SHELL', choices: ['bash', 'zsh', 'fish'] }],
    examples: [
      { line: 'source <(patchbay completion bash)', effect: 'in ~/.bashrc' },
      { line: 'patchbay completion zsh > ~/.zfunc/_patchbay', effect: 'once; ~/.zfunc is in fpath' },
      { line: 'patchbay completion fish > ~/.config/fish/completions/patchbay.fish', effect: 'once' }
    ],
    run: async call => (await import('./completion-scripts.ts')).completion(call)
  },
  {
    name: 'version',
    heading: HOST,
    summary: 'show versions and plugins',
    options: [JSON_OUT],
    examples: [{ line: 'patchbay version --json', effect: 'for programs' }],
    run: async call => (await import('./version.ts')).version(call)
  }
]

export const GROUPS = [
  { name: 'network', heading: NETWORKS, summary: 'make and use networks as with Docker' },
  { name: 'service', heading: SERVICES, summary: 'one name and address for many containers' }
] as const

/** Their own modules read their arguments and say which there are. */
export const PROGRAMS: readonly ProgramSpec[] = [
  {
    name: 'agent',
    heading: DAEMONS,
    summary: 'keep the overlay networks of this host',
    examples: [
      { line: 'patchbay agent --config /etc/patchbay/agent.json', effect: 'as a service' },
      { line: 'patchbay agent trust', effect: 'the hosts of encrypted networks and their keys' },
      { line: 'patchbay agent trust berlin', effect: 'that host was set up anew: its new key is right' }
    ],
    usage: async () => (await import('../agent/main.ts')).USAGE,
    start: async argv => (await import('../agent/main.ts')).runAgent(argv)
  },
  {
    name: 'dhcp',
    heading: DAEMONS,
    summary: 'keep the leases of containers on networks with ipam "dhcp"',
    examples: [{ line: 'patchbay dhcp', effect: 'as a service' }],
    usage: async () => (await import('../dhcp/main.ts')).USAGE,
    start: async argv => (await import('../dhcp/main.ts')).runDhcpDaemon(argv)
  },
  {
    name: 'conformance',
    heading: HOST,
    summary: "judge the plugins of a directory, ours or anybody's",
    examples: [{ line: 'patchbay conformance --plugin-dir /opt/cni/bin', effect: 'every plugin there' }],
    usage: async () => (await import('../conformance/main.ts')).USAGE,
    start: async argv => (await import('../conformance/main.ts')).conformance(argv)
  }
]
