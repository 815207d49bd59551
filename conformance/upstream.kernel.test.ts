// needs: reference-plugins iptables setpriv python3
/**
 * Every finding of docs/upstream.md shows itself when its lines are run as the document says, in a shell with namespaces of its
 * own: on the reference plugins of this machine, or on those in PATCHBAY_REFERENCE_DIR.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('conformance/upstream')

const DIR = process.env['PATCHBAY_REFERENCE_DIR'] ?? '/usr/lib/cni'
const DOCUMENT = readFileSync(join(import.meta.dirname, '..', 'docs', 'upstream.md'), 'utf8')

/** What stdout and stderr hold, one behind the other, on releases up to 1.0.0 of the specification and on newer ones. */
interface Seen {
  readonly old?: RegExp
  readonly new?: RegExp
}

function both(pattern: RegExp): Seen {
  return { old: pattern, new: pattern }
}

/** By heading. */
const SEEN: Readonly<Record<string, Seen>> = {
  'GC is not handed on to IPAM': { new: /^GC: exit 0\n.*asked: No such file/s },
  'VERSION does not echo the version asked in': { old: /"cniVersion":"1\.0\.0"/, new: /"cniVersion":"1\.1\.0"/ },
  'bridge, ptp, macvlan: what came before is dropped': both(/^(?!.*(?:dns0|192\.0\.2\.53)).*10\.9\.0\.2\/24.*exit 0/s),
  'host-device: DEL cannot be repeated': both(/Link not found.*DEL: exit 1.*failed to open netns.*DEL: exit 1/s),
  'sbr: DEL needs the namespace': both(/no such file.*DEL: exit 1.*unknown FS magic.*DEL: exit 1/s),
  'loopback: results have one form for all versions': both(
    /^(?!.*"(?:version|ip4)").*"0\.3\.1".*"ips".*exit 0.*"0\.2\.0".*"ips".*exit 0/s
  ),
  'tap: takes the place of an interface that is there': { new: /ADD: exit 0.*\neth0 +UNKNOWN .*\nveth\w+ +DOWN /s },
  'portmap: DEL of one interface closes the ports of the other': both(/rules: [1-9].*DEL: exit 0\nrules: 0\n/s),
  'portmap: CHECK fails right after ADD': { old: /ADD: exit 0.*could not check ipv6 dnat.*CHECK: exit 1/s },
  'No DEL after a failed delegated ADD, and its stderr is lost': both(/ADD: exit 1\nipam ADD\n$/),
  'Errors without cniVersion': both(/^(?!.*cniVersion).*"code": 6.*ADD: exit 1/s),
  'host-local: STATUS is content with an empty pool, and GC removes nothing': {
    new: /STATUS: exit 0.*no IP addresses available.*ADD: exit 1\nGC: exit 0\n10\.9\.0\.2\n/s
  },
  'bandwidth: CHECK does not see that its queue is gone': both(/ADD: exit 0\nCHECK: exit 0/),
  'firewall and tuning: DEL leaves something behind': both(
    /DEL: exit 0\n.*-s 10\.9\.0\.2\/32 -j ACCEPT\n.*DEL: exit 0\nc1_eth0\.json/s
  ),
  "portmap: containers reach the host's loopback": both(/ADD: exit 0\n200\n/),
  'ptp and macvlan: a failed DEL frees the address': both(/operation not permitted.*ipam ADD\nipam DEL\neth0@/s),
  'bridge: a failed ADD leaves its interfaces': both(/ADD: exit 1\n.*\neth0@.*\nveth\w+@/s)
}

/** The lines in the document's first block, which every reproduction begins with, and those of each finding. */
function reproductions(): { readonly prelude: string; readonly blocks: ReadonlyMap<string, string> } {
  const [first = '', ...sections] = DOCUMENT.split(/^## /m)
  const lines = (text: string) => /```sh\n(.*?)```/s.exec(text)?.[1]
  const blocks = sections.map(text => [text.slice(0, text.indexOf('\n')), lines(text) ?? ''] as const)
  return { prelude: lines(first) ?? '', blocks: new Map(blocks.filter(([, block]) => block !== '')) }
}

const { prelude, blocks } = reproductions()
const BEGIN = 'D=/usr/lib/cni;'

/** What the lines print; whatever they start ends with their namespace of processes. */
function outputOf(block: string): string {
  const own = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private']
  const script = `${prelude.replace(BEGIN, `D=${DIR};`)}\n${block}`
  const child = spawnSync('unshare', [...own, 'bash', '-c', script], { encoding: 'utf8', timeout: 60_000 })
  return `${child.stdout}${child.stderr}`
}

/** Whether these plugins know 1.1.0 of the specification. */
function isNew(): boolean {
  const env = { CNI_COMMAND: 'VERSION' }
  return spawnSync(join(DIR, 'bridge'), { env, input: '{"cniVersion":"1.0.0"}', encoding: 'utf8' }).stdout.includes(
    '1.1.0'
  )
}

test('every finding has lines that show it, and is looked at here', () => {
  assert.ok(prelude.startsWith(BEGIN))
  assert.equal([...blocks.keys()], Object.keys(SEEN))
})

const release = isNew() ? 'new' : 'old'

for (const [heading, seen] of Object.entries(SEEN)) {
  const pattern = seen[release]
  if (pattern !== undefined)
    test(heading, () => {
      assert.match(outputOf(blocks.get(heading) ?? ''), pattern)
    })
}

test.run()
