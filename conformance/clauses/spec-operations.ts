/** What SPEC.md asks of ADD, DEL, CHECK, STATUS and GC, of results, and of delegation. */
import { type Clause, since, spec } from './clause.ts'

const RESULT: readonly Clause[] = [
  spec(
    'result.version',
    since('0.2.0', 'MUST'),
    ['ADD success', 564, 566],
    'A result names the cniVersion of the configuration.'
  ),
  spec(
    'result.form',
    'MUST',
    ['ADD success', 564],
    'A result has the form of its version: ip4 and ip6 before 0.3.0, ips with a version up to 0.4.0, ips after.'
  ),
  spec(
    'result.interface',
    since('0.3.0', 'MUST'),
    ['ADD success', 567, 568],
    'A plugin that makes an interface lists it by its name.'
  ),
  spec(
    'result.sandbox',
    [
      ['0.3.0', 'MUST'],
      ['1.0.0', 'SHOULD']
    ],
    ['ADD success', 571],
    'The sandbox of an interface inside the container is the value of CNI_NETNS.'
  ),
  spec(
    'result.host-interface',
    since('0.3.0', 'MUST'),
    ['ADD success', 567, 571],
    'Interfaces that are listed exist; those on the host have no sandbox.'
  ),
  spec(
    'result.all-interfaces',
    since('0.3.0', 'MUST'),
    ['ADD success', 567],
    'Interfaces that an attachment makes on the host, or beside its own in the container, are listed as well.'
  ),
  spec(
    'result.mac',
    since('0.3.0', 'SHOULD'),
    ['ADD success', 569],
    'A listed interface shows the hardware address that it has.'
  ),
  spec('result.mtu', since('1.1.0', 'SHOULD'), ['ADD success', 570], 'A listed interface shows the MTU that it has.'),
  spec(
    'result.ip-index',
    since('0.3.0', 'MUST'),
    ['ADD success', 577],
    'The interface of an address is an index into the list and leads to the one inside the container.'
  ),
  spec(
    'result.addresses',
    since('0.3.0', 'MUST'),
    ['ADD success', 574, 575, 576],
    'Addresses carry a prefix length, gateways do not, and both are those that the IPAM plugin gave.'
  ),
  spec(
    'result.all-addresses',
    since('0.3.0', 'MUST'),
    ['ADD success', 574],
    'The interface has no address that the result does not tell of.'
  ),
  spec(
    'result.routes',
    since('0.3.0', 'MUST'),
    ['ADD success', 578, 579, 580],
    'Routes are those that the IPAM plugin gave.'
  ),
  spec(
    'result.route-attributes',
    since('1.1.0', 'MUST'),
    ['ADD success', 581, 582, 583, 584, 585],
    'Attributes of the routes that the IPAM plugin gave (mtu, advmss, priority, table, scope) are in the result.'
  ),
  spec(
    'result.prev',
    since('0.3.0', 'MUST'),
    ['ADD success', 241, 592],
    'A plugin that was given a prevResult passes it on, with its own changes.'
  ),
  spec(
    'result.prev-newest',
    since('1.1.0', 'MUST'),
    ['ADD success', 592],
    'What 1.1.0 added to a prevResult (mtu, socketPath, pciID; attributes of routes) is passed on as well.'
  ),
  spec(
    'result.ipam',
    since('0.3.0', 'MUST'),
    ['Delegated plugins (IPAM)', 536, 597],
    'An IPAM plugin lists no interfaces and its addresses have no index.'
  )
]

const ADD: readonly Clause[] = [
  spec('add.works', 'MUST', ['ADD', 241], 'ADD succeeds where nothing stands in its way.'),
  spec(
    'add.creates',
    [
      ['0.1.0', 'MUST'],
      ['1.0.0', 'SHOULD']
    ],
    ['ADD', 237],
    'ADD makes the interface CNI_IFNAME inside the namespace, up.'
  ),
  spec('add.addresses', 'MUST', ['ADD success', 574, 578], 'The addresses and routes of the result are really set.'),
  spec(
    'add.route-attributes',
    since('1.1.0', 'SHOULD'),
    ['ADD success', 581, 582, 583, 584, 585],
    'Attributes of routes in the result are really set.'
  ),
  spec(
    'add.exists',
    since('1.0.0', 'MUST'),
    ['ADD', 243],
    'ADD fails when an interface of that name is already in the namespace.'
  ),
  spec(
    'add.second-interface',
    'SHOULD',
    ['ADD', 245],
    'One container can be added twice to one network under two interface names.'
  ),
  spec(
    'lifecycle.concurrent',
    since('1.0.0', 'MUST'),
    ['Lifecycle', 410],
    'Containers can be added to one network at the same time: none fails, no address is given twice.'
  )
]

