/**
 * The lines of SPEC.md, at the pinned revision, that hold a word of duty or a rule without one, and whom they bind.
 * What binds a plugin has clauses; the rest says why not.
 */

import type { Clause, Level } from './clauses/clause.ts'
import { atLeast } from './versions.ts'

export interface TextPoint {
  readonly line: number
  /** The word of the text; undefined for a rule without one. */
  readonly word: Level | 'MAY' | undefined
  /** What it asks of a plugin, in our words. */
  readonly asks: string
  /** Why no clause of the specification judges it, if none does. */
  readonly why?: string
}

function point(line: number, word: TextPoint['word'], asks: string, why?: string): TextPoint {
  return { line, word, asks, ...(why === undefined ? {} : { why }) }
}

const KEYS = 'a key of single plugins: judged under reference-keys'

/** Every line that binds a plugin. */
export const TEXT_POINTS: readonly TextPoint[] = [
  point(112, 'MUST', 'the form of a network name'),
  point(127, undefined, 'runtimeConfig, args and cni.dev/ keys come from the runtime'),
  point(134, 'SHOULD', 'well-known keys (ipMasq, ipam, dns) keep their meaning', KEYS),
  point(146, 'MAY', 'unknown fields may be an error'),
  point(193, undefined, 'VERSION tells the supported versions'),
  point(210, undefined, 'configuration on stdin, result on stdout'),
  point(221, undefined, 'the verbs there are'),
  point(222, 'MUST', 'the form of a container ID'),
  point(223, undefined, 'CNI_NETNS refers to the isolation domain, by a path'),
  point(224, 'MUST', 'an interface name that cannot be used is an error'),
  point(229, 'MUST', 'exit status 0 on success only; an error object otherwise (should)'),
  point(237, 'SHOULD', 'ADD creates or adjusts the interface'),
  point(241, 'MUST', 'ADD prints a result; prevResult is passed through or modified'),
  point(243, 'MUST', 'ADD fails when the interface exists'),
  point(245, 'SHOULD', 'a container can be added more than once under different names'),
  point(251, 'MUST', 'variables that ADD requires'),
  point(263, 'SHOULD', 'DEL deletes the interface or undoes the changes'),
  point(267, 'SHOULD', 'DEL succeeds though resources are missing, and hands on to IPAM'),
  point(269, 'MUST', 'DEL may be repeated and succeeds when there is nothing'),
  point(275, 'MUST', 'variables that DEL requires'),
  point(280, 'MAY', 'CNI_NETNS is optional for DEL'),
  point(290, 'MUST', 'CHECK consults prevResult'),
  point(291, 'MUST', 'CHECK allows for changes of later plugins'),
  point(292, 'SHOULD', 'CHECK fails when something of the result is missing'),
  point(293, 'SHOULD', 'CHECK fails when other resources are missing'),
  point(
    297,
    undefined,
    'such as a daemon that connectivity needs',
    'an example of line 293; the suite starts no daemon'
  ),
  point(299, 'SHOULD', 'CHECK fails when the container is known to be unreachable'),
  point(300, 'MUST', 'CHECK right after ADD works'),
  point(301, 'SHOULD', 'CHECK asks delegated plugins and returns their errors'),
  point(317, 'MUST', 'variables that CHECK requires'),
  point(333, 'MUST', 'STATUS succeeds when ADD could, else fails with an error on stdout'),
  point(335, 'SHOULD', 'STATUS fails when something that ADD needs is missing or used up'),
  point(340, undefined, 'the codes 50 and 51'),
  point(343, 'MUST', 'nothing depends on STATUS having been called'),
  point(344, 'SHOULD', 'other verbs are served while STATUS fails'),
  point(345, 'MUST', 'STATUS asks delegated plugins; their error is returned (should)'),
  point(351, 'MAY', 'STATUS requires no variables of a container'),
  point(356, 'SHOULD', 'VERSION prints a version result'),
  point(363, 'MUST', 'VERSION requires CNI_COMMAND alone'),
  point(369, 'MAY', 'GC may remove what is not in the list'),
  point(375, 'SHOULD', 'GC removes as much as possible'),
  point(377, 'SHOULD', 'GC completes without error, goes on after one, and reports it'),
  point(379, 'MUST', 'GC is forwarded to delegated plugins'),
  point(387, undefined, 'the list of attachments that are still valid'),
  point(391, 'MUST', 'variables that GC requires'),
  point(396, undefined, 'GC prints nothing on success'),
  point(410, 'MUST', 'calls for different containers may overlap'),
  point(536, 'MUST', 'an IPAM plugin determines addresses, gateway and routes'),
  point(541, 'MUST', 'a delegated plugin gets the same environment, and is looked for in CNI_PATH'),
  point(543, undefined, 'a delegated plugin gets the complete configuration'),
  point(545, undefined, 'a delegated plugin succeeds by status 0 and a result'),
  point(550, 'SHOULD', 'the folders of CNI_PATH are searched'),
  point(551, 'SHOULD', 'same environment and configuration'),
  point(552, 'SHOULD', 'stderr of the delegated plugin is passed on'),
  point(554, 'MUST', 'CHECK, DEL and GC are handed on; errors are returned (should)'),
  point(556, 'SHOULD', 'after a failed delegated ADD, a delegated DEL'),
  point(560, 'MUST', 'result information, as JSON on stdout (should)'),
  point(564, 'MUST', 'the keys of a result'),
  point(566, undefined, 'cniVersion of a result'),
  point(567, undefined, 'interfaces, those on the host as well'),
  point(568, undefined, 'name'),
  point(569, undefined, 'mac'),
  point(570, undefined, 'mtu'),
  point(571, 'SHOULD', 'sandbox is the value of CNI_NETNS; empty on the host'),
  point(572, 'MAY', 'socketPath', 'no plugin at hand makes sockets; passing it on is judged by result.prev-newest'),
  point(573, 'MAY', 'pciID', 'needs hardware; passing it on is judged by result.prev-newest'),
  point(574, undefined, 'ips'),
  point(575, undefined, 'address in CIDR notation'),
  point(576, undefined, 'gateway'),
  point(577, undefined, 'index into interfaces'),
  point(578, undefined, 'routes'),
  point(579, undefined, 'dst'),
  point(580, undefined, 'gw'),
  point(581, undefined, 'mtu of a route'),
  point(582, undefined, 'advmss'),
  point(583, undefined, 'priority'),
  point(584, undefined, 'table'),
  point(585, undefined, 'scope'),
  point(586, undefined, 'dns', 'the text says where it comes from no more: judged under libcni-compat as result.dns'),
  point(592, 'MUST', 'prevResult is passed on'),
  point(597, 'MUST', 'the abbreviated result of an IPAM plugin'),
  point(602, 'MUST', 'the keys of a VERSION reply'),
  point(617, 'SHOULD', 'the keys of an error'),
  point(635, undefined, 'codes up to 99 are reserved'),
  point(639, undefined, 'code 1'),
  point(640, 'MUST', 'code 2 names key and value'),
  point(641, undefined, 'code 3', 'no call of the suite makes a plugin say that a container does not exist'),
  point(642, 'MUST', 'code 4 names the variables'),
  point(643, undefined, 'code 5'),
  point(644, undefined, 'code 6'),
  point(645, undefined, 'code 7'),
  point(646, 'MAY', 'code 11', 'a plugin may ask to be called again later; nothing to judge'),
  point(652, 'MUST', 'the keys of a VERSION reply, once more')
]

/** Lines with a word of duty that bind nobody, a runtime, an administrator, or the specification itself. */
export const OTHERS: Readonly<Record<string, readonly number[]>> = {
  runtime: [
    118, 195, 215, 305, 306, 307, 308, 309, 310, 327, 381, 385, 401, 407, 408, 409, 411, 412, 413, 414, 426, 437, 453,
    468, 491, 492, 493, 498, 515
  ],
  administrator: [113, 120, 121, 138],
  'the specification, or a word used otherwise': [
    65, 78, 117, 123, 132, 139, 140, 141, 142, 143, 198, 208, 257, 323, 371, 403, 418, 420, 481, 504, 530, 532, 549, 595
  ]
}

/** The clauses of SPEC.md by the lines that they stand for, as of the newest version. */
export function clausesByLine(clauses: readonly Clause[]): ReadonlyMap<number, readonly Clause[]> {
  const found = new Map<number, readonly Clause[]>()
  for (const clause of clauses.filter(({ source, since }) => source === 'spec' && atLeast('1.1.0', since)))
    for (const line of clause.lines) found.set(line, [...(found.get(line) ?? []), clause])
  return found
}
