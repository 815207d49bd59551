/** The built plugin under macvlan and bridge, beside the real daemon and real servers (busybox udhcpd, ISC dhcpd). */
// needs: busybox dhcpd
// time-out: 480 s
// waits: for servers and leases
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type DhcpLab, type DhcpLabOptions, inDhcpLab, run, until } from '../../lib/testing/dhcp-lab.ts'
import { Namespace } from '../../lib/testing/namespace.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite(`ipam/dhcp as built ${process.env['PATCHBAY_ENGINE'] ?? ''}`)

const BIN_DIR = process.env['PATCHBAY_BIN_DIR'] ?? ''

interface Answer {
  readonly status: number
  readonly stdout: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever a plugin printed
  readonly json: any
}

/** Laid over the configuration, and over what it has in `ipam`. */
interface More {
  readonly type?: string
  readonly ipam?: object
  readonly [key: string]: unknown
}

/** A host whose `up0` is connected to the server's network, and containers that the plugins attach. */
class Site {
  readonly lab: DhcpLab
  readonly containers: Namespace[] = []

  constructor(lab: DhcpLab) {
    this.lab = lab
    run(lab.server, `ip link add pup type veth peer name up0 netns ${lab.host.pid}`)
    run(lab.server, 'ip link set pup master br0 up')
    run(lab.host, 'ip link set up0 up')
  }

  container(): Namespace {
    const container = Namespace.create()
    this.containers.push(container)
    return container
  }

  call(command: string, id: string, container: Namespace | undefined, more: More = {}): Answer {
    const config = {
      cniVersion: '1.1.0',
      name: 'lan',
      type: 'macvlan',
      master: 'up0',
      stateDir: join(this.lab.directory, 'journal'),
      ...more,
      ipam: { type: 'dhcp', daemonSocketPath: this.lab.socket, timeout: 90, ...more.ipam }
    }
    const env = {
      PATH: process.env['PATH'],
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_IFNAME: 'eth0',
      CNI_NETNS: container?.path ?? '',
      CNI_PATH: BIN_DIR,
      CNI_ARGS: 'IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=web'
    }
    const outcome = this.lab.host.run(join(BIN_DIR, config.type), [], { env, input: JSON.stringify(config) })
    return { ...outcome, json: outcome.stdout === '' ? undefined : JSON.parse(outcome.stdout) }
  }

  add(id: string, container: Namespace, more: More = {}): Answer['json'] {
    const answer = this.call('ADD', id, container, more)
    if (answer.status !== 0) throw new Error(`ADD ${id}: ${answer.stdout}`)
    return answer.json
  }

  del(id: string, container: Namespace | undefined, more: More = {}): void {
    const answer = this.call('DEL', id, container, more)
    if (answer.status !== 0) throw new Error(`DEL ${id}: ${answer.stdout}`)
  }
}

async function inSite(
  addresses: number,
  body: (site: Site) => Promise<void>,
  more: Pick<DhcpLabOptions, 'ipv6'> = {}
): Promise<void> {
  if (BIN_DIR === '') throw new Error('PATCHBAY_BIN_DIR is not set: run black-box tests through npm test')
  await inDhcpLab({ leaseSeconds: 3600, addresses, ...more }, async lab => {
    const site = new Site(lab)
    try {
      await body(site)
    } finally {
      for (const container of site.containers) container.close()
    }
  })
}

function addressesOf(container: Namespace): readonly string[] {
  const [link] = JSON.parse(run(container, 'ip -j -4 address show dev eth0'))
  return link.addr_info.map((one: { local: string; prefixlen: number }) => `${one.local}/${one.prefixlen}`)
}

test("macvlan: the lease is the interface's; CHECK, STATUS; DEL gives it back before the interface goes", async () => {
  await inSite(1, async site => {
    const container = site.container()
    const provide = [{ option: 'host-name', fromArg: 'NERDCTL_CNI_DHCP_HOSTNAME' }]
    const result = site.add('c1', container, { ipam: { provide, priority: 50 } })
    assert.is(result.ips.length, 1)
    const { address, gateway } = result.ips[0]
    assert.is(gateway, '10.9.0.1')
    assert.is(result.ips[0].interface, 0)
    assert.equal(addressesOf(container), [address])
    assert.match(run(container, 'ip route'), /^default via 10\.9\.0\.1 dev eth0 metric 50/m)
    assert.equal(result.dns, { nameservers: ['10.9.0.1'] })
    assert.is(site.call('CHECK', 'c1', container, { prevResult: result, ipam: { priority: 50 } }).stdout, '')
    assert.is(site.call('STATUS', 'c1', container).stdout, '')

    site.del('c1', container)
    assert.is(run(container, 'ip -o link show type macvlan'), '')
    // The server has one address: whoever gets it now gets it because of RELEASE.
    const heir = site.container()
    assert.is(site.add('c2', heir).ips[0].address, address)
    assert.is(site.call('CHECK', 'c1', container, { prevResult: result }).json.code, 102)
    // As nerdctl calls it, and again.
    site.del('c2', undefined)
    site.del('c2', undefined)
    assert.is(site.add('c3', site.container()).ips[0].address, address)
    const gc = site.call('GC', '', undefined, { 'cni.dev/valid-attachments': [] })
    assert.is(gc.stdout, '')
    assert.equal(site.lab.leaseFiles(), [])
    assert.is(site.add('c4', site.container()).ips[0].address, address)
  })
})

