// needs: ping script nft bash
/** `patchbay top` and the agent's metrics of the same, against what `ip -s` counts. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { attachment, set, wire } from '../../lib/testing/broken-worlds.ts'
import { NSENTER } from '../../lib/testing/namespace.ts'
import { patchbayProgram, programFromText } from '../../lib/testing/program.ts'
import { type Site, withSite } from '../../lib/testing/site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import type { Parsed } from '../../lib/testing/world.ts'

const test = suite('cli/top')

/** Both containers quiet, so that counters stand still: no IPv6, no announcements, no look for a neighbour 5 s after it spoke. */
function quietSite(site: Site): void {
  wire(site)
  for (const box of site.boxes) {
    set(site, box, 'ipv6/conf/all/disable_ipv6', '1')
    set(site, box, 'ipv4/neigh/eth0/delay_first_probe_time', '3600')
  }
  set(site, site.host, 'ipv6/conf/all/disable_ipv6', '1')
  site.sh(site.box(0), 'ping -c 5 -i 0.01 10.77.0.3')
}

function counted(site: Site, box: number): Parsed {
  return JSON.parse(site.sh(site.box(box), 'ip -j -s link show eth0'))[0].stats64
}

test('--once -o json: counters are those of ip -s, rates those of the interval', () =>
  withSite(2, site => {
    quietSite(site)
    const totals = (): string => JSON.stringify([counted(site, 0), counted(site, 1)])
    const look = () => site.patchbay(['top', '--once', '-o', 'json', '--interval', '0.2', ...site.places()])
    let before = totals()
    let done = look()
    // Now and then the kernel has something late to say to its neighbours: then this was no quiet interval.
    for (let i = 0; i < 10 && totals() !== before; i++) {
      before = totals()
      done = look()
    }
    assert.is(done.status, 0, done.stderr)
    const rows: readonly Parsed[] = JSON.parse(done.stdout)
    assert.equal(
      rows.map(one => [one.network, one.detail]),
      [
        ['web', 'eth0'],
        ['web', 'eth0']
      ]
    )
    for (const box of [0, 1]) {
      const { rx, tx } = counted(site, box)
      assert.ok(rx.packets >= 5)
      const own = rows.find(one => one.counters.rxBytes === rx.bytes && one.counters.txBytes === tx.bytes)
      assert.ok(own !== undefined, JSON.stringify({ rx, rows }))
      assert.equal([own.counters.rxPackets, own.rates.rxBytes, own.rates.txPackets], [rx.packets, 0, 0])
    }
  }))

test('by network, by port with the connections that the host follows', () =>
  withSite(2, site => {
    quietSite(site)
    attachment(site, 'web', 'c1', {
      box: site.box(0),
      ips: [],
      ports: [{ hostPort: 8080, containerPort: 80, protocol: 'udp' }]
    })
    const run = (by: string): string =>
      site.patchbay(['top', '--once', '--interval', '0.1', '--by', by, ...site.places()]).stdout
    assert.match(run('network'), /^NAME +ON IT +RX\/s\*.*\nweb +2 interfaces/)
    assert.match(run('port'), /^NAME .*CONNECTIONS\*\n8080\/udp +web +\S.*:80 +0 +0 +0 +0 +0\n$/)
  }))

/** Datagrams of 100 bytes over one socket, which is one connection. @source IPv4: 20 bytes, UDP: 8 bytes */
function sendThree(site: Site): void {
  site.sh(site.box(1), "exec bash -c 'exec 3>/dev/udp/10.77.0.1/8080; for i in 1 2 3; do printf %0100d 0 >&3; done'")
}

test('by port, bytes: what the connections that lead there have carried, where the kernel counts it', () =>
  withSite(2, site => {
    quietSite(site)
    const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'udp' }]
    attachment(site, 'web', 'c1', { box: site.box(0), ips: [], ports })
    // Connections are followed where a rule asks for them. Nobody listens: a refusal would make the sender's next datagram fail.
    const rules = [
      'add table ip t',
      'add chain ip t in { type filter hook input priority 0; }',
      'add chain ip t out { type filter hook output priority 0; }',
      'add rule ip t in ct state new accept',
      'add rule ip t out icmp type destination-unreachable drop'
    ]
    site.sh(site.host, `nft '${rules.join('; ')}'`)
    const run = (...args: readonly string[]) =>
      site.patchbay(['top', '--once', '--interval', '0.1', '--by', 'port', ...args, ...site.places()])
    const row = (): Parsed => JSON.parse(run('-o', 'json').stdout)[0]

    sendThree(site)
    assert.match(run().stderr, /sysctl -w net\.netfilter\.nf_conntrack_acct=1/)
    assert.equal([row().connections, row().counters.rxBytes], [1, 0])
    set(site, site.host, 'netfilter/nf_conntrack_acct', '1')
    assert.is(run().stderr, '')
    sendThree(site)
    const { connections, counters } = row()
    assert.equal([connections, counters.rxPackets, counters.rxBytes, counters.txBytes], [2, 3, 3 * (20 + 8 + 100), 0])
  }))

test('live: it ends with q, by a signal, and gives the terminal back', () =>
  withSite(2, async site => {
    quietSite(site)
    const [node, ...args] = patchbayProgram()
    const line = [NSENTER, `--net=${site.host.path}`, node, ...args, 'top', '--interval', '0.2', ...site.places()].join(
      ' '
    )
    for (const end of ['q', '\x03']) {
      const child = spawn('script', ['-qefc', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
      let shown = ''
      let isAsked = false
      child.stdout.on('data', chunk => {
        shown += chunk
        if (!isAsked && shown.includes('RX/s*')) {
          isAsked = true
          child.stdin.write(`s${end}`)
        }
      })
      const status = await new Promise(resolve => child.on('close', resolve))
      assert.is(status, 0)
      assert.ok(shown.startsWith('\x1b[?1049h\x1b[?25l'), JSON.stringify(shown.slice(0, 40)))
      assert.ok(shown.endsWith('\x1b[?25h\x1b[?1049l'), JSON.stringify(shown.slice(-40)))
    }
  }))

test("the agent's metrics are the containers' counters, seen from the host's ends", () =>
  withSite(2, site => {
    quietSite(site)
    // ip is asked where the metrics count: at the host's end, the other way round.
    site.file('state/web/c1:eth0.bridge.json', { hostEnd: 'vred' })
    const places = {
      confDir: '/none',
      cacheDir: join(site.directory, 'cache'),
      stateDir: join(site.directory, 'state')
    }
    const source = `import { Metrics } from './metrics.ts'
      import { addTrafficMetrics } from './traffic-metrics.ts'
      const metrics = new Metrics()
      addTrafficMetrics(metrics, ${JSON.stringify(places)}, console.error)
      process.stdout.write(metrics.text())`
    const [node, ...args] = programFromText(source, join(import.meta.dirname, '..', '..', 'agent'))
    const done = site.host.run(node, args)
    assert.is(done.status, 0, done.stderr)
    const [{ stats64 }] = JSON.parse(site.sh(site.host, 'ip -j -s link show vred'))
    const labels = '{container="c1",network="web",interface="eth0"}'
    for (const [name, value] of [
      ['receive_bytes', stats64.tx.bytes],
      ['receive_packets', stats64.tx.packets],
      ['transmit_bytes', stats64.rx.bytes],
      ['transmit_dropped', stats64.rx.dropped]
    ]) {
      const line = `patchbay_container_network_${String(name)}_total${labels} ${String(value)}\n`
      assert.ok(done.stdout.includes(line), `${line} in ${done.stdout}`)
    }
  }))

test.run()
