/**
 * Plugins that are sound and have odd habits, each of which the text allows: what the suite must not blame. They are shell
 * scripts, in the suite's own tests beside the broken ones of mutations.ts.
 */
import type { JsonObject } from './json.ts'

export interface OddPlugin {
  readonly type: string
  /** What is odd about it. */
  readonly habits: string
  /** What its author would give the suite with --config. */
  readonly profile: JsonObject
  /** @param real a directory with the plugins that it may call */
  readonly script: (real: string) => string
}

/** Makes an interface by way of bridge, and says everything in its own way. */
const TALKER: OddPlugin = {
  type: 'talker',
  habits:
    'errors and much else on stderr; upper-case MAC, IPv6 in full, an address of the host in ips; its interface first; keys of its own; versions to come; blanks around JSON; a log; a daemon for the host',
  profile: { type: 'talker', role: 'interface', config: { bridge: 'judge0', isGateway: true } },
  script: real => `
CNI_COMMAND=$(printf %s "$CNI_COMMAND" | tr -d ' \\n'); export CNI_COMMAND
mkdir -p /var/log; echo "$CNI_COMMAND $CNI_CONTAINERID" >>/var/log/talker.log
[ -e /run/talker.pid ] || { sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >/run/talker.pid; }
chat() { head -c 200000 /dev/zero | tr '\\0' x >&2; }
out=$(${real}/bridge); status=$?
[ "$CNI_COMMAND" = VERSION ] && { printf '\\n%s\\n' "$out" | jq '.supportedVersions = ["2.0.0", "1.2.0"] + (.supportedVersions | reverse)'; exit; }
if [ $status != 0 ]; then
  # STATUS alone has to say it on stdout.
  [ "$CNI_COMMAND" = STATUS ] && printf '%s\\n' "$out" || printf '%s\\n' "$out" >&2
  exit $status
fi
chat
case "$CNI_COMMAND" in ADD) ;; *) printf %s "$out"; exit 0;; esac
printf '\\n\\n'
printf %s "$out" | sed 's/fd77::/FD77:0:0:0:0:0:0:/g' | jq '
  def family: if .ips[0].version then { version: "4" } else {} end;
  if .ips then
    .interfaces |= map(.mac |= ascii_upcase) |
    .ips += [{ address: "10.77.0.1/24", interface: 0 } + family] |
    if .interfaces | length == 3 then .interfaces |= reverse | .ips |= map(.interface = 2 - .interface) else . end
  else . end | .vendor = { name: "talker" }'
`
}

const REFUSALS = `
fail() { jq -cn --arg v "\${version:-1.1.0}" --argjson c "$1" --arg m "$2" '{ cniVersion: $v, code: $c, msg: $m }'; exit 1; }
in=$(cat)
version=$(printf %s "$in" | jq -re 'if type == "object" then .cniVersion // "0.1.0" else error("no object") end' 2>/dev/null) ||
  fail 6 "the configuration is no JSON object"
[ -n "$version" ] || fail 6 "the configuration is empty"
[ "$CNI_COMMAND" = VERSION ] && { jq -cn --arg v "$version" '{ cniVersion: $v, supportedVersions: ["0.4.0", "1.0.0", "1.1.0"] }'; exit 0; }
case "$version" in 0.4.0|1.0.0|1.1.0) ;; *) fail 1 "version $version is not supported";; esac
case "$CNI_COMMAND" in STATUS|GC) exit 0;; ADD|DEL|CHECK) ;; *) fail 4 "CNI_COMMAND";; esac
missing=
[ -n "$CNI_CONTAINERID" ] || missing="$missing CNI_CONTAINERID"
[ -n "$CNI_IFNAME" ] || missing="$missing CNI_IFNAME"
[ -n "$CNI_NETNS" ] || [ "$CNI_COMMAND" = DEL ] || missing="$missing CNI_NETNS"
[ -z "$missing" ] || fail 4 "missing:$missing"
case "$CNI_CONTAINERID" in [!A-Za-z0-9]*|*[!A-Za-z0-9_.-]*) fail 4 "CNI_CONTAINERID";; esac
`

/** Leads the container's traffic by another gateway, and resolves names by its own server. */
const REROUTER: OddPlugin = {
  type: 'rerouter',
  habits: 'a chained plugin that puts a route and the DNS settings of prevResult out of force',
  profile: { type: 'rerouter', role: 'chained' },
  script: () => `${REFUSALS}
inside() { nsenter --net="$CNI_NETNS" "$@" 2>/dev/null; }
case "$CNI_COMMAND" in
  ADD)
    printf %s "$in" | jq -e .prevResult >/dev/null || fail 7 "prevResult is missing"
    inside ip route replace default via 10.88.0.2 dev "$CNI_IFNAME" || fail 100 "cannot set the route"
    printf %s "$in" | jq -c '.cniVersion as $v | .prevResult | .cniVersion = $v | .dns = { nameservers: ["10.88.0.53"] } |
      .routes |= map(if .dst == "0.0.0.0/0" then .gw = "10.88.0.2" else . end)';;
  CHECK) inside ip route show default dev "$CNI_IFNAME" | grep -q 10.88.0.2 || fail 100 "the route is gone";;
  DEL) [ -z "$CNI_NETNS" ] || inside ip route replace default via 10.88.0.1 dev "$CNI_IFNAME" || true;;
esac
`
}

/** Gives what the configuration says, to whoever asks, and remembers nothing. */
const FIXED: OddPlugin = {
  type: 'fixed',
  habits: 'an IPAM plugin without state: the same address for everybody, no reservation that could go',
  profile: { type: 'fixed', role: 'ipam', config: { ipam: { address: '10.77.0.9/24' } } },
  script: () => `${REFUSALS}
[ "$CNI_COMMAND" = ADD ] || exit 0
printf %s "$in" | jq -c '(if .cniVersion == "0.4.0" then { version: "4" } else {} end) as $family |
  { cniVersion, ips: [$family + { address: .ipam.address, gateway: "10.77.0.1" }] }'
`
}

/** As plugins were in 2017. */
const OLD: OddPlugin = {
  type: 'old',
  habits: 'knows version 0.3.1 alone, and no verbs but those of that time',
  profile: { type: 'old', role: 'interface', config: { bridge: 'judge0', isGateway: true } },
  script: real => `
fail() { jq -cn --argjson c "$1" --arg m "$2" '{ cniVersion: "0.3.1", code: $c, msg: $m }'; exit 1; }
in=$(cat)
case "$CNI_COMMAND" in
  VERSION) echo '{"cniVersion":"0.3.1","supportedVersions":["0.3.1"]}'; exit 0;;
  ADD|DEL) ;;
  *) fail 4 "CNI_COMMAND";;
esac
version=$(printf %s "$in" | jq -re '.cniVersion // "0.1.0"' 2>/dev/null) || fail 6 "no configuration"
[ "$version" = 0.3.1 ] || fail 1 "version $version"
printf %s "$in" | ${real}/bridge
`
}

export const ODD_PLUGINS: readonly OddPlugin[] = [TALKER, REROUTER, FIXED, OLD]
