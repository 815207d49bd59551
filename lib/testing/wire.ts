/** Everything that goes over the underlay of an overlay lab, written down by tcpdump on the switch. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './lab-agent.ts'
import type { OverlayLab } from './overlay-lab.ts'

/**
 * The agents' own conversation with etcd, hosts that look for each other and for routers, and what they say when nobody
 * listens at a port, or when a packet came that was for another: to the former address of one, from who does not know yet.
 */
const ORDINARY = [
  'tcp port 2379',
  'arp',
  '(icmp6 and ip6[40] >= 133 and ip6[40] <= 137)',
  '(src net fe80::/10 and dst net ff02::/16)',
  'src host ::',
  'icmp[0] == 3',
  'icmp[0] == 5',
  '(icmp6 and ip6[40] == 1)'
].join(' or ')

export class Wire {
  readonly #file: string

  private constructor(file: string) {
    this.#file = file
  }

  /** Resolves when it is listening. */
  static async tap(lab: OverlayLab): Promise<Wire> {
    const file = join(lab.directory, 'wire.pcap')
    const tcpdump = lab.run(lab.switch, 'tcpdump', [
      '-i',
      'sw',
      '-w',
      file,
      '-U',
      '--immediate-mode',
      '-s',
      '0',
      '-Z',
      'root'
    ])
    let said = ''
    tcpdump.stderr?.on('data', chunk => {
      said += String(chunk)
    })
    await until('tcpdump listens', () => /listening on/.test(said))
    return new Wire(file)
  }

  /** A line of tcpdump's for each packet that a filter of tcpdump's lets through. */
  seen(filter: string): readonly string[] {
    const { status, stdout, stderr } = spawnSync('tcpdump', ['-n', '-t', '-r', this.#file, filter], {
      encoding: 'utf8'
    })
    // The last packet may not be there as a whole yet.
    if (status !== 0 && !/truncated/.test(stderr)) throw new Error(`tcpdump -r: ${stderr}`)
    return stdout.split('\n').filter(line => line !== '')
  }

  /** What is neither of these UDP ports nor ordinary. */
  strangers(...ports: readonly number[]): readonly string[] {
    const known = ports.map(port => `udp port ${port} or `).join('')
    return this.seen(`not (${known}${ORDINARY})`)
  }

  /** Whether these bytes went over it in clear. */
  carried(bytes: Uint8Array): boolean {
    return readFileSync(this.#file).includes(bytes)
  }
}