const DEL: readonly Clause[] = [
  spec(
    'del.removes',
    'SHOULD',
    ['DEL', 263],
    'DEL removes the interface from the namespace and what belongs to it from the host.'
  ),
  spec(
    'del.repeat',
    [
      ['0.3.0', 'SHOULD'],
      ['1.0.0', 'MUST']
    ],
    ['DEL', 269],
    'A second DEL succeeds.'
  ),
  spec(
    'del.never-added',
    [
      ['0.3.0', 'SHOULD'],
      ['1.0.0', 'MUST']
    ],
    ['DEL', 269],
    'DEL of what was never added succeeds.'
  ),
  spec(
    'del.no-netns',
    [
      ['0.4.0', 'SHOULD'],
      ['1.0.0', 'MUST']
    ],
    ['DEL', 269, 280],
    'DEL without CNI_NETNS succeeds.'
  ),
  spec('del.vanished-netns', since('0.3.0', 'SHOULD'), ['DEL', 267], 'DEL succeeds when the namespace is gone.'),
  spec(
    'del.no-prev',
    since('0.4.0', 'SHOULD'),
    ['DEL', 267],
    'DEL succeeds, and removes the interface, without prevResult (in so many words in 0.4.0 and after 1.1.0).'
  ),
  spec(
    'del.interface-gone',
    [
      ['0.3.0', 'SHOULD'],
      ['1.0.0', 'MUST']
    ],
    ['DEL', 269],
    'DEL succeeds when somebody else removed the interface.'
  ),
  spec(
    'del.complete',
    'SHOULD',
    ['DEL', 263, 267],
    'After DEL, whatever was missing of namespace or prevResult, the host is as before ADD.'
  ),
  spec('del.others', 'MUST', ['DEL', 263, 269], 'DEL of one container leaves the others of the network alone.')
]

const CHECK: readonly Clause[] = [
  spec('check.holds', since('0.4.0', 'MUST'), ['CHECK', 300], 'CHECK succeeds right after ADD.'),
  spec(
    'check.consults',
    since('0.4.0', 'MUST'),
    ['CHECK', 290],
    'CHECK consults prevResult: one with an address that is not there is an error.'
  ),
  spec('check.interface', since('0.4.0', 'SHOULD'), ['CHECK', 292], 'CHECK fails when the interface is gone.'),
  spec(
    'check.address',
    since('0.4.0', 'SHOULD'),
    ['CHECK', 292],
    'CHECK fails when an address of the result is gone or another.'
  ),
  spec('check.route', since('0.4.0', 'SHOULD'), ['CHECK', 292], 'CHECK fails when a route of the result is gone.'),
  spec('check.mac', since('0.4.0', 'SHOULD'), ['CHECK', 292], 'CHECK fails when the hardware address is another.'),
  spec('check.netns', since('0.4.0', 'SHOULD'), ['CHECK', 292, 299], 'CHECK fails when the namespace is gone.'),
  spec('check.unreachable', since('0.4.0', 'SHOULD'), ['CHECK', 299], 'CHECK fails when the interface was set down.'),
  spec(
    'check.host-side',
    since('0.4.0', 'SHOULD'),
    ['CHECK', 293],
    'CHECK fails when the host side of the attachment was taken apart.'
  ),
  spec(
    'check.own-work',
    since('0.4.0', 'SHOULD'),
    ['CHECK', 292, 293],
    'CHECK fails when what the plugin itself set up, such as rules, queues or a reservation, is gone.'
  ),
  spec(
    'check.tolerates',
    since('0.4.0', 'MUST'),
    ['CHECK', 291],
    'CHECK accepts what later plugins of the chain changed or added: routes, addresses, a hardware address.'
  )
]

