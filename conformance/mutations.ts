/**
 * Broken plugins, one per class of clause: shell scripts around a plugin that works. The suite's own test demands that
 * each is caught, because a judge that never finds anything proves nothing.
 */

export interface Mutation {
  /** What is wrong with it. */
  readonly name: string
  readonly plugin: string
  /**
   * A script in which `$real` is the plugin that works and `real` runs it; what it prints and its exit status are what
   * the judge sees.
   */
  readonly script: string
  readonly caseId: string
  /** The clause that must be found broken. */
  readonly clause: string
}

function mutation(clause: string, caseId: string, name: string, script: string, plugin = 'bridge'): Mutation {
  return { name, plugin, script, caseId, clause }
}

/** Passes the real output through sed. */
function edited(expression: string, verbs = 'ADD'): string {
  return `case "$CNI_COMMAND" in ${verbs}) ;; *) exec "$real";; esac
out=$("$real"); status=$?
printf '%s' "$out" | tr -d '\\n' | sed -E '${expression}'
exit $status`
}

/** Passes the input through sed. */
function fed(expression: string, verbs = '*'): string {
  return `case "$CNI_COMMAND" in ${verbs}) sed -E '${expression}' | "$real";; *) exec "$real";; esac`
}

const MEMORY = '/run/patchbay-conformance/mutation-$CNI_CONTAINERID-$CNI_IFNAME'

