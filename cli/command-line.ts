/** The commands, their help, and running one. */
import { KNOWN_VERSIONS, PATCHBAY_VERSION } from '../lib/cni/version.ts'
import { pluginNames } from '../plugins/start.ts'
import { attach, check, detach, gc, status } from './attachment.ts'
import { install } from './install.ts'
import { NETWORK_HELP, network } from './network.ts'
import { CommandError, jsonLine, type Output, processOutput, reportError } from './output.ts'

interface Command {
  readonly name: string
  readonly form: string
  readonly summary: string
  readonly run: (argv: readonly string[], output: Output) => Promise<number>
}

const COMMANDS: readonly Command[] = [
  {
    name: 'attach',
    form: 'attach NETWORK NETNS [--ifname eth0] [--container-id ID] [--args KEY=VALUE]... [--cap NAME=JSON]...',
    summary: 'attach a container to a network',
    run: attach
  },
  {
    name: 'detach',
    form: 'detach NETWORK NETNS | --container-id ID [--ifname eth0]',
    summary: 'detach it; repeating is no error',
    run: detach
  },
  {
    name: 'check',
    form: 'check NETWORK NETNS [--ifname eth0] [--container-id ID]',
    summary: 'compare an attachment with what it should be',
    run: check
  },
  { name: 'status', form: 'status NETWORK', summary: 'ask whether a container could be attached now', run: status },
  {
    name: 'gc',
    form: 'gc NETWORK [--keep ID[:IFNAME]]... [--all]',
    summary: 'remove what is left of containers that are gone',
    run: gc
  },
  {
    name: 'network',
    form: 'network create | ls | inspect | connect | disconnect | rm',
    summary: 'make and use networks as with Docker',
    run: network
  },
  {
    name: 'agent',
    form: 'agent [--config /etc/patchbay/agent.json]',
    summary: 'keep the overlay networks of this host, as a daemon',
    // Its modules are loaded for it alone: the other commands do without HTTP/2.
    run: async argv => (await import('../agent/main.ts')).runAgent(argv)
  },
  {
    name: 'dhcp',
    form: 'dhcp [-socketpath /run/cni/dhcp.sock] [-statedir /run/patchbay/dhcp] ...',
    summary: 'keep the leases of containers on networks with ipam "dhcp", as a daemon',
    run: async argv => (await import('../dhcp/main.ts')).runDhcpDaemon(argv)
  },
  {
    name: 'conformance',
    form: 'conformance --plugin-dir DIR [--plugin NAME]... [--reference DIR] [--html F] [--json F] [--junit F] [--list]',
    summary: "judge the plugins of a directory, ours or anybody's",
    run: async argv => (await import('../conformance/main.ts')).conformance(argv)
  },
  {
    name: 'install',
    form: 'install [DIR] [--runtime containerd|kubelet|nerdctl|podman] [--engine native|node] [--dry-run] [--force]',
    summary: 'put the plugins where runtimes look for them, and a network for one of them',
    run: install
  },
  { name: 'version', form: 'version', summary: 'show versions and plugins', run: version }
]

const COMMON = `Options of every command:
  --conf-dir DIR    networks (default $NETCONFPATH, else /etc/cni/net.d)
  --bin-dir DIR     plugins (default $CNI_PATH, else /opt/cni/bin); may be repeated
  --cache-dir DIR   what is attached (default /var/lib/cni)
  --json            answers and errors as JSON
NETNS is the path of a network namespace, its name under /run/netns, or the id of a process in it.
`

/**
 * Runs a command line.
 * @param argv without the program's name
 * @returns the exit status: 0 done, 1 failed, 2 when no command was given
 */
export async function runCommandLine(argv: readonly string[], output: Output = processOutput()): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    output[name === undefined ? 'err' : 'out'](helpText())
    return name === undefined ? 2 : 0
  }
  try {
    const command = commandNamed(name === '--version' ? 'version' : name)
    if (rest.includes('--help') || rest.includes('-h')) {
      const forms = command.name === 'network' ? NETWORK_HELP : `patchbay ${command.form}\n  ${command.summary}\n`
      output.out(`${forms}\n${COMMON}`)
      return 0
    }
    return await command.run(rest, output)
  } catch (error) {
    reportError(output, parseArgsError(error), rest.includes('--json'))
    return 1
  }
}

function commandNamed(name: string): Command {
  const command = COMMANDS.find(one => one.name === name)
  if (command !== undefined) return command
  throw new CommandError(`read the command: there is no ${JSON.stringify(name)}`, 'patchbay help shows every command')
}

/** node:util's parseArgs throws TypeErrors with a code; they are the user's mistakes, not ours. */
function parseArgsError(error: unknown): unknown {
  const isUse = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (!isUse) return error
  // Node adds how to pass file names that begin with a dash: nobody wants that here.
  const [cause = ''] = error.message.split('. ')
  return new CommandError(`read the options: ${cause}`, 'patchbay COMMAND --help shows the options')
}

function helpText(): string {
  const width = Math.max(...COMMANDS.map(command => command.name.length))
  const lines = COMMANDS.map(
    command => `  ${command.name.padEnd(width)}  ${command.summary}\n  ${' '.repeat(width)}  patchbay ${command.form}`
  )
  return `Patchbay v${PATCHBAY_VERSION}: container networks by CNI plugins\n\n${lines.join('\n')}\n\n${COMMON}`
}

async function version(argv: readonly string[], output: Output): Promise<number> {
  const plugins = pluginNames()
  if (argv.includes('--json')) output.out(jsonLine({ version: PATCHBAY_VERSION, cniVersions: KNOWN_VERSIONS, plugins }))
  else {
    const lines = [
      `Patchbay v${PATCHBAY_VERSION}`,
      `CNI versions: ${KNOWN_VERSIONS.join(', ')}`,
      `plugins: ${plugins.join(' ')}`
    ]
    output.out(`${lines.join('\n')}\n`)
  }
  return 0
}
