/**
 * What the CNI specification asks of a plugin, one sentence each, in this project's own words. Every clause has at
 * least one case (a test sees to it). What only a runtime can break is not here.
 */
import type { Version } from './versions.ts'

/**
 * MUST and SHOULD as in the specification. CUSTOM: written nowhere in it, but runtimes in use depend on it. MUST also
 * stands for what the documentation of the reference plugins promises of a plugin's configuration keys.
 */
export type Level = 'MUST' | 'SHOULD' | 'CUSTOM'

export interface Clause {
  readonly id: string
  readonly level: Level
  /** Document and section. */
  readonly section: string
  /** The first version of the specification that says so. */
  readonly since: Version
  readonly text: string
}

function clause(id: string, level: Level, section: string, since: Version, text: string): Clause {
  return { id, level, section, since, text }
}

const PARAMETERS: readonly Clause[] = [
  clause(
    'env.command',
    'MUST',
    'SPEC Parameters',
    '0.1.0',
    'A verb that the specification does not know fails with code 4.'
  ),
  clause('env.command-case', 'CUSTOM', 'SPEC Parameters', '0.1.0', 'Verbs are upper case; `add` is not ADD.'),
  clause(
    'env.container-id',
    'MUST',
    'SPEC Parameters',
    '0.1.0',
    'ADD, DEL and CHECK without CNI_CONTAINERID fail with code 4.'
  ),
  clause(
    'env.container-id-form',
    'MUST',
    'SPEC Parameters',
    '0.4.0',
    'A container ID begins with a letter or digit and goes on with those, dots, underscores and hyphens; others fail with code 4.'
  ),
  clause('env.netns', 'MUST', 'SPEC Parameters', '0.1.0', 'ADD and CHECK without CNI_NETNS fail with code 4.'),
  clause(
    'env.netns-not-a-namespace',
    'MUST',
    'SPEC Parameters',
    '0.1.0',
    'ADD into a path that is no network namespace, or that is not there, fails.'
  ),
  clause('env.ifname', 'MUST', 'SPEC Parameters', '0.1.0', 'ADD, DEL and CHECK without CNI_IFNAME fail with code 4.'),
  clause(
    'env.ifname-form',
    'MUST',
    'SPEC Parameters',
    '0.4.0',
    'An interface name that the kernel would not take (empty, longer than 15 bytes, `.`, `..`, with slash, colon or blank) fails with code 4.'
  ),
  clause(
    'env.missing-named',
    'CUSTOM',
    'libcni skel',
    '0.1.0',
    'The message names every variable that is missing, not only the first.'
  ),
  clause(
    'env.not-needed',
    'MUST',
    'SPEC Parameters',
    '1.1.0',
    'STATUS, GC and VERSION need no container ID, namespace or interface name.'
  ),
  clause(
    'env.args-malformed',
    'CUSTOM',
    'SPEC Parameters',
    '0.1.0',
    'CNI_ARGS with a pair that has no single equals sign is refused.'
  ),
  clause(
    'env.args-unknown',
    'CUSTOM',
    'CONVENTIONS CNI_ARGS',
    '0.1.0',
    'With IgnoreUnknown=1 keys of CNI_ARGS that the plugin does not know are no error.'
  ),
  clause(
    'env.none',
    'CUSTOM',
    'libcni skel',
    '0.1.0',
    'Started with no CNI_COMMAND at all it exits 0, prints nothing on stdout, and on stderr a line `CNI NAME plugin vVERSION`.'
  )
]

