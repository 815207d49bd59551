/** Clauses that SPEC.md does not hold: of libcni and the conventions, of hosts in production, of this project. */
import { type Clause, libcni, ours, robustness, since } from './clause.ts'

export const LIBCNI_CLAUSES: readonly Clause[] = [
  libcni(
    'env.command-case',
    'CUSTOM',
    'pkg/skel',
    'Verbs are those words and no others: neither `add` nor `ADD ` is ADD.'
  ),
  libcni('env.ifname-checked', 'CUSTOM', 'pkg/skel', 'Interface names that the kernel would not take fail everywhere.'),
  libcni(
    'env.empty',
    'MUST',
    'pkg/invoke',
    'Variables may be there and empty: CNI_ARGS for every verb, all that name a container for STATUS and GC.'
  ),
  libcni(
    'env.args-malformed',
    'CUSTOM',
    'pkg/types',
    'CNI_ARGS with a pair that has no single equals sign is refused by a plugin that reads them.'
  ),
  libcni(
    'env.args-unknown',
    'CUSTOM',
    'pkg/types',
    'With IgnoreUnknown=1 keys of CNI_ARGS that the plugin does not know are no error.'
  ),
  libcni(
    'env.none',
    'CUSTOM',
    'pkg/skel',
    'Started with no CNI_COMMAND at all it exits 0, prints nothing on stdout, and on stderr a line `CNI NAME plugin vVERSION`.'
  ),
  libcni('stdin.name', 'CUSTOM', 'pkg/skel', 'A configuration without network name fails with code 7.'),
  libcni(
    'stdin.name-form',
    'CUSTOM',
    'pkg/skel',
    'A network name that does not begin with a letter or digit, or holds anything but those, dots, underscores and hyphens, fails.'
  ),
  libcni('stdin.unknown-keys', 'CUSTOM', 'pkg/types', 'Keys that the plugin does not know are passed over.'),
  libcni(
    'stdin.key-case',
    'CUSTOM',
    'pkg/types',
    'Keys are understood in any mix of letter case, as Go runtimes send them; an exact match wins.'
  ),
  libcni(
    'stdin.wrong-type',
    'SHOULD',
    'CONVENTIONS',
    'A known key with a value of the wrong type fails, and nothing is changed.'
  ),
  libcni(
    'version.unsupported-details',
    'CUSTOM',
    'pkg/version',
    'The error about a version that is not supported says which versions would do.'
  ),
  libcni(
    'version.verb-too-new',
    since('0.4.0', 'CUSTOM'),
    'pkg/skel',
    'CHECK under a version before 0.4.0, STATUS and GC before 1.1.0, fail with code 1.'
  ),
  libcni('version.default', 'CUSTOM', 'pkg/version', 'A configuration without cniVersion counts as 0.1.0.'),
  libcni('error.on-stdout', 'CUSTOM', 'pkg/invoke', 'The error object is on stdout, where libcni reads it.'),
  libcni('out.silent-others', 'CUSTOM', 'libcni', 'DEL and STATUS that succeed print nothing on stdout.'),
  libcni(
    'out.closed',
    'CUSTOM',
    'pkg/invoke',
    'No process that the plugin leaves behind holds its stdout or stderr: libcni waits for their end.'
  ),
  libcni(
    'result.other-version',
    'CUSTOM',
    'pkg/types',
    'A result has no key that its version does not know: ips before 0.3.0, version of ips after 0.4.0, what 1.1.0 added before.'
  ),
  libcni(
    'result.dns',
    since('0.2.0', 'CUSTOM'),
    'pkg/types',
    'The DNS settings that the IPAM plugin gave are passed on, unless the configuration has its own.'
  ),
  libcni(
    'check.needs-prev',
    since('0.4.0', 'CUSTOM'),
    'libcni',
    'CHECK without prevResult fails, for it has nothing to compare with.'
  ),
  libcni(
    'gc.key',
    since('1.1.0', 'MUST'),
    'libcni',
    'GC reads its list from cni.dev/valid-attachments, as libcni writes it and the text says after 1.1.0.'
  ),
  libcni(
    'delegate.search-order',
    'CUSTOM',
    'pkg/invoke',
    'The IPAM plugin is the first executable of its name in the folders of CNI_PATH.'
  ),
  libcni('delegate.error-kept', 'CUSTOM', 'pkg/invoke', "The IPAM plugin's own code and message reach the runtime."),
  libcni(
    'runtime-config.case',
    since('0.3.0', 'CUSTOM'),
    'pkg/types',
    'Capability arguments work as `hostPort` and as `HostPort`.'
  )
]