export const MUTATIONS: readonly Mutation[] = [
  mutation(
    'env.command',
    'env-unknown-command',
    'takes any verb',
    'case "$CNI_COMMAND" in ADD|DEL|CHECK|GC|STATUS|VERSION) exec "$real";; *) exit 0;; esac'
  ),
  mutation(
    'env.missing-named',
    'env-all-missing',
    'names the first variable only',
    edited('s/CNI_IFNAME/the name/g', '*')
  ),
  mutation(
    'env.container-id-long',
    'env-container-id-long',
    'cuts container IDs to 40 characters',
    'CNI_CONTAINERID=$(printf %s "$CNI_CONTAINERID" | cut -c1-40) exec "$real"',
    'host-local'
  ),
  mutation(
    'env.netns-of-process',
    'env-netns-of-process',
    'takes named namespaces only',
    `case "$CNI_COMMAND:$CNI_NETNS" in ADD:/proc/*) echo '{"code":4,"msg":"CNI_NETNS"}'; exit 1;; esac\nexec "$real"`
  ),
  mutation(
    'env.code',
    'env-unknown-command',
    'a code of its own for unknown verbs',
    edited('s/"code": *4/"code": 100/', '*')
  ),
  mutation(
    'env.container-id',
    'env-without-containerid',
    'makes up a container ID',
    '[ -n "$CNI_CONTAINERID" ] || export CNI_CONTAINERID=made-up\nexec "$real"'
  ),
  mutation(
    'env.container-id-form',
    'env-container-id-form',
    'launders the container ID',
    'CNI_CONTAINERID=x$(printf %s "$CNI_CONTAINERID" | tr -cd a-z0-9-) exec "$real"'
  ),
  mutation(
    'env.netns',
    'env-without-netns',
    'adds to its own namespace when none is given',
    '[ -n "$CNI_NETNS" ] || { echo "{}"; exit 0; }\nexec "$real"'
  ),
  mutation(
    'env.ifname',
    'env-without-ifname',
    'takes eth0 for granted',
    '[ -n "$CNI_IFNAME" ] || export CNI_IFNAME=eth0\nexec "$real"'
  ),
  mutation(
    'env.ifname-form',
    'env-ifname-form',
    'cuts names to 15 bytes',
    'CNI_IFNAME=$(printf %s "$CNI_IFNAME" | cut -c1-15) exec "$real"'
  ),
  mutation('env.netns-not-a-namespace', 'env-bad-netns', 'says it went well whatever the namespace', '"$real"; exit 0'),
  mutation('env.none', 'env-none', 'no banner', '[ -n "$CNI_COMMAND" ] || exit 1\nexec "$real"'),
  mutation('stdin.not-json', 'stdin-not-json', 'takes no JSON for an empty object', '"$real"; exit 0'),
  mutation('stdin.not-json-code', 'stdin-not-json', 'code 100 for bad JSON', edited('s/"code": *6/"code": 100/', '*')),
  mutation('stdin.large', 'stdin-large', 'reads a page of its input', 'head -c 4096 | "$real"'),
  mutation('stdin.large', 'stdin-large', 'reads what a pipe holds', 'head -c 65536 | "$real"'),
  mutation(
    'error.code-2',
    'error-code-2',
    'code 2 without key and value',
    `in=$(cat); case "$in" in *judgeField*) echo '{"code":2,"msg":"unknown field"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    'stdin.name',
    'stdin-name',
    'names the network itself',
    fed('s/^\\{("cniVersion":"[^"]*"),"type"/{\\1,"name":"own","type"/; s/"name":""/"name":"own"/')
  ),
  mutation(
    'stdin.unknown-keys',
    'stdin-keys-of-others',
    'refuses keys it does not know',
    'in=$(cat); case "$in" in *ignoredByAll*) echo "{\\"code\\":7,\\"msg\\":\\"unknown\\"}"; exit 1;; esac\nprintf %s "$in" | "$real"'
  ),
  mutation(
    'stdin.key-case',
    'stdin-key-case',
    'reads keys in one letter case only',
    'in=$(cat); case "$in" in *BRIDGE*) echo "{\\"code\\":7,\\"msg\\":\\"no bridge\\"}"; exit 1;; esac\nprintf %s "$in" | "$real"'
  ),
  mutation('stdin.wrong-type', 'stdin-wrong-type', 'takes any type', fed('s/"mtu":"large"/"mtu":0/')),
  mutation(
    'version.reply',
    'version-reply',
    'VERSION without the list',
    edited('s/"supportedVersions"/"versions"/', 'VERSION')
  ),
  mutation(
    'version.echo',
    'version-reply',
    'VERSION in one version only',
    edited('s/"cniVersion": *"[^"]*"/"cniVersion":"0.0.9"/', 'VERSION')
  ),
  mutation(
    'version.unknown',
    'version-reply',
    'VERSION asked in a version that it does not know fails',
    `in=$(cat); case "$CNI_COMMAND$in" in VERSION*1.9.0*) echo '{"code":1,"msg":"1.9.0"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    'version.unsupported',
    'version-unsupported',
    'takes any version for 1.0.0',
    fed('s/"cniVersion":"(9.0.0|0.3.9)"/"cniVersion":"1.0.0"/')
  ),
  mutation(
    'version.all-work',
    'version-add-in-each',
    'fails in the version it lists first',
    `in=$(cat); case "$in" in *'"cniVersion":"0.3.1"'*) echo '{"code":100,"msg":"not in 0.3.1"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    'out.one-object',
    'output-success',
    'prints more than the result',
    '"$real"; status=$?; echo done; exit $status'
  ),
  mutation(
    'out.silent',
    'output-success',
    'GC that talks',
    '"$real"; status=$?; [ "$CNI_COMMAND" = GC ] && echo "{}"; exit $status'
  ),
  mutation(
    'out.silent-others',
    'output-success',
    'DEL that talks',
    '"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && echo "{}"; exit $status'
  ),
  mutation('out.exit', 'output-errors', 'exits 0 after errors', '"$real"; exit 0'),
  mutation('error.object', 'output-errors', 'errors without msg', edited('s/"msg"/"message"/', '*')),
  mutation(
    'error.version',
    'output-errors',
    'errors without cniVersion',
    edited('s/"cniVersion": *"[^"]*", *("code")/\\1/', '*')
  ),
  mutation(
    'error.reserved',
    'output-errors',
    'a code from the reserved numbers',
    edited('s/"code": *[0-9]+/"code": 42/', '*')
  ),
  mutation('result.version', 'result-forms', 'results without cniVersion', edited('s/"cniVersion": *"[^"]*",?//')),
  mutation('result.other-version', 'result-forms', 'newer keys in old results', edited('s/"ip4": */"ips":[],"ip4":/')),
  mutation(
    'result.form',
    'result-forms',
    'ips with version in every form',
    edited('s/"address": */"version":"4","address":/g')
  ),
  mutation(
    'result.other-version',
    'result-forms',
    'MTU in every form',
    edited('s/"name": *"eth0"/"name":"eth0","mtu":1500/')
  ),
  mutation('result.sandbox', 'result-interfaces', 'results without sandbox', edited('s/"sandbox"/"sandpit"/')),
  mutation('result.interface', 'result-interfaces', 'another name', edited('s/"name": *"eth0"/"name":"eth7"/')),
  mutation(
    'result.all-interfaces',
    'result-host-interfaces',
    "leaves out the host's end",
    edited('s/"name": *"veth[^"]*"/"name":"hidden"/g')
  ),
  mutation('result.route-attributes', 'result-route-attributes', 'drops advmss', edited('s/"advmss"/"mss"/g')),
  mutation(
    'result.prev-newest',
    'result-prev-newest',
    'drops what it does not know of a prevResult',
    edited('s/"socketPath"/"socket"/g'),
    'tuning'
  ),
  mutation(
    'result.host-interface',
    'result-interfaces',
    'every interface in the sandbox',
    edited('s/"name": *"judge0"/"name":"judge0","sandbox":"\\/run\\/netns\\/elsewhere"/')
  ),
  mutation(
    'result.mac',
    'result-interfaces',
    'a made-up hardware address',
    edited('s/"mac": *"[^"]*"/"mac":"02:00:00:00:00:01"/g')
  ),
  mutation(
    'result.ip-index',
    'result-addresses',
    'addresses that lead to the bridge',
    edited('s/"interface": *2/"interface": 0/g')
  ),
  mutation(
    'result.addresses',
    'result-addresses',
    'addresses without prefix',
    edited('s/"10.77.0.5\\/24"/"10.77.0.5"/')
  ),
  mutation('result.routes', 'result-addresses', 'results without routes', edited('s/"routes"/"roads"/')),
  mutation('result.dns', 'result-addresses', 'results without DNS', edited('s/"nameservers"/"servers"/')),
  mutation('result.prev', 'result-prev-passed-on', 'forgets what came before', edited('s/"routes"/"roads"/'), 'tuning'),
  mutation(
    'result.ipam',
    'result-of-ipam',
    'IPAM that lists interfaces',
    edited('s/"ips"/"interfaces":[{"name":"eth0"}],"ips"/'),
    'host-local'
  ),
  mutation(
    'add.creates',
    'add-makes-the-interface',
    'leaves the interface down',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" link set eth0 down; exit $status'
  ),
  mutation(
    'add.addresses',
    'add-makes-the-interface',
    'forgets an address',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" address del 10.77.0.5/24 dev eth0; exit $status'
  ),
  mutation(
    'add.exists',
    'add-name-taken',
    'replaces what has the name',
    '[ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" link del "$CNI_IFNAME" 2>/dev/null\nexec "$real"'
  ),
  mutation(
    'add.failure-clean',
    'add-ipam-fails',
    'leaves a link after a failure',
    '"$real" && exit 0; ip link add junk0 type veth peer name junk1; exit 1'
  ),
  mutation(
    'delegate.error-kept',
    'add-ipam-fails',
    'hides the words of IPAM',
    edited('s/the judge says no/something failed/')
  ),
  mutation(
    'delegate.release',
    'add-fails-late',
    'does not release the address',
    `if [ "$CNI_COMMAND" = ADD ]; then
here=$(dirname "$(printf %s "$CNI_PATH" | cut -d: -f1)")
in=$(cat); printf %s "$in" | "$real"; status=$?
sed -i '/ DEL$/d' "$here"/records/judge-ipam/log
exit $status; fi
exec "$real"`
  ),
  mutation('del.removes', 'del-usual', 'DEL that does nothing', '[ "$CNI_COMMAND" = DEL ] && exit 0\nexec "$real"'),
  mutation(
    'del.repeat',
    'del-usual',
    'a second DEL fails',
    `if [ "$CNI_COMMAND" = DEL ]; then [ -e "${MEMORY}" ] && { echo '{"code":3,"msg":"gone"}'; exit 1; }; touch "${MEMORY}"; fi\nexec "$real"`
  ),
  mutation(
    'del.no-netns',
    'del-empty-netns',
    'DEL insists on a namespace',
    `[ "$CNI_COMMAND" = DEL ] && [ -z "$CNI_NETNS" ] && { echo '{"code":4,"msg":"CNI_NETNS"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    'del.vanished-netns',
    'del-vanished-netns',
    'DEL insists that the namespace is there',
    `[ "$CNI_COMMAND" = DEL ] && [ -n "$CNI_NETNS" ] && [ ! -e "$CNI_NETNS" ] && { echo '{"code":3,"msg":"netns"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    'del.no-prev',
    'del-no-prev-result',
    'DEL insists on prevResult',
    `in=$(cat); [ "$CNI_COMMAND" = DEL ] && case "$in" in *prevResult*) ;; *) echo '{"code":7,"msg":"prevResult"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    'del.complete',
    'del-usual',
    'leaves a file per container',
    'mkdir -p /run/cni; [ "$CNI_COMMAND" = ADD ] && touch "/run/cni/$CNI_CONTAINERID"\nexec "$real"'
  ),
  ...(
    [
      ['a rule of iptables-legacy', 'iptables-legacy -A INPUT -s 192.0.2.77 -j ACCEPT'],
      ['a set of ipset', 'ipset create "judge$$" hash:ip'],
      ['a sysctl', 'echo 1 >/proc/sys/net/ipv4/conf/all/log_martians'],
      ['promiscuity', 'ip link set uplink promisc on'],
      ['a process', 'sleep 30 </dev/null >/dev/null 2>&1 &'],
      ['a file where nobody looks', 'echo x >"/opt/judge-leak-$$"'],
      ['a file beside its state', 'echo x >"/tmp/judge-leak-$$"']
    ] as const
  ).map(([what, command]) =>
    mutation(
      'del.complete',
      what === 'a sysctl' || what === 'promiscuity' ? 'del-last' : 'del-usual',
      `leaves ${what}`,
      `"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && { ${command} ; } >&2; exit $status`.replace('& ; }', '& }')
    )
  ),
  mutation(
    'del.others',
    'del-others',
    'DEL removes the bridge',
    '"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && ip link del judge0; exit $status'
  ),
  mutation(
    'check.holds',
    'check-after-add',
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
    mutation(clause, caseId, `CHECK that is blind (${caseId})`, '[ "$CNI_COMMAND" = CHECK ] && exit 0\nexec "$real"')
  ),
  mutation(
    'check.needs-prev',
    'check-needs-prev',
    'CHECK is content with nothing',
    `in=$(cat); [ "$CNI_COMMAND" = CHECK ] && case "$in" in *prevResult*) ;; *) exit 0;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    'check.tolerates',
    'check-tolerates',
    'CHECK wants to be alone',
    `[ "$CNI_COMMAND" = CHECK ] && [ "$(ip -n "$(basename "$CNI_NETNS")" -o -4 address show dev eth0 | wc -l)" -gt 1 ] && { echo '{"code":100,"msg":"more"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    'check.tolerates',
    'check-later-mac',
    'CHECK wants the hardware address that ADD gave',
    `mac() { ip -n "$(basename "$CNI_NETNS")" -o link show eth0 | grep -o 'ether [^ ]*'; }
[ "$CNI_COMMAND" = CHECK ] && [ "$(mac)" != "$(cat "${MEMORY}")" ] && { echo '{"code":100,"msg":"mac"}'; exit 1; }
"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && mac >"${MEMORY}"; exit $status`
  ),
  mutation(
    'check.own-work',
    'check-mtu-changed',
    'tuning whose CHECK is blind',
    '[ "$CNI_COMMAND" = CHECK ] && exit 0\nexec "$real"',
    'tuning'
  ),
  mutation(
    'gc.keeps',
    'gc-keeps-and-removes',
    'GC that removes everybody',
    fed('s/"cni.dev\\/(valid-)?attachments":\\[[^]]*\\]/"cni.dev\\/\\1attachments":[]/g', 'GC')
  ),
  mutation(
    'gc.removes',
    'gc-keeps-and-removes',
    'GC that does nothing',
    '[ "$CNI_COMMAND" = GC ] && exit 0\nexec "$real"'
  ),
  mutation(
    'status.ready',
    'status-ready',
    'STATUS that always fails',
    `[ "$CNI_COMMAND" = STATUS ] && { echo '{"code":50,"msg":"no"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    'status.not-ready',
    'status-not-ready',
    'STATUS that is always content',
    '[ "$CNI_COMMAND" = STATUS ] && exit 0\nexec "$real"',
    'host-local'
  ),
  mutation(
    'gc.key',
    'gc-keys',
    'reads the list under its old name alone',
    fed('s/cni.dev\\/valid-attachments/cni.dev\\/attachments-/', 'GC')
  ),
  mutation(
    'gc.goes-on',
    'gc-goes-on',
    'stops GC at the first error',
    `in=$(cat); if [ "$CNI_COMMAND" = GC ]; then
out=$(printf %s "$in" | "$(printf %s "$CNI_PATH" | cut -d: -f1)/judge-ipam") || { printf %s "$out"; exit 1; }; fi
printf %s "$in" | "$real"`
  ),
  mutation(
    'delegate.error-returned',
    'gc-goes-on',
    'swallows the failure of IPAM at GC',
    '[ "$CNI_COMMAND" = GC ] && { "$real" >/dev/null; exit 0; }\nexec "$real"'
  ),
  mutation(
    'delegate.error-returned',
    'delegate-fails',
    'swallows the failure of IPAM at DEL',
    '[ "$CNI_COMMAND" = DEL ] && { "$real" >/dev/null; exit 0; }\nexec "$real"'
  ),
  mutation(
    'status.no-gate',
    'status-no-gate',
    'refuses DEL while STATUS fails',
    `in=$(cat); [ "$CNI_COMMAND" = DEL ] && { printf %s "$in" | CNI_COMMAND=STATUS "$real" || exit 1; }\nprintf %s "$in" | "$real"`
  ),
  mutation('delegate.environment', 'delegate-call', 'IPAM gets another environment', 'CNI_ARGS= exec "$real"'),
  mutation(
    'delegate.configuration',
    'delegate-call',
    'IPAM gets a part of the configuration',
    fed('s/"judge":\\{/"jugde":{/')
  ),
  mutation(
    'delegate.del-always',
    'delegate-del-always',
    'forgets IPAM when there is no namespace',
    fed('s/"ipam":\\{[^}]*\\}/"ipam":{}/', 'DEL')
  ),
  mutation(
    'lifecycle.concurrent',
    'concurrent',
    'gives one address to everybody',
    edited('s/10\\.77\\.[0-9]+\\.[0-9]+/10.77.0.9/'),
    'host-local'
  ),
  mutation(
    'delegate.search-order',
    'delegate-search',
    'the last folder of CNI_PATH wins',
    'CNI_PATH=$(printf "%s\\n" "$CNI_PATH" | tr : "\\n" | tac | paste -sd:) exec "$real"'
  ),
  mutation(
    'delegate.missing',
    'delegate-missing',
    'does without IPAM when there is none',
    fed('s/"ipam":\\{"type":"no-such-plugin"\\}/"ipam":{}/')
  ),
  mutation('delegate.error', 'add-ipam-fails', 'a failure of IPAM is none', '"$real"; exit 0'),
  mutation(
    'delegate.garbage',
    'delegate-garbage',
    'prints what IPAM prints',
    `[ "$CNI_COMMAND" = ADD ] && { cat >/dev/null; "$(printf %s "$CNI_PATH" | cut -d: -f1)/judge-ipam" </dev/null; exit $?; }\nexec "$real"`
  ),
  mutation(
    'delegate.del',
    'delegate-call',
    'forgets IPAM on DEL',
    fed('s/"ipam":\\{.*\\},"args"/"ipam":{},"args"/', 'DEL')
  ),
  mutation('delegate.gc', 'delegate-gc', 'keeps GC to itself', '[ "$CNI_COMMAND" = GC ] && exit 0\nexec "$real"'),
  mutation(
    'delegate.status',
    'status-no-gate',
    'keeps STATUS to itself',
    '[ "$CNI_COMMAND" = STATUS ] && exit 0\nexec "$real"'
  ),
  mutation('mac.sources', 'mac-sources', 'ignores CNI_ARGS', 'CNI_ARGS= exec "$real"'),
  mutation(
    'robust.input',
    'fuzz-input',
    'crashes on lists',
    'in=$(cat); case "$in" in "["*) kill -SEGV $$;; esac\nprintf %s "$in" | "$real"'
  ),
  mutation('robust.signals', 'streams', 'ignores SIGTERM', `trap '' TERM; in=$(cat); printf %s "$in" | "$real"`),
  mutation(
    'robust.parallel',
    'parallel',
    'gives one address to everybody',
    edited('s/10\\.77\\.[0-9]+\\.[0-9]+/10.77.0.9/'),
    'host-local'
  ),
  mutation(
    'robust.state',
    'state-damaged',
    'trips over its own damaged files',
    `for f in /var/lib/cni/networks/judgenet/10.*; do [ -e "$f" ] && ! grep -q judge-box "$f" && { echo '{"code":100,"msg":"torn"}'; exit 1; }; done\nexec "$real"`,
    'host-local'
  ),
  mutation(
    'robust.random',
    'random-history',
    'loses every lease',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && rm -f /var/lib/cni/networks/judgenet/10.*; exit $status',
    'host-local'
  ),
  mutation(
    'robust.kill',
    'kill-in-add',
    'a file per ADD that nobody removes',
    'mkdir -p /run/cni; [ "$CNI_COMMAND" = ADD ] && touch "/run/cni/$CNI_CONTAINERID-$$"\nexec "$real"',
    'host-local'
  ),
  mutation(
    'robust.slow-disk',
    'disk-slow',
    'takes what is in the file when it looks, and writes late',
    `[ "$CNI_COMMAND" = ADD ] || exec "$real"
n=$(cat /run/patchbay-conformance/next 2>/dev/null || echo 5); out=$("$real"); status=$?
echo $((n + 1)) >/run/patchbay-conformance/next
printf '%s' "$out" | sed "s/10\\.77\\.[0-9]*\\.[0-9]*/10.77.9.$n/"; exit $status`,
    'host-local'
  ),
  mutation(
    'robust.clock',
    'clock-set',
    'believes nothing that is older than a year',
    'find /var/lib/cni/networks/judgenet -type f -mtime +365 -delete 2>/dev/null; exec "$real"',
    'host-local'
  ),
  mutation(
    'check.netns-of-chain',
    'check-netns-of-chain-gone',
    'CHECK of a chained plugin that never looks into the container',
    '[ "$CNI_COMMAND" = CHECK ] && exit 0\nexec "$real"',
    'firewall'
  ),
  ...(
    [
      ['bridge.mac-spoof-check', 'macspoofchk', 'bridge'],
      ['bridge.disable-container-interface', 'disableContainerInterface', 'bridge'],
      ['bridge.ip-masq', 'ipMasq', 'bridge'],
      ['ptp.dns', 'dns', 'ptp'],
      ['macvlan.bcqueuelen', 'bcqueuelen', 'macvlan'],
      ['tap.bridge', 'bridge', 'tap'],
      ['vxlan.port', 'port', 'vxlan'],
      ['vxlan.last-goes', 'keepDevices', 'vxlan'],
      ['portmap.conditions', 'conditionsV4', 'portmap'],
      ['portmap.external-chain', 'externalSetMarkChain', 'portmap'],
      ['tuning.tx-queue', 'txQLen', 'tuning'],
      ['sbr.table', 'table', 'sbr'],
      ['static.routes-and-dns', 'routes', 'static']
    ] as const
  ).map(([clause, key, plugin]) =>
    mutation(clause, clause.replace('.', '-'), `does not know ${key}`, fed(`s/"${key}"/"${key}-"/g`), plugin)
  ),
  mutation(
    'firewall.isolated',
    'firewall-isolated',
    'lets neighbours in although isolated',
    fed('s/"isolated"/"same-bridge"/'),
    'firewall'
  ),
  mutation(
    'vxlan.other-host',
    'vxlan-other-host',
    'sends to the wrong host',
    fed('s/192\\.0\\.2\\.1"/192.0.2.7"/'),
    'vxlan'
  ),
  mutation(
    'bandwidth.burst',
    'bandwidth-burst',
    'halves the bucket',
    fed('s/Burst":800000/Burst":400000/g'),
    'bandwidth'
  ),
  mutation(
    'host-device.by-mac',
    'host-device-by-mac',
    'takes another device than the one asked for',
    fed('s/"hwaddr":"[^"]*"/"device":"spare1"/'),
    'host-device'
  ),
  mutation(
    'loopback.result',
    'loopback-result',
    'tells of another address',
    edited('s/127.0.0.1\\/8/127.0.0.2\\/8/'),
    'loopback'
  ),
  mutation('bridge.mtu', 'bridge-mtu', 'ignores mtu', fed('s/"mtu":1400,?//; s/,\\}/}/')),
  mutation(
    'bridge.hairpin-mode',
    'bridge-hairpin-mode',
    'ignores hairpinMode',
    fed('s/"hairpinMode":true/"hairpinMode":false/')
  ),
  mutation(
    'host-local.range',
    'host-local-range',
    'ignores rangeStart',
    fed('s/"rangeStart"/"rangeBegin"/'),
    'host-local'
  ),
  mutation('tuning.link', 'tuning-link', 'ignores promisc', fed('s/"promisc":true/"promisc":false/'), 'tuning')
]

/** The script as a file's content. */
export function mutationScript(one: Mutation, realPath: string): string {
  return `#!/bin/sh\nreal=${realPath}\n${one.script}\n`
}
