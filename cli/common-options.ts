/** Arguments and options that several commands have. */
import type { OptionSpec } from './spec.ts'

const DIRECTORIES = 'Directories'

/** Which networks, plugins and records a command works with. */
export const CONF_DIR: OptionSpec = {
  flags: '--conf-dir DIR',
  summary: 'networks ($NETCONFPATH, else /etc/cni/net.d)',
  words: 'directory',
  heading: DIRECTORIES
}
export const CACHE_DIR: OptionSpec = {
  flags: '--cache-dir DIR',
  summary: 'what is attached (/var/lib/cni)',
  words: 'directory',
  heading: DIRECTORIES
}
export const PLACE: readonly OptionSpec[] = [
  CONF_DIR,
  {
    flags: '--bin-dir DIR',
    summary: 'plugins ($CNI_PATH, else /opt/cni/bin)',
    isMany: true,
    words: 'directory',
    heading: DIRECTORIES
  },
  CACHE_DIR
]
export const STATE_DIR: OptionSpec = {
  flags: '--state-dir DIR',
  summary: 'what plugins wrote down (/run/patchbay)',
  words: 'directory',
  heading: DIRECTORIES
}
export const AGENT_SOCKET: OptionSpec = {
  flags: '--agent-socket PATH',
  summary: 'the agent (/run/patchbay/agent.sock)',
  words: 'file',
  heading: DIRECTORIES
}
export const RUN_DIR: OptionSpec = {
  flags: '--run-dir DIR',
  summary: 'containers of run (/run/patchbay/containers)',
  words: 'directory',
  heading: DIRECTORIES
}
export const JSON_OUT: OptionSpec = { flags: '--json', summary: 'answers and errors as JSON' }
export const DRY_RUN: OptionSpec = { flags: '--dry-run', summary: 'show what would be done, and do nothing' }
export const QUIET: OptionSpec = { flags: '-q, --quiet', summary: 'names only' }
export const FORMAT: OptionSpec = {
  flags: '--format TEMPLATE',
  summary: "columns (Name,Driver) or a template ('{{.Name}}')"
}
export const OUTPUT: OptionSpec = {
  flags: '--output FORMAT',
  summary: 'how it is shown',
  choices: ['table', 'wide', 'json', 'yaml', 'name']
}

export const ID: OptionSpec = {
  flags: '--container-id ID',
  summary: 'the id it has or gets; otherwise made from its name'
}
export const IFNAME: OptionSpec = { flags: '--ifname NAME', summary: "the interface's name in the container (eth0)" }
/** What the plugin dns is told. */
export const NAMES: readonly OptionSpec[] = [
  { flags: '--name NAME', summary: 'what it is called on the network' },
  { flags: '--alias NAME', summary: 'another name for it, which others may share', isMany: true }
]
/** What is asked of an address. */
export const ENDPOINT: readonly OptionSpec[] = [
  { flags: '--ip ADDRESS', summary: 'the IPv4 address it gets' },
  { flags: '--ip6 ADDRESS', summary: 'the IPv6 address it gets' },
  { flags: '--mac-address MAC', summary: 'the MAC address it gets' },
  { flags: '--link-local-ip ADDRESS', summary: 'refused: the kernel makes it', isMany: true }
]
export const LINK: OptionSpec = {
  flags: '--link NAME[:ALIAS]',
  summary: 'what it calls another container of its network',
  isMany: true,
  words: 'container'
}
export const ARGS: OptionSpec = { flags: '--args KEY=VALUE', summary: 'CNI_ARGS for the plugins', isMany: true }
export const CAP: OptionSpec = {
  flags: '--cap NAME=JSON',
  summary: 'the argument of a capability that a plugin declares',
  isMany: true
}

export const NETWORK = { name: 'NETWORK', words: 'network' } as const
export const CONTAINER = { name: 'CONTAINER', words: 'container' } as const

/** What CONTAINER may be, in the words of every command that takes one. */
export const CONTAINER_WORDS =
  'CONTAINER is the name or id of a container of run, containerd (ctr, nerdctl, CRI) or podman, or the beginning of one; the ' +
  'id of a process; the name of a namespace (ip netns) or its path; or the id under which it was attached. Runtimes are ' +
  'asked at $CONTAINERD_ADDRESS and $CONTAINER_HOST, else at their usual sockets.'
