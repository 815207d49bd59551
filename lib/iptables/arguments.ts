/**
 * Conditions in iptables' own arguments, as somebody writes them into a configuration. They go to a program of root, so
 * what they may say is listed: matches, and nothing that makes iptables do something else (`--modprobe=FILE` runs a file).
 *
 * @source man 8 iptables, man 8 iptables-extensions
 */

/** How many words follow an option. */
interface Option {
  readonly name: string
  readonly values: number
}

/** Of every rule, and of the matches in MODULES. */
const ONE_VALUE = `-s --source --src -d --destination --dst -i --in-interface -o --out-interface
   --comment --ctstate --ctstatus --ctdir --ctorigsrc --ctorigdst --ctreplsrc --ctrepldst --ctorigdstport --state
   --mark --src-type --dst-type --src-range --dst-range --mac-source --pkt-type --physdev-in --physdev-out
   --sport --source-port --dport --destination-port --sports --source-ports --dports --destination-ports --ports
   --tcp-option --length --dscp --dscp-class --tos --ttl-eq --ttl-lt --ttl-gt --hl-eq --hl-lt --hl-gt
   --uid-owner --gid-owner --cgroup --path --weekdays --monthdays --timestart --timestop --datestart --datestop
   --limit --limit-burst --realm --helper --icmp-type --icmpv6-type`
const TWO_VALUES = '--match-set --tcp-flags'
const NO_VALUE =
  '--syn --limit-iface-in --limit-iface-out --physdev-is-in --physdev-is-out --physdev-is-bridged --kerneltz'

const MODULES = `addrtype cgroup comment connmark conntrack dscp hl icmp icmp6 iprange length limit mac
   mark multiport owner physdev pkttype realm sctp set state tcp time tos ttl udp`

/** Made when somebody asks: at the start of every plugin it would be a quarter of what a call computes. */
function allOptions(): readonly Option[] {
  return optionsOf(ONE_VALUE, 1).concat(optionsOf(TWO_VALUES, 2), optionsOf(NO_VALUE, 0))
}

function optionsOf(names: string, values: number): readonly Option[] {
  return names.split(/\s+/).map(name => ({ name, values }))
}

/** What is not understood of these words; '' when all is. */
export function argumentsProblem(words: readonly string[]): string {
  const options = allOptions()
  const modules = MODULES.split(/\s+/)
  let at = 0
  while (at < words.length) {
    if (words[at] === '!') at += 1
    const word = words[at] ?? ''
    const isMatch = word === '-m' || word === '--match'
    const option = options.find(one => one.name === word)
    if (!isMatch && option === undefined) return `${JSON.stringify(word)} is no option of a condition`
    const values = words.slice(at + 1, at + 1 + (option?.values ?? 1))
    if (values.length < (option?.values ?? 1)) return `${word} must be followed by what it is compared with`
    const module = values[0] ?? ''
    if (isMatch && !modules.some(one => one === module)) return `${JSON.stringify(module)} is no match of a condition`
    const bad = values.find(one => one === '' || /[\0-\x1f\x7f]/.test(one) || one.startsWith('-'))
    if (bad !== undefined) return `${JSON.stringify(bad)} is no value for ${word}`
    at += 1 + values.length
  }
  return ''
}
