/** The commands that look at the host and at what is wrong with it: rows of the table of commands. */
import { CACHE_DIR, CONF_DIR, JSON_OUT, STATE_DIR } from './common-options.ts'
import type { CommandSpec } from './spec.ts'

const LOOKING = 'Seeing and mending'

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
      { flags: '--cluster', summary: 'also what etcd knows of the other hosts' },
      { flags: '--config FILE', summary: "the agent's, for --cluster (/etc/patchbay/agent.json)", words: 'file' },
      ...RECORDS
    ],
    examples: [
      { line: 'patchbay map', effect: 'in the terminal' },
      { line: 'patchbay map --html networks.html', effect: 'for a browser, or for somebody else' },
      { line: 'patchbay map --dot | dot -Tpdf > networks.pdf', effect: 'by Graphviz' }
    ],
    run: async call => (await import('./map/map.ts')).map(call)
  }
]
