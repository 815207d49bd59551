/** The part of the table that is about containers which `run` starts. */
import {
  AGENT_SOCKET,
  CONTAINER_WORDS,
  DRY_RUN,
  ENDPOINT,
  FORMAT,
  JSON_OUT,
  LINK,
  OUTPUT,
  PLACE,
  QUIET,
  RUN_DIR
} from '../common-options.ts'
import type { CommandSpec, OptionSpec } from '../spec.ts'

const CONTAINERS = 'Containers'

/** Docker's tutorials give both to every shell. */
const TERMINAL: readonly OptionSpec[] = [
  { flags: '-i, --interactive', summary: 'its standard input stays open, in the background too' },
  { flags: '-t, --tty', summary: 'accepted for compatibility: it has the terminal that it is started from' }
]
const ENV: OptionSpec = { flags: '-e, --env KEY=VALUE', summary: 'an environment variable', isMany: true }
const TIME: OptionSpec = { flags: '-t, --time SECONDS', summary: 'until it is killed (10)' }
const WORKDIR: OptionSpec = { flags: '-w, --workdir DIR', summary: 'where it starts', words: 'directory' }

export const CONTAINER_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'run',
    containers: 'needed',
    heading: CONTAINERS,
    summary: 'start a command of this host in a network of its own',
    description:
      'The command sees the files of this host, with its own network, host name, /etc/hosts and /etc/resolv.conf. Options come ' +
      'before COMMAND. A process of patchbay waits for its end and then takes it off its networks.',
    arguments: [{ name: 'COMMAND', isMany: true }],
    passesThrough: true,
    options: [
      { flags: '--name NAME', summary: 'how it is called (made up otherwise)' },
      { flags: '-d, --detach', summary: 'in the background; its output goes to its log' },
      ...TERMINAL,
      {
        flags: '--network NET[,ip=A]',
        alsoCalled: ['--net'],
        summary:
          'a network, host, none, or container:NAME (bridge); also ip6=, mac-address=, alias=, ifname=, gw-priority=',
        isMany: true,
        words: 'network'
      },
      ...ENDPOINT,
      {
        flags: '--network-alias NAME',
        alsoCalled: ['--net-alias'],
        summary: 'another name for it on its network',
        isMany: true
      },
      { flags: '-p, --publish PORTS', summary: 'publish ports: [[ADDRESS:]HOSTPORT:]PORT[/udp]', isMany: true },
      { flags: '-P, --publish-all', summary: 'publish what --expose names on free ports' },
      { flags: '--expose PORT', summary: 'a port that the command listens on', isMany: true },
      { flags: '-h, --hostname NAME', summary: 'its host name (its name)' },
      { flags: '--domainname NAME', summary: 'the domain behind its host name' },
      { flags: '--dns ADDRESS', summary: 'a name server', isMany: true },
      { flags: '--dns-search DOMAIN', summary: 'a domain that names are looked for in', isMany: true },
      { flags: '--dns-option OPTION', alsoCalled: ['--dns-opt'], summary: 'an option of resolv.conf', isMany: true },
      { flags: '--add-host NAME:ADDRESS', summary: 'a name that it knows; host-gateway is the host', isMany: true },
      LINK,
      ENV,
      WORKDIR,
      { flags: '--rm', summary: 'keep nothing of it when it has ended' },
      DRY_RUN,
      JSON_OUT,
      ...PLACE,
      RUN_DIR
    ],
    examples: [
      { line: 'patchbay run --rm --network blue ip address', effect: 'what a container there has' },
      {
        line: 'patchbay run -d --name web --network blue -p 8080:80 python3 -m http.server 80',
        effect: 'a server whose port 80 is the host’s 8080'
      },
      { line: 'patchbay run --network container:web ss -tln', effect: 'in the network of another one' }
    ],
    run: async call => (await import('./run.ts')).run(call)
  },
  {
    name: 'ps',
    containers: 'needed',
    heading: CONTAINERS,
    summary: 'show the containers that run has started',
    options: [
      { flags: '-a, --all', summary: 'those that have ended too' },
      { flags: '-l, --latest', summary: 'the one that was started last, running or not' },
      { flags: '-n, --last N', summary: 'as many that were started last, running or not' },
      {
        flags: '-f, --filter KEY=VALUE',
        summary:
          'only those with this name or its beginning (id), network, status (running, exited), exited=STATUS or publish=PORT',
        isMany: true
      },
      { flags: '--no-trunc', summary: 'whole commands' },
      QUIET,
      FORMAT,
      { ...OUTPUT, flags: '-o, --output FORMAT' },
      JSON_OUT,
      ...PLACE,
      RUN_DIR
    ],
    examples: [{ line: "patchbay ps -a --format '{{.Name}} {{.Status}}'", effect: 'all, as you like it' }],
    run: async call => (await import('./ps.ts')).ps(call)
  },
  {
    name: 'exec',
    containers: 'needed',
    heading: CONTAINERS,
    summary: 'start one more command in the network of a container',
    description: `In a container of run with its files and host name, too. ${CONTAINER_WORDS}`,
    arguments: [
      { name: 'CONTAINER', words: 'container' },
      { name: 'COMMAND', isMany: true }
    ],
    passesThrough: true,
    options: [
      ...TERMINAL,
      { flags: '-d, --detach', summary: 'without waiting for its end; its output is dropped' },
      ENV,
      WORKDIR,
      ...PLACE,
      RUN_DIR
    ],
    examples: [
      { line: 'patchbay exec web ip route', effect: 'its routes' },
      { line: 'patchbay exec -it web sh', effect: 'a shell in its network' }
    ],
    run: async call => (await import('./verbs.ts')).exec(call)
  },
  {
    name: 'inspect',
    containers: 'shown',
    heading: CONTAINERS,
    summary: 'show everything about the network of containers',
    description: `In the words of docker inspect. A word that is no container's may be a network's. ${CONTAINER_WORDS}`,
    arguments: [{ name: 'CONTAINER', isMany: true, words: 'container' }],
    options: [
      {
        flags: '-f, --format TEMPLATE',
        summary: "a template, such as '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'"
      },
      { flags: '--type TYPE', summary: 'which of the two', choices: ['container', 'network'] },
      { flags: '-o, --output FORMAT', summary: 'how it is shown', choices: ['json', 'yaml'] },
      JSON_OUT,
      ...PLACE,
      RUN_DIR,
      AGENT_SOCKET
    ],
    examples: [
      { line: 'patchbay inspect web', effect: 'its state, networks, addresses and ports' },
      { line: "patchbay inspect -f '{{json .NetworkSettings.Ports}}' web", effect: 'its published ports' }
    ],
    run: async call => (await import('../container-inspect.ts')).inspect(call)
  },
  {
    name: 'logs',
    containers: 'needed',
    heading: CONTAINERS,
    summary: 'show what a container in the background has written',
    arguments: [{ name: 'CONTAINER', words: 'container' }],
    options: [
      { flags: '-f, --follow', summary: 'and what it writes until it ends' },
      { flags: '-n, --tail LINES', summary: 'only the last lines (all)' },
      ...PLACE,
      RUN_DIR
    ],
    examples: [{ line: 'patchbay logs -f web', effect: 'as it comes' }],
    run: async call => (await import('./verbs.ts')).logs(call)
  },
  {
    name: 'stop',
    containers: 'needed',
    mayTakeLong: true,
    heading: CONTAINERS,
    summary: 'end containers of run',
    arguments: [{ name: 'CONTAINER', isMany: true, words: 'container' }],
    options: [TIME, DRY_RUN, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [{ line: 'patchbay stop web', effect: 'and its networks are left' }],
    run: async call => (await import('./verbs.ts')).stop(call)
  },
  {
    name: 'start',
    containers: 'needed',
    mayTakeLong: true,
    heading: CONTAINERS,
    summary: 'start containers of run that have ended once more',
    description:
      'In the background, as they were asked for, on the networks that they were on when they ended; what they write goes to ' +
      'their logs.',
    arguments: [{ name: 'CONTAINER', isMany: true, words: 'container' }],
    options: [DRY_RUN, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [{ line: 'patchbay start web', effect: 'its ports and names are there again' }],
    run: async call => (await import('./again.ts')).start(call)
  },
  {
    name: 'restart',
    containers: 'needed',
    mayTakeLong: true,
    heading: CONTAINERS,
    summary: 'end containers of run and start them once more',
    arguments: [{ name: 'CONTAINER', isMany: true, words: 'container' }],
    options: [TIME, DRY_RUN, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [{ line: 'patchbay restart -t 1 web', effect: 'whether it runs or has ended' }],
    run: async call => (await import('./again.ts')).restart(call)
  },
  {
    name: 'kill',
    containers: 'needed',
    heading: CONTAINERS,
    summary: 'send a signal to containers of run',
    arguments: [{ name: 'CONTAINER', isMany: true, words: 'container' }],
    options: [{ flags: '-s, --signal SIGNAL', summary: 'which (KILL)' }, DRY_RUN, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [{ line: 'patchbay kill -s HUP web', effect: 'it reads its configuration again' }],
    run: async call => (await import('./verbs.ts')).kill(call)
  },
  {
    name: 'rm',
    containers: 'needed',
    mayTakeLong: true,
    heading: CONTAINERS,
    summary: 'forget containers of run that have ended',
    arguments: [{ name: 'CONTAINER', isMany: true, words: 'container' }],
    options: [{ flags: '-f, --force', summary: 'kill those that run' }, DRY_RUN, JSON_OUT, ...PLACE, RUN_DIR],
    examples: [{ line: 'patchbay rm -f web', effect: 'whatever it is doing' }],
    run: async call => (await import('./verbs.ts')).remove(call)
  },
  {
    name: 'port',
    containers: 'needed',
    heading: CONTAINERS,
    summary: 'show the published ports of a container',
    description: CONTAINER_WORDS,
    arguments: [
      { name: 'CONTAINER', words: 'container' },
      { name: 'PORT', isOptional: true }
    ],
    options: [JSON_OUT, ...PLACE, RUN_DIR],
    examples: [{ line: 'patchbay port web 80', effect: 'where its port 80 is on the host' }],
    run: async call => (await import('./verbs.ts')).port(call)
  }
]