const CONFIGURATION: readonly Clause[] = [
  clause(
    'stdin.not-json',
    'MUST',
    'SPEC Error',
    '0.1.0',
    'Input that is not JSON, or not an object, fails with code 6; so does no input.'
  ),
  clause(
    'stdin.name',
    'MUST',
    'SPEC Network configuration',
    '0.4.0',
    'A configuration without network name fails with code 7.'
  ),
  clause(
    'stdin.name-form',
    'MUST',
    'SPEC Network configuration',
    '1.0.0',
    'A network name that does not begin with a letter or digit, or holds anything but those, dots, underscores and hyphens, fails.'
  ),
  clause(
    'stdin.unknown-keys',
    'SHOULD',
    'SPEC Plugin configuration',
    '0.1.0',
    'Keys meant for others (capabilities, args, runtimeConfig of other plugins, cni.dev/...) do not disturb.'
  ),
  clause(
    'stdin.key-case',
    'CUSTOM',
    'libcni types',
    '0.1.0',
    'Keys are understood in any mix of letter case, as Go runtimes send them; an exact match wins.'
  ),
  clause(
    'stdin.wrong-type',
    'MUST',
    'SPEC Error',
    '0.1.0',
    'A known key with a value of the wrong type fails with a code from 2 to 7, or above 99, and nothing is changed.'
  )
]

const VERSIONS: readonly Clause[] = [
  clause(
    'version.reply',
    'MUST',
    'SPEC VERSION',
    '0.1.0',
    'VERSION prints an object with a cniVersion and the list supportedVersions of at least one version.'
  ),
  clause(
    'version.echo',
    'MUST',
    'SPEC VERSION',
    '1.0.0',
    'The cniVersion of a VERSION reply is the one that the request named.'
  ),
  clause(
    'version.no-configuration',
    'MUST',
    'SPEC VERSION',
    '0.4.0',
    'VERSION is answered whatever else the environment holds or lacks.'
  ),
  clause(
    'version.unsupported',
    'MUST',
    'SPEC Version considerations',
    '0.1.0',
    'A configuration in a version that is not supported fails with code 1.'
  ),
  clause('version.unsupported-details', 'SHOULD', 'SPEC Error', '0.1.0', 'That error says which versions would do.'),
  clause(
    'version.all-work',
    'MUST',
    'SPEC Version considerations',
    '0.1.0',
    'ADD works in every version that VERSION lists.'
  ),
  clause(
    'version.verb-too-new',
    'CUSTOM',
    'libcni skel',
    '0.4.0',
    'CHECK under a version before 0.4.0, STATUS and GC before 1.1.0, fail with code 1.'
  ),
  clause('version.default', 'CUSTOM', 'libcni', '0.1.0', 'A configuration without cniVersion counts as 0.1.0.')
]

const OUTPUT: readonly Clause[] = [
  clause(
    'out.one-object',
    'MUST',
    'SPEC Overview',
    '0.1.0',
    'ADD that succeeds prints exactly one JSON object on stdout.'
  ),
  clause(
    'out.silent',
    'MUST',
    'SPEC Operations',
    '0.1.0',
    'DEL, CHECK, GC and STATUS that succeed print nothing on stdout.'
  ),
  clause('out.exit', 'MUST', 'SPEC Overview', '0.1.0', 'The exit status is 0 exactly when the call succeeded.'),
  clause(
    'error.object',
    'MUST',
    'SPEC Error',
    '0.1.0',
    'A failing call prints one JSON object with a number code and a text msg, and nothing else.'
  ),
  clause('error.version', 'MUST', 'SPEC Error', '0.2.0', 'The error object tells its cniVersion.'),
  clause(
    'error.reserved',
    'MUST',
    'SPEC Error',
    '1.0.0',
    'Codes up to 99 are used only as the specification defines them.'
  ),
  clause(
    'error.no-generic',
    'SHOULD',
    'SPEC Error',
    '1.0.0',
    'Errors of configuration carry a code that a runtime can act on, not one code for everything.'
  )
]

