/** Plugins that are broken in their input, versions, output and results. */
import { edited, fed, type Mutation, mutation } from './mutation.ts'

export const CALL_MUTATIONS: readonly Mutation[] = [
  mutation(
    ['env.command', 'env-unknown-command'],
    'takes any verb',
    'case "$CNI_COMMAND" in ADD|DEL|CHECK|GC|STATUS|VERSION) exec "$real";; *) exit 0;; esac'
  ),
  mutation(
    ['env.missing-named', 'env-all-missing'],
    'names the first variable only',
    edited('s/CNI_IFNAME/the name/g', '*')
  ),
  mutation(
    ['env.container-id-long', 'env-container-id-long'],
    'cuts container IDs to 40 characters',
    'CNI_CONTAINERID=$(printf %s "$CNI_CONTAINERID" | cut -c1-40) exec "$real"',
    'host-local'
  ),
  mutation(
    ['env.container-id-chars', 'env-container-id-chars'],
    'knows IDs of small letters alone',
    `case "$CNI_CONTAINERID" in *[A-Z._]*) echo '{"code":4,"msg":"CNI_CONTAINERID"}'; exit 1;; esac\nexec "$real"`
  ),
  mutation(
    ['stdin.name-chars', 'stdin-name-chars'],
    'makes a chain of the name of the network',
    `in=$(cat); case "$in" in *My.judge*) echo '{"code":100,"msg":"no such chain"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    ['env.ifname-used', 'add-other-names'],
    'cuts the name to make room for a suffix of its own',
    'CNI_IFNAME=$(printf %s "$CNI_IFNAME" | cut -c1-12) exec "$real"'
  ),
  mutation(
    ['env.empty', 'env-empty'],
    'takes an empty variable of GC for a bad one',
    `[ "$CNI_COMMAND" = GC ] && [ "\${CNI_CONTAINERID-none}" = "" ] && { echo '{"code":4,"msg":"CNI_CONTAINERID"}'; exit 1; }\nexec "$real"`
  ),
  mutation(
    ['stdin.layout', 'stdin-layout'],
    'reads the first line that says something',
    'while read -r line && [ -z "$line" ]; do :; done; printf %s "$line" | "$real"'
  ),
  mutation(
    ['env.netns-of-process', 'env-netns-of-process'],
    'takes named namespaces only',
    `case "$CNI_COMMAND:$CNI_NETNS" in ADD:/proc/*) echo '{"code":4,"msg":"CNI_NETNS"}'; exit 1;; esac\nexec "$real"`
  ),
  mutation(
    ['env.code', 'env-unknown-command'],
    'a code of its own for unknown verbs',
    edited('s/"code": *4/"code": 100/', '*')
  ),
  mutation(
    ['env.container-id', 'env-without-containerid'],
    'makes up a container ID',
    '[ -n "$CNI_CONTAINERID" ] || export CNI_CONTAINERID=made-up\nexec "$real"'
  ),
  mutation(
    ['env.container-id-form', 'env-container-id-form'],
    'launders the container ID',
    'CNI_CONTAINERID=x$(printf %s "$CNI_CONTAINERID" | tr -cd a-z0-9-) exec "$real"'
  ),
  mutation(
    ['env.netns', 'env-without-netns'],
    'adds to its own namespace when none is given',
    '[ -n "$CNI_NETNS" ] || { echo "{}"; exit 0; }\nexec "$real"'
  ),
  mutation(
    ['env.ifname', 'env-without-ifname'],
    'takes eth0 for granted',
    '[ -n "$CNI_IFNAME" ] || export CNI_IFNAME=eth0\nexec "$real"'
  ),
  mutation(
    ['env.ifname-form', 'env-ifname-form'],
    'cuts names to 15 bytes',
    'CNI_IFNAME=$(printf %s "$CNI_IFNAME" | cut -c1-15) exec "$real"'
  ),
  mutation(
    ['env.netns-not-a-namespace', 'env-bad-netns'],
    'says it went well whatever the namespace',
    '"$real"; exit 0'
  ),
  mutation(['env.none', 'env-none'], 'no banner', '[ -n "$CNI_COMMAND" ] || exit 1\nexec "$real"'),
  mutation(['stdin.not-json', 'stdin-not-json'], 'takes no JSON for an empty object', '"$real"; exit 0'),
  mutation(
    ['stdin.not-json-code', 'stdin-not-json'],
    'code 100 for bad JSON',
    edited('s/"code": *6/"code": 100/', '*')
  ),
  mutation(['stdin.large', 'stdin-large'], 'reads a page of its input', 'head -c 4096 | "$real"'),
  mutation(['stdin.large', 'stdin-large'], 'reads what a pipe holds', 'head -c 65536 | "$real"'),
  mutation(
    ['error.code-2', 'error-code-2'],
    'code 2 without key and value',
    `in=$(cat); case "$in" in *judgeField*) echo '{"code":2,"msg":"unknown field"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    ['stdin.name', 'stdin-name'],
    'names the network itself',
    fed('s/^\\{("cniVersion":"[^"]*"),"type"/{\\1,"name":"own","type"/; s/"name":""/"name":"own"/')
  ),
  mutation(
    ['stdin.unknown-keys', 'stdin-keys-of-others'],
    'refuses keys it does not know',
    'in=$(cat); case "$in" in *ignoredByAll*) echo "{\\"code\\":7,\\"msg\\":\\"unknown\\"}"; exit 1;; esac\nprintf %s "$in" | "$real"'
  ),
  mutation(
    ['stdin.key-case', 'stdin-key-case'],
    'reads keys in one letter case only',
    'in=$(cat); case "$in" in *BRIDGE*) echo "{\\"code\\":7,\\"msg\\":\\"no bridge\\"}"; exit 1;; esac\nprintf %s "$in" | "$real"'
  ),
  mutation(['stdin.wrong-type', 'stdin-wrong-type'], 'takes any type', fed('s/"mtu":"large"/"mtu":0/')),
  mutation(
    ['version.reply', 'version-reply'],
    'VERSION without the list',
    edited('s/"supportedVersions"/"versions"/', 'VERSION')
  ),
  mutation(
    ['version.echo', 'version-reply'],
    'VERSION in one version only',
    edited('s/"cniVersion": *"[^"]*"/"cniVersion":"0.0.9"/', 'VERSION')
  ),
  mutation(
    ['version.unknown', 'version-reply'],
    'VERSION asked in a version that it does not know fails',
    `in=$(cat); case "$CNI_COMMAND$in" in VERSION*1.9.0*) echo '{"code":1,"msg":"1.9.0"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    ['version.unsupported', 'version-unsupported'],
    'takes any version for 1.0.0',
    fed('s/"cniVersion":"(9.0.0|0.3.9)"/"cniVersion":"1.0.0"/')
  ),
  mutation(
    ['version.all-work', 'version-add-in-each'],
    'fails in the version it lists first',
    `in=$(cat); case "$in" in *'"cniVersion":"0.3.1"'*) echo '{"code":100,"msg":"not in 0.3.1"}'; exit 1;; esac\nprintf %s "$in" | "$real"`
  ),
  mutation(
    ['out.one-object', 'output-success'],
    'prints more than the result',
    '"$real"; status=$?; echo done; exit $status'
  ),
  mutation(
    ['out.silent', 'output-success'],
    'GC that talks',
    '"$real"; status=$?; [ "$CNI_COMMAND" = GC ] && echo "{}"; exit $status'
  ),
  mutation(
    ['out.silent-others', 'output-success'],
    'DEL that talks',
    '"$real"; status=$?; [ "$CNI_COMMAND" = DEL ] && echo "{}"; exit $status'
  ),
  mutation(['out.exit', 'output-errors'], 'exits 0 after errors', '"$real"; exit 0'),
  mutation(
    ['out.exit', 'output-errors'],
    'dies of bad input',
    'in=$(cat); case "$in" in "{") kill -SEGV $$;; esac\nprintf %s "$in" | "$real"'
  ),
  mutation(
    ['out.closed', 'output-success'],
    'leaves a process that holds its output',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && { sleep 30 & }; exit $status'
  ),
  mutation(
    ['error.version', 'output-errors'],
    'errors in another version than that of the configuration',
    edited('s/"cniVersion": *"1.1.0", *("code")/"cniVersion":"0.3.1",\\1/', '*')
  ),
  mutation(['error.object', 'output-errors'], 'errors without msg', edited('s/"msg"/"message"/', '*')),
  mutation(
    ['error.version', 'output-errors'],
    'errors without cniVersion',
    edited('s/"cniVersion": *"[^"]*", *("code")/\\1/', '*')
  ),
  mutation(
    ['error.reserved', 'output-errors'],
    'a code from the reserved numbers',
    edited('s/"code": *[0-9]+/"code": 42/', '*')
  ),
  mutation(['result.version', 'result-forms'], 'results without cniVersion', edited('s/"cniVersion": *"[^"]*",?//')),
  mutation(
    ['result.other-version', 'result-forms'],
    'newer keys in old results',
    edited('s/"ip4": */"ips":[],"ip4":/')
  ),
  mutation(
    ['result.form', 'result-forms'],
    'ips with version in every form',
    edited('s/"address": */"version":"4","address":/g')
  ),
  mutation(
    ['result.other-version', 'result-forms'],
    'MTU in every form',
    edited('s/"name": *"eth0"/"name":"eth0","mtu":1500/')
  ),
  mutation(['result.sandbox', 'result-interfaces'], 'results without sandbox', edited('s/"sandbox"/"sandpit"/')),
  mutation(['result.interface', 'result-interfaces'], 'another name', edited('s/"name": *"eth0"/"name":"eth7"/')),
  mutation(
    ['result.all-interfaces', 'result-host-interfaces'],
    "leaves out the host's end",
    edited('s/"name": *"veth[^"]*"/"name":"hidden"/g')
  ),
  mutation(['result.route-attributes', 'result-route-attributes'], 'drops advmss', edited('s/"advmss"/"mss"/g')),
  mutation(
    ['result.prev-newest', 'result-prev-newest'],
    'drops what it does not know of a prevResult',
    edited('s/"socketPath"/"socket"/g'),
    'tuning'
  ),
  mutation(
    ['result.host-interface', 'result-interfaces'],
    'every interface in the sandbox',
    edited('s/"name": *"judge0"/"name":"judge0","sandbox":"\\/run\\/netns\\/elsewhere"/')
  ),
  mutation(
    ['result.mac', 'result-interfaces'],
    'a made-up hardware address',
    edited('s/"mac": *"[^"]*"/"mac":"02:00:00:00:00:01"/g')
  ),
  mutation(
    ['result.ip-index', 'result-addresses'],
    'addresses that lead to the bridge',
    edited('s/"interface": *2/"interface": 0/g')
  ),
  mutation(
    ['result.addresses', 'result-addresses'],
    'addresses without prefix',
    edited('s/"10.77.0.5\\/24"/"10.77.0.5"/')
  ),
  mutation(['result.routes', 'result-addresses'], 'results without routes', edited('s/"routes"/"roads"/')),
  mutation(['result.dns', 'result-addresses'], 'results without DNS', edited('s/"nameservers"/"servers"/')),
  mutation(
    ['result.prev', 'result-prev-passed-on'],
    'forgets what came before',
    edited('s/"routes"/"roads"/'),
    'tuning'
  ),
  mutation(
    ['result.prev', 'result-prev-of-interface'],
    'makes its interface and forgets what came before',
    edited('s/"name": *"uplink"/"name":"down"/')
  ),
  mutation(
    ['result.all-interfaces', 'result-host-interfaces'],
    'makes an interface of its own and does not say so',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip link add "x$$" type bridge; exit $status',
    'tuning'
  ),
  mutation(
    ['result.all-addresses', 'add-makes-the-interface'],
    'gives an address more than it tells',
    '"$real"; status=$?; [ "$CNI_COMMAND" = ADD ] && ip -n "$(basename "$CNI_NETNS")" address add 169.254.7.7/32 dev eth0; exit $status'
  ),
  mutation(
    ['result.ipam', 'result-of-ipam'],
    'IPAM that lists interfaces',
    edited('s/"ips"/"interfaces":[{"name":"eth0"}],"ips"/'),
    'host-local'
  )
]
