/** Plugins that are broken in what they do: ADD, DEL, CHECK, STATUS, GC, delegation, endurance. */
import { edited, fed, MEMORY, type Mutation, mutation } from './mutation.ts'

/** Leaks that the first container of a network makes alone. */
const SHARED_LEAKS = [
  'a sysctl',
  'promiscuity',
  'an interface that hears every group',
  'a queue of another length',
  'an interface in a group'
]

export const OPERATION_MUTATIONS: readonly Mutation[] = [
  mutation(
    ['add.creates', 'add-makes-the-interface'],
    'leaves the interface down',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" link set eth0 down; exit $status'
  ),
  mutation(
    ['add.addresses', 'add-makes-the-interface'],
    'forgets an address',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" address del 10.77.0.5/24 dev eth0; exit $status'
  ),
  mutation(
    ['add.addresses', 'add-makes-the-interface'],
    'sets a route by another gateway',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" route replace 10.99.0.0/16 via 10.77.0.9; exit $status'
  ),
  mutation(
    ['add.exists', 'add-name-taken'],
    'replaces what has the name',
    '[ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" link del "$CNI_IFNAME" 2>/dev/null\nexec "$real"'
  ),
  mutation(
    ['add.failure-clean', 'add-ipam-fails'],
    'leaves a link after a failure',
    '"$real" && exit 0; ip link add junk0 type veth peer name junk1; exit 1'
  ),
  mutation(
    ['delegate.error-kept', 'add-ipam-fails'],
    'hides the words of IPAM',
    edited('s/the judge says no/something failed/')
  ),
  mutation(
    ['delegate.release', 'add-fails-late'],
    'does not release the address',
    `if [ "$CNI_COMMAND" = ADD ]; then
here=$(dirname "$(printf %s "$CNI_PATH" | cut -d: -f1)")
in=$(cat); printf %s "$in" | "$real"; status=$?
sed -i '/ DEL$/d' "$here"/records/judge-ipam/log
exit $status; fi
exec "$real"`
  ),
  mutation(['del.removes', 'del-usual'], 'DEL that does nothing', '[ "$CNI_COMMAND" = DEL ] && exit 0\nexec "$real"'),
  mutation(
    ['del.repeat', 'del-usual'],
    'a second DEL fails',
    `if [ "$CNI_COMMAND" = DEL ]; then [ -e "${MEMORY}" ] && { echo '{"code":3,"msg":"gone"}'; exit 1; }; touch "${MEMORY}"; fi\nexec "$real"`
  ),
  mutation(
    ['del.no-netns', 'del-empty-netns'],
    'DEL insists on a namespace',
    `[ "$CNI_COMMAND" = DEL ] && [ -z "$CNI_NETNS" ] && { echo '{"code":4,"msg":"CNI_NETNS"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    ['del.vanished-netns', 'del-vanished-netns'],
    'DEL insists that the namespace is there',
    `[ "$CNI_COMMAND" = DEL ] && [ -n "$CNI_NETNS" ] && [ ! -e "$CNI_NETNS" ] && { echo '{"code":3,"msg":"netns"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    ['del.no-prev', 'del-no-prev-result'],
    'DEL insists on prevResult',
    `in=$(cat); [ "$CNI_COMMAND" = DEL ] && case "$in" in *prevResult*) ;; *) echo '{"code":7,"msg":"prevResult"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    ['del.complete', 'del-usual'],
    'leaves a file per container',
    'mkdir -p /run/cni; [ "$CNI_COMMAND" = ADD ] && touch "/run/cni/$CNI_CONTAINERID"\nexec "$real"'
  ),
  ...(
    [
      ['a rule of iptables-legacy', 'iptables-legacy -A INPUT -s 192.0.2.77 -j ACCEPT'],
      ['a set of ipset', 'ipset create "judge$$" hash:ip'],
      ['a sysctl', 'echo 1 >/proc/sys/net/ipv4/conf/all/log_martians'],
      ['promiscuity', 'ip link set uplink promisc on'],
      ['an interface that hears every group', 'ip link set uplink allmulticast on'],
      [
        'a filter on the uplink',
        'tc qdisc add dev uplink clsact 2>/dev/null; tc filter add dev uplink ingress protocol ip prio $$ u32 match ip dst 10.9.9.9 flowid 1:1'
      ],
      ['a policy of IPsec', 'ip xfrm policy add src "10.9.$(($$ / 250)).$(($$ % 250))" dst 10.9.9.9 dir out'],
      ['a route in the table local', 'ip route add local "10.9.9.$(($$ % 250))" dev lo table local'],
      ['another name of an interface', 'ip link property add dev uplink altname "x$$"'],
      ['a queue of another length', 'ip link set uplink txqueuelen 77'],
      ['an interface in a group', 'ip link set uplink group 7'],
      ['an address for the link alone', 'ip address add "10.9.9.$(($$ % 250))/32" dev uplink scope link'],
      ['a next hop', 'ip nexthop add id $$ blackhole'],
      ['a mount', 'mkdir -p "/run/leak-$$" && mount -t tmpfs none "/run/leak-$$"'],
      ['a named namespace', 'ip netns add "leak-$$"'],
      ['a process', 'sleep 30 </dev/null >/dev/null 2>&1 &'],
      ['a file where nobody looks', 'echo x >"/opt/judge-leak-$$"'],
      ['a file beside its state', 'echo x >"/tmp/judge-leak-$$"']
    ] as const
  ).map(([what, command]) =>
    mutation(
      ['del.complete', SHARED_LEAKS.includes(what) ? 'del-last' : 'del-usual'],
      `leaves ${what}`,
      `"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && { ${command} ; } >&2; exit $status`.replace('& ; }', '& }')
    )
  ),
  mutation(
    ['del.complete', 'del-usual'],
    "takes the host's way out along",
    '"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && ip route del default 2>/dev/null; exit $status'
  ),
  mutation(
    ['del.others', 'del-others'],
    'DEL removes the bridge',
    '"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && ip link del judge0; exit $status'
  ),
  mutation(
    ['del.others', 'del-others'],
    "gives everybody's address back",
    '"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && rm -f /var/lib/cni/networks/judgenet/10.*; exit $status',
    'host-local'
  ),
  mutation(
    ['del.others', 'del-other-interface'],
    'knows containers by their ID alone',
    '"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && grep -l "$CNI_CONTAINERID" /var/lib/cni/networks/judgenet/10.* | xargs -r rm; exit $status',
    'host-local'
  ),
  mutation(
    ['del.others', 'del-alike'],
    'gives back the addresses of all whose ID begins so',
    `"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && grep -l "^$CNI_CONTAINERID" /var/lib/cni/networks/judgenet/10.* | while read -r lease; do
tail -n1 "$lease" | grep -qx "$CNI_IFNAME" && rm "$lease"; done; exit $status`,
    'host-local'
  ),
  mutation(
    ['del.others', 'del-alike'],
    'removes all interfaces whose name begins so',
    `inside() { ip -n "$(basename "$CNI_NETNS")" "$@"; }
[ "$CNI_COMMAND" = DEL ] && [ -e "$CNI_NETNS" ] && for name in $(inside -o link | cut -d: -f2 | cut -d@ -f1); do
case $name in "$CNI_IFNAME"?*) inside link del "$name";; esac; done
exec "$real"`
  ),
  mutation(
    ['del.container', 'del-usual'],
    'leaves a rule of routing in the container',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" rule add from 10.88.0.0/16 lookup 100; exit $status',
    'tuning'
  ),
  mutation(
    ['add.private-files', 'add-private-files'],
    'lets everybody write its state',
    'mkdir -p /run/cni; umask 0; mkdir -p /run/cni/of-bridge; [ "$CNI_COMMAND" = ADD ] && echo x >"/run/cni/of-bridge/$CNI_CONTAINERID"\nexec "$real"'
  ),
  mutation(
    ['status.changes-nothing', 'status-ready'],
    'STATUS that makes its bridge',
    '[ "$CNI_COMMAND" = STATUS ] && ip link add judge0 type bridge\nexec "$real"'
  ),
  mutation(
    ['delegate.once', 'delegate-call'],
    'asks for an address twice',
    `in=$(cat); [ "$CNI_COMMAND" = ADD ] && printf %s "$in" | "$(printf %s "$CNI_PATH" | cut -d: -f1)/judge-ipam" >/dev/null
printf %s "$in" | "$real"`
  ),
  mutation(
    ['gc.removes', 'gc-by-interface'],
    'GC knows containers by their ID alone',
    fed('s/\\{"containerID":"([^"]*)","ifname":"eth0"\\}/&,{"containerID":"\\1","ifname":"net1"}/g', 'GC'),
    'host-local'
  ),
  mutation(
    ['check.own-work', 'check-reservation-gone'],
    'CHECK of an IPAM plugin that is blind',
    '[ "$CNI_COMMAND" = CHECK ] && exit 0\nexec "$real"',
    'host-local'
  ),
  mutation(
    ['check.tolerates', 'check-later-routes'],
    'CHECK wants a default route whatever became of it',
    `[ "$CNI_COMMAND" = CHECK ] && ! ip -n "$(basename "$CNI_NETNS")" route | grep -q ^default && { echo '{"code":100,"msg":"route"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    ['check.holds', 'check-after-add'],
    'CHECK that always fails',
    `[ "$CNI_COMMAND" = CHECK ] && { echo '{"code":100,"msg":"no"}'; exit 1; }\nexec "$real"`
  ),
  ...[
    ['check.interface', 'check-interface-removed'],
    ['check.address', 'check-address-removed'],
    ['check.route', 'check-route-removed'],
    ['check.mac', 'check-mac-changed'],
    ['check.netns', 'check-netns-gone'],
    ['check.host-side', 'check-host-side'],
    ['check.unreachable', 'check-interface-down'],
    ['check.consults', 'check-consults-prev'],
    ['delegate.error-returned', 'delegate-fails'],
    ['delegate.check', 'delegate-call']
  ].map(([clause = '', caseId = '']) =>
    mutation([clause, caseId], `CHECK that is blind (${caseId})`, '[ "$CNI_COMMAND" = CHECK ] && exit 0\nexec "$real"')
  ),
  mutation(
    ['check.needs-prev', 'check-needs-prev'],
    'CHECK is content with nothing',
    `in=$(cat); [ "$CNI_COMMAND" = CHECK ] && case "$in" in *prevResult*) ;; *) exit 0;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    ['check.tolerates', 'check-tolerates'],
    'CHECK wants to be alone',
    `[ "$CNI_COMMAND" = CHECK ] && [ "$(ip -n "$(basename "$CNI_NETNS")" -o -4 address show dev eth0 | wc -l)" -gt 1 ] && { echo '{"code":100,"msg":"more"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    ['check.tolerates', 'check-later-mac'],
    'CHECK wants the hardware address that ADD gave',
    `mac() { ip -n "$(basename "$CNI_NETNS")" -o link show eth0 | grep -o 'ether [^ ]*'; }