const RESULT: readonly Clause[] = [
  clause('result.version', 'MUST', 'SPEC Success', '0.2.0', 'A result names the cniVersion of the configuration.'),
  clause(
    'result.form-legacy',
    'MUST',
    'SPEC 0.2.0 Result',
    '0.1.0',
    'Before 0.3.0 a result has ip4 and ip6 and none of the later keys.'
  ),
  clause(
    'result.form-ip-version',
    'MUST',
    'SPEC 0.4.0 Result',
    '0.3.0',
    'From 0.3.0 to 0.4.0 each entry of ips says whether it is version 4 or 6; from 1.0.0 on none does.'
  ),
  clause(
    'result.form-newest',
    'MUST',
    'SPEC Success',
    '1.1.0',
    'What 1.1.0 added (mtu, socketPath, pciID of interfaces; mtu, advmss, priority, table, scope of routes) appears in no older form.'
  ),
  clause(
    'result.interface',
    'MUST',
    'SPEC Success',
    '0.3.0',
    'A plugin that makes an interface lists it with its name and, as sandbox, the namespace.'
  ),
  clause('result.host-interface', 'MUST', 'SPEC Success', '0.3.0', 'Interfaces on the host have no sandbox.'),
  clause('result.mac', 'SHOULD', 'SPEC Success', '0.3.0', 'A listed interface shows the hardware address that it has.'),
  clause('result.mtu', 'SHOULD', 'SPEC Success', '1.1.0', 'A listed interface shows the MTU that it has.'),
  clause(
    'result.ip-index',
    'MUST',
    'SPEC Success',
    '0.3.0',
    'The interface of an address is an index into the list and leads to the one inside the container.'
  ),
  clause(
    'result.addresses',
    'MUST',
    'SPEC Success',
    '0.3.0',
    'Addresses carry a prefix length, gateways do not, and both are those that the IPAM plugin gave.'
  ),
  clause('result.routes', 'MUST', 'SPEC Success', '0.3.0', 'Routes are those that the IPAM plugin gave.'),
  clause(
    'result.dns',
    'MUST',
    'SPEC Success',
    '0.2.0',
    'The DNS settings that the IPAM plugin gave are passed on, unless the configuration has its own.'
  ),
  clause(
    'result.prev',
    'MUST',
    'SPEC ADD',
    '0.3.0',
    'A plugin that was given a prevResult passes it on, with its own changes.'
  ),
  clause(
    'result.ipam',
    'MUST',
    'SPEC Delegation',
    '0.3.0',
    'An IPAM plugin lists no interfaces and its addresses have no index.'
  )
]

const ADD: readonly Clause[] = [
  clause('add.creates', 'MUST', 'SPEC ADD', '0.1.0', 'ADD makes the interface CNI_IFNAME inside the namespace, up.'),
  clause('add.addresses', 'MUST', 'SPEC ADD', '0.1.0', 'The addresses and routes of the result are really set.'),
  clause(
    'add.exists',
    'MUST',
    'SPEC ADD',
    '0.4.0',
    'ADD fails when an interface of that name is already in the namespace, and leaves that one alone.'
  ),
  clause(
    'add.second-interface',
    'MUST',
    'SPEC ADD',
    '0.1.0',
    'One container can be added twice to one network under two interface names.'
  ),
  clause(
    'add.failure-clean',
    'SHOULD',
    'SPEC ADD',
    '0.1.0',
    'An ADD that failed leaves nothing behind, neither on the host nor in the container.'
  ),
  clause(
    'add.needs-prev',
    'SHOULD',
    'SPEC ADD',
    '0.3.0',
    'A plugin that can only work on what an earlier one made refuses an ADD without prevResult.'
  )
]

const DEL: readonly Clause[] = [
  clause(
    'del.removes',
    'MUST',
    'SPEC DEL',
    '0.1.0',
    'DEL removes the interface from the namespace and what belongs to it from the host.'
  ),
  clause('del.repeat', 'MUST', 'SPEC DEL', '0.1.0', 'A second DEL succeeds.'),
  clause('del.never-added', 'MUST', 'SPEC DEL', '0.1.0', 'DEL of what was never added succeeds.'),
  clause('del.no-netns', 'MUST', 'SPEC DEL', '0.1.0', 'DEL without CNI_NETNS succeeds.'),
  clause('del.vanished-netns', 'MUST', 'SPEC DEL', '0.1.0', 'DEL succeeds when the namespace is gone.'),
  clause('del.no-prev', 'MUST', 'SPEC DEL', '0.1.0', 'DEL succeeds, and removes the interface, without prevResult.'),
  clause('del.interface-gone', 'MUST', 'SPEC DEL', '0.1.0', 'DEL succeeds when somebody else removed the interface.'),
  clause(
    'del.complete',
    'SHOULD',
    'SPEC DEL',
    '0.1.0',
    'After DEL, whatever was missing of namespace or prevResult, the host is as before ADD.'
  ),
  clause('del.others', 'MUST', 'SPEC DEL', '0.1.0', 'DEL of one container leaves the others of the network alone.')
]