const STATUS: readonly Clause[] = [
  spec('status.ready', since('1.1.0', 'MUST'), ['STATUS', 333], 'STATUS succeeds when ADD could.'),
  spec(
    'status.not-ready',
    since('1.1.0', 'SHOULD'),
    ['STATUS', 335],
    'STATUS fails when ADD could not succeed for a reason that the plugin can see.'
  ),
  spec('status.error', since('1.1.0', 'MUST'), ['STATUS', 333], 'STATUS that fails prints an error on stdout.'),
  spec('status.code', since('1.1.0', 'SHOULD'), ['STATUS', 340], 'STATUS that fails does so with code 50 or 51.'),
  spec('status.not-needed', since('1.1.0', 'MUST'), ['STATUS', 343], 'ADD works although nobody asked for STATUS.'),
  spec(
    'status.no-gate',
    since('1.1.0', 'SHOULD'),
    ['STATUS', 344],
    'CHECK, DEL and GC are served while STATUS fails, and so is ADD.'
  )
]

const GC: readonly Clause[] = [
  spec(
    'gc.removes',
    since('1.1.0', 'SHOULD'),
    ['GC', 375],
    'GC removes what belongs to attachments of the network that are not listed and whose namespace is gone.'
  ),
  spec(
    'gc.keeps',
    since('1.1.0', 'MUST'),
    ['GC', 369, 387],
    'GC touches no attachment that is listed, and none of another network.'
  ),
  spec('gc.repeat', since('1.1.0', 'SHOULD'), ['GC', 377], 'GC succeeds when there is nothing to remove.'),
  spec(
    'gc.goes-on',
    since('1.1.0', 'SHOULD'),
    ['GC', 377],
    'GC goes on after an error of the IPAM plugin: its own resources are removed, and the error is reported.'
  )
]

const DELEGATION: readonly Clause[] = [
  spec(
    'delegate.environment',
    [
      ['0.1.0', 'SHOULD'],
      ['0.4.0', 'MUST']
    ],
    ['Delegation', 541, 551],
    'The IPAM plugin gets the same environment.'
  ),
  spec(
    'delegate.configuration',
    'MUST',
    ['Delegation', 543, 551],
    'The IPAM plugin gets the whole configuration, not only the part named ipam.'
  ),
  spec(
    'delegate.search',
    'SHOULD',
    ['Delegation procedure', 541, 550],
    'The IPAM plugin is looked for in all the folders of CNI_PATH.'
  ),
  spec('delegate.error', 'MUST', ['Delegation', 229, 545], 'A failure of the IPAM plugin makes ADD fail.'),
  spec(
    'delegate.garbage',
    'MUST',
    ['Delegation', 545],
    'An IPAM plugin that prints no result has not succeeded: ADD fails.'
  ),
  spec(
    'delegate.stderr',
    since('1.0.0', 'SHOULD'),
    ['Delegation procedure', 552],
    'What the IPAM plugin writes on stderr is passed through.'
  ),
  spec('delegate.add', 'MUST', ['Delegation', 536], 'ADD is handed on to IPAM.'),
  spec(
    'delegate.add-failed',
    since('1.0.0', 'SHOULD'),
    ['Delegation procedure', 556],
    'When IPAM fails at ADD it is asked to DEL before the plugin returns.'
  ),
  spec(
    'delegate.del',
    [
      ['0.1.0', 'SHOULD'],
      ['1.0.0', 'MUST']
    ],
    ['Delegation procedure', 554],
    'DEL is handed on to IPAM.'
  ),
  spec(
    'delegate.del-always',
    since('0.3.0', 'SHOULD'),
    ['DEL', 267],
    'DEL is handed on to IPAM also when namespace or interface are gone.'
  ),
  spec(
    'delegate.check',
    [
      ['0.4.0', 'SHOULD'],
      ['1.0.0', 'MUST']
    ],
    ['Delegation procedure', 301, 554],
    'CHECK is handed on to IPAM.'
  ),
  spec('delegate.gc', since('1.1.0', 'MUST'), ['GC', 379, 554], 'GC is handed on to IPAM.'),
  spec('delegate.status', since('1.1.0', 'MUST'), ['STATUS', 345], 'STATUS is handed on to IPAM.'),
  spec(
    'delegate.error-returned',
    since('0.4.0', 'SHOULD'),
    ['Delegation procedure', 301, 345, 554],
    'A failure of the IPAM plugin at CHECK, DEL, GC or STATUS is returned.'
  ),
  spec('delegate.versions', 'MUST', ['Versions', 193], "Results of IPAM are understood in the configuration's version.")
]

export const SPEC_OPERATIONS: readonly Clause[] = [...RESULT, ...ADD, ...DEL, ...CHECK, ...STATUS, ...GC, ...DELEGATION]
