/** Configurations, records and daemons, as people complain of them (docs/complaints.md). Each is found in words, and not found once it is mended. */
import { spawn } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { attachment, type BrokenWorld, netnsId, network, PLUGIN, testWorlds } from '../../lib/testing/broken-worlds.ts'
import { NSENTER } from '../../lib/testing/namespace.ts'
import type { Site } from '../../lib/testing/site.ts'
import { suite } from '../../lib/testing/suite.ts'
import { withFindings } from './doctor.ts'

const test = suite('cli/doctor: records and daemons')

let server: Server | undefined

const RECORDS: readonly BrokenWorld[] = [
  {
    name: 'a configuration is cut off',
    check: 'conflists',
    severity: 'error',
    breaks: site => site.file('conf/10-torn.conflist', '{"cniVersion": "1.0.0", "name"'),
    says: /^a network configuration does not count$/,
    shows: /10-torn\.conflist/,
    mends: site => site.remove('conf/10-torn.conflist')
  },
  {
    name: 'two files have one network name',
    check: 'conflists',
    severity: 'error',
    breaks: site => network(site, 'web', { file: 'zz' }),
    says: /^a network configuration does not count$/,
    shows: /network "web" is in ".*web\.conflist" already/,
    mends: site => site.remove('conf/zz.conflist')
  },
  {
    name: 'a chained plugin comes first',
    check: 'conflists',
    severity: 'error',
    breaks: site => network(site, 'odd', { first: 'portmap', more: [{ type: 'bridge' }] }),
    says: /^network odd begins with plugin portmap/,
    shows: /portmap, bridge/,
    mends: site => site.remove('conf/odd.conflist')
  },
  {
    name: 'a plugin is not installed',
    check: 'conflists',
    severity: 'error',
    breaks: site => site.remove('bin/host-local'),
    says: /^network web needs plugins that are not installed: host-local$/,
    shows: /host-local/,
    mends: site => site.file('bin/host-local', PLUGIN, 0o755)
  },
  {
    name: 'a plugin is where podman looks, and not where containerd does',
    check: 'conflists',
    severity: 'note',
    breaks: site => {
      site.remove('bin/bridge')
      site.file('other-bin/bridge', PLUGIN, 0o755)
    },
    says: /^network web has plugins that only some runtimes find: bridge$/,
    shows: /they are in one of .*other-bin/,
    mends: site => site.file('bin/bridge', PLUGIN, 0o755)
  },
  {
    name: 'the plugin is older than the configuration',
    check: 'plugin-versions',
    severity: 'error',
    breaks: site => network(site, 'web', { version: '1.1.0' }),
    says: /^plugin bridge does not speak CNI 1\.1\.0, which network web asks for$/,
    shows: /it speaks 0\.4\.0, 1\.0\.0/,
    mends: site => network(site, 'web', {})
  },
  {
    name: 'two networks have one subnet',
    check: 'subnet-overlap',
    severity: 'error',
    breaks: site => network(site, 'lab', { subnet: '10.77.0.128/25' }),
    says: /^networks lab and web have addresses in common$/,
    shows: /10\.77\.0\.128\/25 in /,
    mends: site => network(site, 'lab', { subnet: '10.79.0.0/24' })
  },
  {
    name: 'leases of a crash have used up the pool',
    check: 'pools',
    severity: 'error',
    breaks: site => {
      // Of a /29 host-local gives 5 of 8 addresses: not the network, the gateway, the broadcast.
      network(site, 'small', { subnet: '10.80.0.0/29' })
      for (let i = 2; i <= 6; i += 1) site.file(`leases/small/10.80.0.${String(i)}`, `dead${String(i)}\r\neth0`)
    },
    says: /^network small has no address left$/,
    shows: /5 of 5 addresses of 10\.80\.0\.0\/29/,
    mends: site => {
      for (let i = 2; i <= 6; i += 1) site.remove(`leases/small/10.80.0.${String(i)}`)
    }
  },
  {
    name: 'a container went without DEL',
    check: 'gone',
    severity: 'warning',
    breaks: site => attachment(site, 'web', 'c9', { box: undefined, ips: ['10.77.0.9/24'] }),
    says: /^network web remembers containers that are not there$/,
    shows: /c9 \(eth0\) 10\.77\.0\.9\/24/,
    mends: 'fix'
  },
  {
    name: 'an address is leased to nobody',
    check: 'gone',
    severity: 'warning',
    breaks: site => site.file('leases/web/10.77.0.66', 'dead\r\neth0'),
    says: /^network web has leased addresses that nobody uses$/,
    shows: /10\.77\.0\.66 to dead \(eth0\)/,
    mends: site => site.remove('leases/web/10.77.0.66')
  },
  {
    name: 'no agent, though the network has names',
    check: 'agent',
    severity: 'error',
    breaks: site => network(site, 'web', { more: [{ type: 'dns' }] }),
    says: /^the agent does not answer, which networks need: web$/,
    shows: /agent\.sock/,
    mends: site => network(site, 'web', {})
  },
  {
    name: 'etcd is away',
    check: 'etcd',
    severity: 'error',
    breaks: site => site.file('agent.json', { etcd: { endpoints: ['http://127.0.0.1:9'] } }),
    says: /^the registry of the cluster cannot be read/,
    shows: /127\.0\.0\.1:9/,
    mends: site => site.remove('agent.json')
  },
  {
    name: 'the clock went back',
    check: 'clock',
    severity: 'warning',
    breaks: site => {
      site.file('state/web/c1:eth0.bridge.json', {})
      site.sh(site.host, `touch -d '2 hours' '${site.directory}/state/web/c1:eth0.bridge.json'`)
    },
    says: /^the clock has gone back: records are 7[12]\d\d seconds ahead of it$/,
    shows: /c1:eth0\.bridge\.json is of /,
    mends: site => {
      site.sh(site.host, `touch '${site.directory}/state/web/c1:eth0.bridge.json'`)
    }
  },
  {
    name: 'the hosts of a cluster have different clocks',
    check: 'clock',
    severity: 'warning',
    breaks: async site => {
      // All that etcd says here is its date: an hour ago.
      server = createServer((_, answer) => {
        answer.setHeader('date', new Date(Date.now() - 3_600_000).toUTCString())
        answer.end()
      })
      await new Promise<void>(resolve => server?.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      site.file('agent.json', { etcd: { endpoints: [`http://127.0.0.1:${String(port)}`] } })
    },
    says: /^the clocks of this host and of etcd differ$/,
    shows: /^http:\/\/127\.0\.0\.1:\d+: 36\d\d seconds behind this host$/,
    mends: site => {
      server?.close()
      site.remove('agent.json')
    }
  },
  {
    name: 'containers ask for names, and nobody answers',
    check: 'names',
    severity: 'error',
    breaks: site => {
      const red = site.box(0)
      site.file('state/web/c1:eth0.dns.json', { netns: red.path, netnsId: netnsId(red), names: ['red'], addresses: [] })
    },
    says: /^containers ask 127\.0\.0\.11 for names, and nobody answers there$/,
    shows: /red: no socket at 127\.0\.0\.11/,
    mends: answerNames
  }
]

const RESOLVER = `const socket = require('node:dgram').createSocket('udp4')
  socket.bind(0, '127.0.0.11', () => console.log('bound'))
  setTimeout(() => process.exit(), 60_000)`

/** A socket where the agent has one: at the resolver's address, on a high port. */
async function answerNames(site: Site): Promise<void> {
  site.ip(site.box(0), 'link set lo up')
  const child = spawn(NSENTER, [`--net=${site.box(0).path}`, process.execPath, '-e', RESOLVER])
  await new Promise(resolve => child.stdout.once('data', resolve))
  // It is the namespace's second process, and ends with the test at the latest.
  child.unref()
  child.stdout.destroy()
  child.stderr.destroy()
  process.once('exit', () => child.kill('SIGKILL'))
}

testWorlds(test, RECORDS, withFindings)

test.run()