const CHECK: readonly Clause[] = [
  clause('check.holds', 'MUST', 'SPEC CHECK', '0.4.0', 'CHECK succeeds right after ADD and changes nothing.'),
  clause(
    'check.needs-prev',
    'MUST',
    'SPEC CHECK',
    '0.4.0',
    'CHECK without prevResult fails, for it has nothing to compare with.'
  ),
  clause('check.interface', 'MUST', 'SPEC CHECK', '0.4.0', 'CHECK fails when the interface is gone.'),
  clause(
    'check.address',
    'MUST',
    'SPEC CHECK',
    '0.4.0',
    'CHECK fails when an address of the result is gone or another.'
  ),
  clause('check.route', 'MUST', 'SPEC CHECK', '0.4.0', 'CHECK fails when a route of the result is gone.'),
  clause('check.mac', 'SHOULD', 'SPEC CHECK', '0.4.0', 'CHECK fails when the hardware address is another.'),
  clause(
    'check.host-side',
    'SHOULD',
    'SPEC CHECK',
    '0.4.0',
    'CHECK fails when the host side of the attachment was taken apart.'
  ),
  clause(
    'check.tolerates',
    'MUST',
    'SPEC CHECK',
    '0.4.0',
    'CHECK accepts what later plugins of the chain or others added beside the attachment.'
  ),
  clause('check.netns', 'MUST', 'SPEC CHECK', '0.4.0', 'CHECK fails when the namespace is gone.'),
  clause(
    'check.netns-of-chain',
    'SHOULD',
    'SPEC CHECK',
    '0.4.0',
    'CHECK of a plugin in the chain fails when the namespace is gone.'
  ),
  clause(
    'check.own-work',
    'MUST',
    'SPEC CHECK',
    '0.4.0',
    'CHECK of a plugin in the chain fails when what that plugin set up was removed.'
  )
]

const GC: readonly Clause[] = [
  clause(
    'gc.removes',
    'SHOULD',
    'SPEC GC',
    '1.1.0',
    'GC removes what belongs to attachments of the network that are not listed.'
  ),
  clause(
    'gc.keeps',
    'MUST',
    'SPEC GC',
    '1.1.0',
    'GC touches no attachment that is listed, and none of another network.'
  ),
  clause('gc.repeat', 'MUST', 'SPEC GC', '1.1.0', 'GC succeeds when there is nothing to remove.'),
  clause('gc.no-list', 'CUSTOM', 'SPEC GC', '1.1.0', 'GC without the list of valid attachments removes nothing.')
]

const STATUS: readonly Clause[] = [
  clause('status.ready', 'MUST', 'SPEC STATUS', '1.1.0', 'STATUS succeeds when ADD could.'),
  clause(
    'status.not-ready',
    'MUST',
    'SPEC STATUS',
    '1.1.0',
    'STATUS fails with code 50 or 51 when ADD could not succeed for a reason that the plugin can see.'
  )
]