export const ROBUSTNESS_CLAUSES: readonly Clause[] = [
  robustness(
    'add.failure-clean',
    'SHOULD',
    'An ADD that failed leaves nothing behind, neither on the host nor in the container.'
  ),
  robustness(
    'add.private-files',
    'SHOULD',
    'Whatever ADD writes to disk can be changed by its owner alone: others could choose what a program of root does next.'
  ),
  robustness(
    'delegate.once',
    'SHOULD',
    "One ADD asks IPAM for addresses once: those of a second answer would be nobody's."
  ),
  robustness(
    'del.container',
    'SHOULD',
    'DEL takes out of a container that lives on whatever ADD brought: interfaces, addresses, routes, rules.'
  ),
  robustness('status.changes-nothing', 'MUST', 'STATUS changes nothing.', '1.1.0'),
  robustness('delegate.missing', 'MUST', 'ADD fails when the IPAM plugin cannot be found, and leaves nothing.'),
  robustness('delegate.release', 'MUST', 'When ADD fails after IPAM succeeded, IPAM is asked to DEL.'),
  robustness(
    'add.needs-prev',
    'SHOULD',
    'A plugin that can only work on what an earlier one made refuses an ADD without prevResult.',
    '0.3.0'
  ),
  robustness('check.changes-nothing', 'MUST', 'CHECK changes nothing.', '0.4.0'),
  robustness('gc.no-list', 'SHOULD', 'GC without the list of valid attachments removes nothing.', '1.1.0'),
  robustness('robust.closed-stdout', 'SHOULD', 'With nobody reading stdout a plugin ends; it does not hang.'),
  robustness('robust.signals', 'SHOULD', 'A plugin can be ended by SIGTERM while it waits for input.'),
  robustness(
    'robust.input',
    'MUST',
    'No input whatever makes a plugin crash, hang, or print anything but one JSON object on stdout.'
  ),
  robustness('robust.state', 'MUST', 'Damaged files of its own state do not keep a plugin from ADD and DEL.'),
  robustness('robust.kill', 'SHOULD', 'Whenever ADD or DEL is killed, one DEL (or GC) afterwards restores the host.'),
  robustness(
    'robust.disk',
    'SHOULD',
    'On a full or read-only disk ADD fails with an error and leaves nothing, or succeeds without it.'
  ),
  robustness(
    'robust.slow-disk',
    'MUST',
    'Calls for which the disk is slow and calls for which it is not may overlap: none fails, no address is given twice.'
  ),
  robustness(
    'robust.clock',
    'SHOULD',
    'A clock that was set, back or forward, changes nothing of what belongs to whom.'
  ),
  robustness(
    'robust.parallel',
    'MUST',
    '64 containers can be added to one network at the same time: none fails, no address is given twice.'
  ),
  robustness(
    'robust.random',
    'MUST',
    'Random sequences of ADD, CHECK, DEL and kill leave exactly what a model of the network says.'
  ),
  robustness(
    'robust.router-advertisement',
    'MUST',
    'A router advertisement that a container sends gives the host neither a route nor an address (CVE-2020-10749).'
  ),
  robustness(
    'robust.loopback-exposure',
    'MUST',
    "A container does not reach services on the host's 127.0.0.1, while ports are published and after (CVE-2020-8558)."
  ),
  robustness(
    'robust.foreign-link',
    'MUST',
    'An interface that somebody else put into the container is left alone by the ADD that it refuses and by the DEL after.'
  ),
  robustness(
    'robust.forged-netlink',
    'MUST',
    "Netlink messages that a container's program sends to the plugin are not taken for the kernel's."
  ),
  robustness(
    'robust.failed-del',
    'MUST',
    'While the kernel refuses to remove the interface, DEL fails and IPAM keeps the address.'
  ),
  robustness(
    'robust.host-interface',
    'MUST',
    "An interface of the host's that has the container's interface name is left alone, with CNI_NETNS and without."
  ),
  robustness('robust.negative-index', 'SHOULD', 'An `interface` of -1 in a result of others means no interface.'),
  robustness('robust.wrapped', 'SHOULD', 'A plugin works when its file has another name behind a wrapper.'),
  robustness('robust.gateway-zero', 'SHOULD', 'A route of IPAM with gateway 0.0.0.0 is a route without gateway.'),
  robustness('robust.sizes', 'SHOULD', 'A result of IPAM with two thousand routes is worked off within the time-out.')
]

export const OWN_CLAUSES: readonly Clause[] = [
  ours(
    'error.no-generic',
    'SHOULD',
    'Errors of configuration carry a code that a runtime can act on, not one code for everything.'
  ),
  ours('check.netns-of-chain', 'SHOULD', 'CHECK of a plugin in the chain fails when the namespace is gone.', '0.4.0'),
  ours(
    'gc.key-of-tag',
    'SHOULD',
    'GC reads cni.dev/attachments as well, the name that the tag spec-v1.1.0 has for the list.',
    '1.1.0'
  ),
  ours(
    'mac.sources',
    'MUST',
    'A hardware address can be asked for by CNI_ARGS, args.cni and runtimeConfig; later wins.'
  )
]
