/** The commands that look at the host and at what is wrong with it: rows of the table of commands. */
import { AGENT_SOCKET, CACHE_DIR, CONF_DIR, DRY_RUN, JSON_OUT, PLACE, RUN_DIR, STATE_DIR } from './common-options.ts'
import type { CommandSpec, OptionSpec } from './spec.ts'
import { SORT_KEYS } from './top/sort-keys.ts'

const CLUSTER: OptionSpec = { flags: '--cluster', summary: 'also what etcd knows of the other hosts' }
const LOOKING = 'Seeing and mending'

const NETNS = {
  flags: '--netns PATH',
  summary: 'look at the networks of this namespace: of a container that has containers',
  words: 'file'
} as const

const AGENT_CONFIG = {
  flags: '--config FILE',
  summary: "the agent's configuration, which names etcd (/etc/patchbay/agent.json)",
  words: 'file'
} as const

/** Where everything is that the whole of a host's networks is read from. */
const EVERYWHERE = [NETNS, AGENT_CONFIG, AGENT_SOCKET, ...PLACE, STATE_DIR]

const INTERVAL = '--interval SECONDS'

const RECORDS = [CONF_DIR, CACHE_DIR, STATE_DIR]

export const LOOKING_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'map',
    heading: LOOKING,
    summary: "draw the host's container networks",
    description:
      'Containers of any runtime and plugins of any vendor: what is drawn is what the kernel has. Records of CNI and of the ' +
      'plugins here add names, ports and networks. Without root, only what the kernel shows to anybody.',
    options: [
      { flags: '--all', summary: 'also namespaces that no wire leads to' },
      { flags: '--ascii', summary: 'no other characters (as where the locale is not UTF-8)' },
      { flags: '--svg FILE', summary: 'write a picture', words: 'file' },
      { flags: '--html FILE', summary: 'write a page with search and details, which needs no network', words: 'file' },
      { flags: '--dot', summary: 'a graph for Graphviz' },
      { ...JSON_OUT, summary: 'everything that was read, as docs/view.schema.json describes it' },
      CLUSTER,
      AGENT_CONFIG,
      AGENT_SOCKET,
      NETNS,
      ...RECORDS
    ],
    examples: [
      { line: 'patchbay map', effect: 'in the terminal' },
      { line: 'patchbay map --html networks.html', effect: 'for a browser, or for somebody else' },
      { line: 'patchbay map --dot | dot -Tpdf > networks.pdf', effect: 'by Graphviz' }
    ],
    run: async call => (await import('./map/map.ts')).map(call)
  },
  {
    name: 'ui',
    heading: LOOKING,
    summary: 'show the same map live, in a browser',
    description:
      'Containers as they come and go, traffic, ports, names, services, and what doctor finds. It changes nothing. The address that ' +
      'it prints has a secret in it: who knows it may look. It goes on until Ctrl-C.',
    options: [
      { flags: '--listen WHERE', summary: 'ADDRESS:PORT or unix:PATH (127.0.0.1:4878)' },
      { flags: INTERVAL, summary: 'between two readings (1)' },
      CLUSTER,
      { ...JSON_OUT, summary: 'the address as JSON' },
      ...EVERYWHERE
    ],
    examples: [
      { line: 'patchbay ui', effect: 'for a browser of this host' },
      { line: 'patchbay ui --cluster', effect: 'with the containers of the other hosts' },
      { line: 'patchbay ui --listen unix:/run/patchbay/ui.sock', effect: 'for root alone, and for ssh -L' }
    ],
    run: async call => (await import('./ui/ui.ts')).ui(call)
  },
  {
    name: 'doctor',
    heading: LOOKING,
    summary: 'find what is wrong with container networks, and say what to do',
    description:
      'Exit status: 0 nothing wrong, 1 warnings, 2 errors, as monitoring reads it. --fix does what can harm nothing that ' +
      'works, and says each before it is done.',
    options: [
      { flags: '--fix', summary: 'do what is safe' },
      { ...DRY_RUN, summary: 'with --fix: say what it would do' },
      { flags: '--check NAME', summary: 'only this check', isMany: true },
      { flags: '-o, --output FORMAT', summary: 'how it is shown', choices: ['text', 'json'] },
      JSON_OUT,
      ...EVERYWHERE
    ],
    examples: [
      { line: 'patchbay doctor', effect: 'everything' },
      { line: 'patchbay doctor --check forwarding --check mtu -o json', effect: 'two checks, for programs' },
      { line: 'patchbay doctor --fix', effect: 'and mend what is safe to mend' }
    ],
    run: async call => (await import('./doctor/doctor.ts')).doctor(call)
  },
  {
    name: 'trace',
    heading: LOOKING,
    summary: 'send one packet, tell its way, where it ended and why',
    description:
      'FROM and TO: a container by name, id, process or namespace; `host`; an address. Without a port it is a ping, with one ' +
      'a TCP SYN. From an address that nobody here has, the packet is put in at the interface that leads there, as if it had ' +
      'come from outside. Every interface that sees it is told, every rule that judges it, every translation, and the way of ' +
      'the answer. Nothing is left behind. Exit status: 0 reached, 1 not.',
    arguments: [
      { name: 'FROM', words: 'container' },
      { name: 'TO[:PORT]', words: 'container' }
    ],
    options: [
      { flags: '--udp', summary: 'a UDP datagram instead of a TCP SYN' },
      {
        flags: '--count N',
        summary: 'so many packets, each a connection of its own; those that go one way are told once'
      },
      { flags: '--size BYTES', summary: 'how large the packet is, with its IP header; it must not be fragmented' },
      { flags: '--wait SECONDS', summary: 'how long nothing may happen before it counts as lost (1)' },
      { flags: '--in INTERFACE', summary: 'where a packet from outside comes in', words: 'interface' },
      { ...DRY_RUN, summary: 'say what would be sent, and send nothing' },
      { flags: '-o, --output FORMAT', summary: 'how it is shown', choices: ['text', 'json'] },
      JSON_OUT,
      NETNS,
      ...PLACE,
      STATE_DIR,
      RUN_DIR
    ],
    examples: [
      { line: 'patchbay trace web db:5432', effect: 'may web connect to port 5432 of db?' },
      { line: 'patchbay trace web 1.1.1.1', effect: 'does web get out?' },
      { line: 'patchbay trace 198.51.100.7 host:8080', effect: 'does a published port get in?' },
      { line: 'patchbay trace web db --size 1500', effect: 'do large packets arrive?' }
    ],
    run: async call => (await import('./trace/trace.ts')).trace(call)
  },
  {
    name: 'top',
    heading: LOOKING,
    summary: 'show who receives and sends how much, now',
    description:
      'On a terminal it goes on until q. Received and sent are as the container sees it; connections are those that the ' +
      "kernel follows for it. The agent's /metrics has the counters for Prometheus.",
    options: [
      { flags: '--by WHAT', summary: 'what a line is (container)', choices: ['container', 'network', 'port'] },
      { flags: '--sort COLUMN', summary: 'by which column (rx)', choices: SORT_KEYS },
      { flags: INTERVAL, summary: 'over how long rates are taken (1)' },
      { flags: '--once', summary: 'one table' },
      { flags: '-o, --output FORMAT', summary: 'how it is shown; json is once', choices: ['text', 'json'] },
      JSON_OUT,
      ...RECORDS
    ],
    examples: [
      { line: 'patchbay top', effect: 'until q' },
      { line: 'patchbay top --by network --once', effect: 'one table' },
      { line: 'patchbay top --once -o json --interval 10', effect: 'rates over ten seconds, for scripts' }
    ],
    run: async call => (await import('./top/top.ts')).top(call)
  }
]