const DELEGATION: readonly Clause[] = [
  clause(
    'delegate.call',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    'The IPAM plugin gets the same verb, environment and whole configuration.'
  ),
  clause(
    'delegate.search',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    'The IPAM plugin is the first executable of its name in the folders of CNI_PATH.'
  ),
  clause(
    'delegate.missing',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    'ADD fails when the IPAM plugin cannot be found, and leaves nothing.'
  ),
  clause(
    'delegate.error',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    'A failure of the IPAM plugin becomes a failure of the plugin.'
  ),
  clause(
    'delegate.error-kept',
    'SHOULD',
    'SPEC Delegation',
    '0.1.0',
    "The IPAM plugin's own code and message reach the runtime."
  ),
  clause(
    'delegate.garbage',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    'An IPAM plugin that prints no result makes ADD fail cleanly.'
  ),
  clause(
    'delegate.stderr',
    'SHOULD',
    'SPEC Delegation',
    '0.1.0',
    'What the IPAM plugin writes on stderr is passed through.'
  ),
  clause(
    'delegate.release',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    'When ADD fails after IPAM succeeded, IPAM is asked to DEL.'
  ),
  clause(
    'delegate.del',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    'DEL is handed on to IPAM, also when namespace or interface are gone.'
  ),
  clause(
    'delegate.check',
    'MUST',
    'SPEC Delegation',
    '0.4.0',
    'CHECK is handed on to IPAM, and its failure is a failure.'
  ),
  clause('delegate.gc', 'MUST', 'SPEC Delegation', '1.1.0', 'GC is handed on to IPAM.'),
  clause(
    'delegate.status',
    'MUST',
    'SPEC Delegation',
    '1.1.0',
    'STATUS is handed on to IPAM, and its failure is a failure.'
  ),
  clause(
    'delegate.versions',
    'MUST',
    'SPEC Delegation',
    '0.1.0',
    "Results of IPAM are understood in the configuration's version."
  )
]

const CONVENTIONS: readonly Clause[] = [
  clause(
    'mac.sources',
    'MUST',
    'CONVENTIONS',
    '0.1.0',
    'A hardware address can be asked for by CNI_ARGS, by args.cni and by runtimeConfig; the later beats the earlier.'
  ),
  clause(
    'runtime-config.case',
    'CUSTOM',
    'go-cni',
    '0.3.0',
    'Capability arguments work as `hostPort` and as `HostPort`.'
  )
]

const ROBUSTNESS: readonly Clause[] = [
  clause(
    'robust.closed-stdout',
    'SHOULD',
    'SPEC Overview',
    '0.1.0',
    'With nobody reading stdout a plugin ends; it does not hang.'
  ),
  clause(
    'robust.signals',
    'SHOULD',
    'SPEC Overview',
    '0.1.0',
    'A plugin can be ended by SIGTERM while it waits for input.'
  ),
  clause(
    'robust.input',
    'MUST',
    'SPEC Error',
    '0.1.0',
    'No input whatever makes a plugin crash, hang, or print anything but one JSON object on stdout.'
  ),
  clause(
    'robust.state',
    'MUST',
    'SPEC DEL',
    '0.1.0',
    'Damaged files of its own state do not keep a plugin from ADD and DEL.'
  ),
  clause(
    'robust.kill',
    'SHOULD',
    'SPEC DEL',
    '0.1.0',
    'Whenever ADD or DEL is killed, one DEL (or GC) afterwards restores the host.'
  ),
  clause(
    'robust.disk',
    'SHOULD',
    'SPEC ADD',
    '0.1.0',
    'On a full or read-only disk ADD fails with an error and leaves nothing, or succeeds without it.'
  ),
  clause(
    'robust.slow-disk',
    'MUST',
    'SPEC Locking',
    '0.1.0',
    'Calls for which the disk is slow and calls for which it is not may overlap: none fails, no address is given twice.'
  ),
  clause(
    'robust.clock',
    'SHOULD',
    'SPEC Operations',
    '0.1.0',
    'A clock that was set, back or forward, changes nothing of what belongs to whom.'
  ),
  clause(
    'robust.parallel',
    'MUST',
    'SPEC Locking',
    '0.1.0',
    'Any number of containers can be added to one network at the same time: none fails, no address is given twice.'
  ),
  clause(
    'robust.random',
    'MUST',
    'SPEC Operations',
    '0.1.0',
    'Random sequences of ADD, CHECK, DEL and kill leave exactly what a model of the network says.'
  )
]

/** Every clause of the protocol and of endurance. */
export const PROTOCOL_CLAUSES: readonly Clause[] = [
  ...PARAMETERS,
  ...CONFIGURATION,
  ...VERSIONS,
  ...OUTPUT,
  ...RESULT,
  ...ADD,
  ...DEL,
  ...CHECK,
  ...GC,
  ...STATUS,
  ...DELEGATION,
  ...CONVENTIONS,
  ...ROBUSTNESS
]
