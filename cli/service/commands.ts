/** The part of the table that is about services. */
import { AGENT_SOCKET, DRY_RUN, FORMAT, JSON_OUT, OUTPUT, QUIET } from '../common-options.ts'
import type { CommandSpec, OptionSpec } from '../spec.ts'

export const SERVICES = 'Services'

const SERVICE = { name: 'SERVICE' } as const
const PUBLISH: OptionSpec = {
  flags: '-p, --publish PORT:TARGET',
  summary: 'a port of every host, and the members’: 8001:80, 53:53/udp, published=8001,target=80',
  isMany: true
}
const STICKY: OptionSpec = {
  flags: '--sticky BY',
  summary: 'what stays with a member',
  choices: ['source', 'none']
}

export const SERVICE_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'service create',
    mayTakeLong: true,
    heading: SERVICES,
    summary: 'make a service: one name and address for all containers of a network with an alias',
    description:
      'Members are the containers called NAME, or as --alias says, on any host, those to come included. Every port of the ' +
      'address leads to the same port of a member. patchbay agent must run.',
    arguments: [{ name: 'NAME', isOptional: true }],
    options: [
      { flags: '--name NAME', summary: 'the name, as Docker has it' },
      { flags: '--network NETWORK', summary: 'whose containers they are (required)', words: 'network' },
      { flags: '--alias NAME', summary: 'what the members are called (NAME)' },
      {
        flags: '--vip ADDRESS',
        summary: 'the address (the last free one of the network, of each family)',
        isMany: true
      },
      PUBLISH,
      STICKY,
      {
        flags: '--mode MODE',
        alsoCalled: ['--endpoint-mode'],
        summary: 'vip: an address of its own; dnsrr: the name stands for the members’ addresses (vip)',
        choices: ['vip', 'dnsrr']
      },
      DRY_RUN,
      JSON_OUT,
      AGENT_SOCKET
    ],
    examples: [
      { line: 'patchbay service create web --network blue', effect: 'for whoever is called web on network blue' },
      {
        line: 'patchbay service create shop --network blue --alias nginx \\\n    --publish 8001:80 --sticky source',
        effect: 'reached at port 8001 of every host, each client by the same member'
      }
    ],
    run: async call => (await import('./change.ts')).create(call)
  },
  {
    name: 'service ls',
    aliases: ['list'],
    heading: SERVICES,
    summary: 'show the services',
    options: [QUIET, FORMAT, { ...OUTPUT, flags: '-o, --output FORMAT' }, JSON_OUT, AGENT_SOCKET],
    examples: [{ line: 'patchbay service ls', effect: 'with how many members each has' }],
    run: async call => (await import('./show.ts')).list(call)
  },
  {
    name: 'service inspect',
    heading: SERVICES,
    summary: 'show everything about services, and what went to each member from this host',
    arguments: [{ ...SERVICE, isMany: true }],
    options: [
      { flags: '-f, --format TEMPLATE', summary: "a template, such as '{{.Members.0.Sent.Bytes}}'" },
      { flags: '-o, --output FORMAT', summary: 'how it is shown', choices: ['json', 'yaml'] },
      JSON_OUT,
      AGENT_SOCKET
    ],
    examples: [{ line: 'patchbay service inspect web', effect: 'as JSON' }],
    run: async call => (await import('./show.ts')).inspect(call)
  },
  {
    name: 'service ps',
    heading: SERVICES,
    summary: 'show the members of services',
    arguments: [{ ...SERVICE, isMany: true }],
    options: [QUIET, FORMAT, { ...OUTPUT, flags: '-o, --output FORMAT' }, JSON_OUT, AGENT_SOCKET],
    examples: [{ line: 'patchbay service ps web', effect: 'where they run' }],
    run: async call => (await import('./show.ts')).members(call)
  },
  {
    name: 'service update',
    mayTakeLong: true,
    heading: SERVICES,
    summary: 'change a service',
    description: 'What is not given stays as it is. Connections to members that go on to be members are not disturbed.',
    arguments: [SERVICE],
    options: [
      { flags: '--alias NAME', summary: 'what the members are called' },
      { ...PUBLISH, summary: 'the ports of every host: all of them' },
      { flags: '--no-publish', summary: 'no port of the hosts' },
      { flags: '--publish-add PORT:TARGET', summary: 'one more port of every host', isMany: true },
      {
        flags: '--publish-rm TARGET',
        summary: 'no port of the hosts for this one of the members: 80, 53/udp',
        isMany: true
      },
      STICKY,
      DRY_RUN,
      JSON_OUT,
      AGENT_SOCKET
    ],
    examples: [
      { line: 'patchbay service update web --alias web-v2', effect: 'from one generation of containers to the next' },
      { line: 'patchbay service update web --publish-rm 80 --publish-add 8002:80', effect: 'at another port' }
    ],
    run: async call => (await import('./change.ts')).update(call)
  },
  {
    name: 'service rm',
    aliases: ['remove'],
    mayTakeLong: true,
    heading: SERVICES,
    summary: 'remove services; containers stay as they are',
    arguments: [{ ...SERVICE, isMany: true }],
    options: [DRY_RUN, JSON_OUT, AGENT_SOCKET],
    examples: [{ line: 'patchbay service rm web', effect: 'its name and address are gone' }],
    run: async call => (await import('./change.ts')).remove(call)
  }
]