[ "$CNI_COMMAND" = CHECK ] && [ "$(mac)" != "$(cat "${MEMORY}")" ] && { echo '{"code":100,"msg":"mac"}'; exit 1; }
"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && mac >"${MEMORY}"; exit $status`
  ),
  mutation(
    ['check.own-work', 'check-mtu-changed'],
    'tuning whose CHECK is blind',
    '[ "$CNI_COMMAND" = CHECK ] && exit 0\nexec "$real"',
    'tuning'
  ),
  mutation(
    ['gc.keeps', 'gc-keeps-and-removes'],
    'GC that removes everybody',
    fed('s/"cni.dev\\/(valid-)?attachments":\\[[^]]*\\]/"cni.dev\\/\\1attachments":[]/g', 'GC')
  ),
  mutation(
    ['gc.removes', 'gc-keeps-and-removes'],
    'GC that does nothing',
    '[ "$CNI_COMMAND" = GC ] && exit 0\nexec "$real"'
  ),
  mutation(
    ['status.ready', 'status-ready'],
    'STATUS that always fails',
    `[ "$CNI_COMMAND" = STATUS ] && { echo '{"code":50,"msg":"no"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    ['status.not-ready', 'status-not-ready'],
    'STATUS that is always content',
    '[ "$CNI_COMMAND" = STATUS ] && exit 0\nexec "$real"',
    'host-local'
  ),
  mutation(
    ['gc.key', 'gc-keys'],
    'reads the list under its old name alone, and takes one that is not there for an empty one',
    fed(
      '/cni.dev\\/attachments/!s/"cni.dev\\/valid-attachments":\\[[^]]*\\]/"cni.dev\\/attachments":[]/; s/cni.dev\\/valid-attachments/cni.dev\\/attachments-/',
      'GC'
    )
  ),
  mutation(
    ['gc.goes-on', 'gc-goes-on'],
    'stops GC at the first error',
    `in=$(cat); if [ "$CNI_COMMAND" = GC ]; then
out=$(printf %s "$in" | "$(printf %s "$CNI_PATH" | cut -d: -f1)/judge-ipam") || { printf %s "$out"; exit 1; }; fi
printf %s "$in" | "$real"`
  ),
  mutation(
    ['delegate.error-returned', 'gc-goes-on'],
    'swallows the failure of IPAM at GC',
    '[ "$CNI_COMMAND" = GC ] && { "$real" >/dev/null; exit 0; }\nexec "$real"'
  ),
  mutation(
    ['delegate.error-returned', 'delegate-fails'],
    'swallows the failure of IPAM at DEL',
    '[ "$CNI_COMMAND" = DEL ] && { "$real" >/dev/null; exit 0; }\nexec "$real"'
  ),
  mutation(
    ['status.no-gate', 'status-no-gate'],
    'refuses DEL while STATUS fails',
    `in=$(cat); [ "$CNI_COMMAND" = DEL ] && { printf %s "$in" | CNI_COMMAND=STATUS "$real" || exit 1; }\nprintf %s "$in" | "$real"`
  ),
  mutation(['delegate.environment', 'delegate-call'], 'IPAM gets another environment', 'CNI_ARGS= exec "$real"'),
  mutation(
    ['delegate.environment', 'delegate-call'],
    'IPAM gets the usual variables alone',
    'unset JUDGE_TRACE\nexec "$real"'
  ),
  mutation(
    ['delegate.configuration', 'delegate-call'],
    'IPAM gets no prevResult',
    fed('s/"prevResult":\\{.*\\},"args"/"args"/', 'DEL')
  ),
  mutation(
    ['delegate.configuration', 'delegate-call'],
    'IPAM gets no arguments of the runtime',
    fed('s/"runtimeConfig"/"ofTheRuntime"/')
  ),
  mutation(
    ['delegate.configuration', 'delegate-call'],
    'IPAM gets a part of the configuration',
    fed('s/"judge":\\{/"jugde":{/')
  ),
  mutation(
    ['delegate.del-always', 'delegate-del-always'],
    'forgets IPAM when there is no namespace',
    fed('s/"ipam":\\{[^}]*\\}/"ipam":{}/', 'DEL')
  ),
  mutation(
    ['lifecycle.concurrent', 'concurrent'],
    'gives one address to everybody',
    edited('s/10\\.77\\.[0-9]+\\.[0-9]+/10.77.0.9/'),
    'host-local'
  ),
  mutation(
    ['delegate.search-order', 'delegate-search'],
    'the last folder of CNI_PATH wins',
    'CNI_PATH=$(printf "%s\\n" "$CNI_PATH" | tr : "\\n" | tac | paste -sd:) exec "$real"'
  ),
  mutation(
    ['delegate.missing', 'delegate-missing'],
    'does without IPAM when there is none',
    fed('s/"ipam":\\{"type":"no-such-plugin"\\}/"ipam":{}/')
  ),
  mutation(['delegate.error', 'add-ipam-fails'], 'a failure of IPAM is none', '"$real"; exit 0'),
  mutation(
    ['delegate.garbage', 'delegate-garbage'],
    'prints what IPAM prints',
    `[ "$CNI_COMMAND" = ADD ] && { cat >/dev/null; "$(printf %s "$CNI_PATH" | cut -d: -f1)/judge-ipam" </dev/null; exit $?; }\nexec "$real"`
  ),
  mutation(
    ['delegate.del', 'delegate-call'],
    'forgets IPAM on DEL',
    fed('s/"ipam":\\{.*\\},"args"/"ipam":{},"args"/', 'DEL')
  ),
  mutation(
    ['delegate.configuration', 'delegate-gc'],
    'keeps from IPAM who is still alive',
    `in=$(cat); [ "$CNI_COMMAND" = GC ] && printf %s "$in" | sed -E 's/"cni.dev\\/(valid-)?attachments":/"x\\1":/g' |
"$(printf %s "$CNI_PATH" | cut -d: -f1)/judge-ipam" >/dev/null; printf %s "$in" | "$real"`
  ),
  mutation(['delegate.gc', 'delegate-gc'], 'keeps GC to itself', '[ "$CNI_COMMAND" = GC ] && exit 0\nexec "$real"'),
  mutation(
    ['delegate.status', 'status-no-gate'],
    'keeps STATUS to itself',
    '[ "$CNI_COMMAND" = STATUS ] && exit 0\nexec "$real"'
  ),
  mutation(['mac.sources', 'mac-sources'], 'ignores CNI_ARGS', 'CNI_ARGS= exec "$real"'),
  mutation(
    ['robust.input', 'fuzz-input'],
    'crashes on lists',
    'in=$(cat); case "$in" in "["*) kill -SEGV $$;; esac\nprintf %s "$in" | "$real"'
  ),
  mutation(['robust.signals', 'streams'], 'ignores SIGTERM', `trap '' TERM; in=$(cat); printf %s "$in" | "$real"`),
  mutation(
    ['robust.parallel', 'parallel'],
    'gives one address to everybody',
    edited('s/10\\.77\\.[0-9]+\\.[0-9]+/10.77.0.9/'),
    'host-local'
  ),
  mutation(
    ['robust.state', 'state-damaged'],
    'trips over its own damaged files',
    `for f in /var/lib/cni/networks/judgenet/10.*; do [ -e "$f" ] && ! grep -q judge-box "$f" && { echo '{"code":100,"msg":"torn"}'; exit 1; }; done\nexec "$real"`,
    'host-local'
  ),
  mutation(
    ['robust.random', 'random-history'],
    'loses every lease',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && rm -f /var/lib/cni/networks/judgenet/10.*; exit $status',
    'host-local'
  ),
  mutation(
    ['robust.kill', 'kill-in-add'],
    'a file per ADD that nobody removes',
    'mkdir -p /run/cni; [ "$CNI_COMMAND" = ADD ] && touch "/run/cni/$CNI_CONTAINERID-$$"\nexec "$real"',
    'host-local'
  ),
  mutation(
    ['robust.slow-disk', 'disk-slow'],
    'takes what is in the file when it looks, and writes late',
    `[ "$CNI_COMMAND" = ADD ] || exec "$real"
n=$(cat /run/patchbay-conformance/next 2>/dev/null || echo 5); out=$("$real"); status=$?
echo $((n + 1)) >/run/patchbay-conformance/next
printf '%s' "$out" | sed "s/10\\.77\\.[0-9]*\\.[0-9]*/10.77.9.$n/"; exit $status`,
    'host-local'
  ),
  mutation(
    ['robust.clock', 'clock-set'],
    'believes nothing that is older than a year',
    'find /var/lib/cni/networks/judgenet -type f -mtime +365 -delete 2>/dev/null; exec "$real"',
    'host-local'
  ),
  mutation(
    ['check.netns-of-chain', 'check-netns-of-chain-gone'],
    'CHECK of a chained plugin that never looks into the container',
    '[ "$CNI_COMMAND" = CHECK ] && exit 0\nexec "$real"',
    'firewall'
  ),
  mutation(
    ['delegate.add-failed', 'add-ipam-fails'],
    'says nothing to IPAM after its failure',
    `if [ "$CNI_COMMAND" = ADD ]; then
here=$(dirname "$(printf %s "$CNI_PATH" | cut -d: -f1)")
in=$(cat); printf %s "$in" | "$real"; status=$?
sed -i '/ DEL$/d' "$here"/records/judge-ipam/log
exit $status; fi
exec "$real"`
  ),
  mutation(
    ['robust.failed-del', 'fault-failed-del'],
    'gives the address back first',
    `in=$(cat); [ "$CNI_COMMAND" = DEL ] && printf %s "$in" | "$(printf %s "$CNI_PATH" | cut -d: -f1)/judge-ipam"
printf %s "$in" | "$real"`
  ),
  mutation(
    ['robust.foreign-link', 'fault-foreign-link'],
    'DEL removes whatever has the name',
    '[ "$CNI_COMMAND" = DEL ] && ip -n "$(basename "$CNI_NETNS")" link del eth0 2>/dev/null\nexec "$real"'
  ),
  mutation(
    ['robust.host-interface', 'fault-host-interface'],
    'DEL without namespace looks for the interface on the host',
    '[ "$CNI_COMMAND" = DEL ] && [ -z "$CNI_NETNS" ] && ip link del "$CNI_IFNAME" 2>/dev/null\nexec "$real"'
  ),
  mutation(
    ['robust.router-advertisement', 'fault-router-advertisement'],
    'lets its bridge listen to routers',
    '"$real"; status=$?; echo 2 >/proc/sys/net/ipv6/conf/judge0/accept_ra; exit $status'
  ),
  mutation(
    ['robust.loopback-exposure', 'fault-loopback-exposure'],
    "opens the host's loopback without a guard",
    `"$real"; status=$?; nft flush ruleset; echo 1 >/proc/sys/net/ipv4/conf/judgebr/route_localnet; exit $status`,
    'portmap'
  ),
  mutation(
    ['robust.negative-index', 'fault-negative-index'],
    'refuses an index below 0',
    `in=$(cat); case "$in" in *'"interface":-1'*) echo '{"code":7,"msg":"interface"}'; exit 1;; esac\nprintf %s "$in" | "$real"`,
    'tuning'
  ),
  mutation(
    ['robust.wrapped', 'fault-wrapped'],
    'wants to be called by its name',
    '[ "$(basename "$0")" = bridge ] || exit 1\nexec "$real"'
  )
]