test('both versions: the container gets both addresses, and the server of each hears of the end', async () => {
  const work = async (site: Site): Promise<void> => {
    const ipam = { families: ['ipv4', 'ipv6'] }
    const container = site.container()
    const result = site.add('c1', container, { ipam })
    assert.is(result.ips.length, 2)
    assert.equal(result.ips[1], { interface: 0, address: 'fd09::10/128' })
    assert.match(run(container, 'ip -o -6 address show dev eth0 scope global'), /inet6 fd09::10\/128 /)
    assert.equal(addressesOf(container), [result.ips[0].address])
    assert.equal(result.dns, { nameservers: ['10.9.0.1', 'fd09::1'], search: ['example.org'] })
    assert.is(site.call('CHECK', 'c1', container, { prevResult: result, ipam }).stdout, '')
    site.del('c1', container, { ipam })
    assert.is(run(container, 'ip -o link show type macvlan'), '')
    await until('the server says so', () => site.lab.served.includes('releases address fd09::10'))
    // Both servers have one address.
    const heir = site.add('c2', site.container(), { ipam })
    assert.equal(heir.ips, result.ips)
  }
  await inSite(1, work, { ipv6: { seconds: 3600, addresses: 1 } })
})

test('bridge: the interface is there before the lease; a server that gives nothing leaves nothing', async () => {
  await inSite(1, async site => {
    run(site.lab.host, 'ip link add pb0 type bridge forward_delay 0')
    run(site.lab.host, 'ip link set up0 master pb0')
    run(site.lab.host, 'ip link set pb0 up')
    const bridge = { type: 'bridge', bridge: 'pb0' }
    const container = site.container()
    const result = site.add('c1', container, bridge)
    assert.equal(addressesOf(container), [result.ips[0].address])
    assert.is(result.ips[0].interface, 2)
    const second = site.container()
    const refused = site.call('ADD', 'c2', second, { ...bridge, ipam: { timeout: 6 } })
    assert.is(refused.json.code, 11)
    assert.match(refused.json.msg, /no DHCP server answered/)
    assert.is(run(second, 'ip -o link show type veth'), '')
    site.del('c1', container, bridge)
    assert.is(site.add('c2', second, bridge).ips[0].address, result.ips[0].address)
  })
})

test('no daemon: ADD is code 11 and leaves nothing, STATUS 50; DEL succeeds, and the next daemon gives back', async () => {
  await inSite(1, async site => {
    const container = site.container()
    const result = site.add('c1', container)
    await site.lab.killDaemon()
    const second = site.container()
    const refused = site.call('ADD', 'c2', second)
    assert.is(refused.json.code, 11)
    assert.match(refused.json.details, /patchbay dhcp/)
    assert.is(run(second, 'ip -o link show type macvlan'), '')
    assert.is(site.call('STATUS', 'c2', second).json.code, 50)
    site.del('c1', container)
    assert.ok(existsSync(`${site.lab.socket}.released`))
    site.lab.startDaemon()
    await site.lab.whenReady()
    await until('the note is read', () => readdirSync(`${site.lab.socket}.released`).length === 0)
    assert.equal(site.lab.leaseFiles(), [])
    assert.is(result.ips.length, 1)
  })
})

test('`dhcp daemon` is a daemon where there is one, and says where else', async () => {
  await inSite(1, async site => {
    const outcome = site.lab.host.run(join(BIN_DIR, 'dhcp'), ['daemon', '-statedir', 'relative'])
    if (process.env['PATCHBAY_ENGINE'] === 'node') {
      assert.is(outcome.status, 2)
      assert.match(outcome.stderr, /-statedir must be an absolute path/)
    } else {
      assert.is(outcome.status, 1)
      assert.match(outcome.stderr, /start "patchbay dhcp"/)
    }
  })
})

test.run()
