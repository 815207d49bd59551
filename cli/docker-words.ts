/** Commands of Docker that are none here: what a person who types one is told. */

const IMAGES = "images are nerdctl's and podman's, whose containers every command here takes"
const MEMBERS = 'a service is the containers that are called so: start or stop some of them'
const HOSTS =
  'each host runs patchbay agent, with one etcd for all: then create -d overlay makes a network on all of them'
const ANEW = 'remove it and run it again: patchbay rm -f NAME, patchbay run --name NAME ...'

const ANSWERS: ReadonlyMap<string, string> = new Map([
  ...['build', 'commit', 'image', 'images', 'load', 'login', 'pull', 'push', 'rmi', 'save', 'search', 'tag'].map(
    (word): [string, string] => [word, IMAGES]
  ),
  ...['service scale', 'service rollback', 'service logs'].map((word): [string, string] => [word, MEMBERS]),
  ...['swarm', 'node'].map((word): [string, string] => [word, HOSTS]),
  ...['create', 'rename'].map((word): [string, string] => [word, ANEW]),
  ['stats', 'patchbay top shows who sends and receives how much'],
  ['compose', "a container's networks and names are options of patchbay run"],
  ['stack', MEMBERS],
  ['container', 'its verbs are commands themselves: patchbay ps, run, exec, inspect, rm ...']
])

const NO_FILES = 'run starts a command of this host, which sees its files'
const NO_LIMITS = 'run gives it a network, and no more: limits and rights are for nerdctl and podman, or systemd-run'

const OPTION_ANSWERS: ReadonlyMap<string, string> = new Map([
  ['--replicas', MEMBERS],
  ['--ingress', 'every host of a network publishes the ports of its services: no network is needed for that'],
  ['--config-only', "a network's configuration is a file, which can be copied"],
  ['--config-from', "a network's configuration is a file, which can be copied"],
  ['--ipam-opt', 'what an IPAM plugin takes is in its file: --dry-run shows it'],
  ...['-v', '--volume', '--mount'].map((option): [string, string] => [option, NO_FILES]),
  ...['-m', '--memory', '--cpus', '--privileged', '--cap-add', '--cap-drop', '-u', '--user', '--restart'].map(
    (option): [string, string] => [option, NO_LIMITS]
  )
])

/** @returns what is said of an option of Docker that is none here; undefined for what is none there either */
export function answerToOption(option: string): string | undefined {
  return OPTION_ANSWERS.get(option)
}

/** @param argv a command line whose command is unknown @returns undefined where Docker has none either */
export function answerTo(argv: readonly string[]): string | undefined {
  const [first = '', second = ''] = argv
  return ANSWERS.get(`${first} ${second}`) ?? ANSWERS.get(first)
}

/** `container ls` is `ps`, and `container VERB` is VERB, as with Docker. */
export function withoutContainer(argv: readonly string[]): readonly string[] {
  const [first, verb, ...rest] = argv
  if (first !== 'container' || verb === undefined || verb.startsWith('-')) return argv
  return [verb === 'ls' || verb === 'list' ? 'ps' : verb, ...rest]
}
