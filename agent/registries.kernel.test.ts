/** The agent's registries beyond the ordinary case: etcd with certificates and passwords, and the file. */
// needs: bridge ping etcd etcdctl openssl
// time-out: 600 s
// waits: for leases to end, and files to be looked at
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EtcdCluster } from '../lib/testing/etcd-cluster.ts'
import { LabAgent, until } from '../lib/testing/lab-agent.ts'
import { inLab, type LabHost, ok, pings } from '../lib/testing/overlay-lab.ts'
import { BIN_DIR, OverlaySite } from '../lib/testing/overlay-site.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('agent, its registries')

function openssl(directory: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: directory, encoding: 'utf8' })
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
}

/** An authority, a certificate for the member at 192.0.2.101, and one for clients. */
function makeCertificates(directory: string): void {
  mkdirSync(directory, { recursive: true })
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(directory, 'req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=ca')
  for (const [name, usage] of [
    ['server', 'subjectAltName=IP:192.0.2.101,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth'],
    ['client', 'extendedKeyUsage=clientAuth']
  ] as const) {
    writeFileSync(join(directory, `${name}.ext`), usage)
    openssl(directory, 'req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=patchbay')
    const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`]
    openssl(directory, 'x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...signed)
  }
}

/** root, and one that may do as it likes below /site/b/. */
function addUsers(ctl: (...args: readonly string[]) => string): void {
  ctl('user', 'add', 'root:secret')
  ctl('user', 'grant-role', 'root', 'root')
  ctl('user', 'add', 'net:word')
  ctl('role', 'add', 'net')
  ctl('role', 'grant-permission', 'net', '--prefix=true', 'readwrite', '/site/b/')
  ctl('user', 'grant-role', 'net', 'net')
  ctl('auth', 'enable')
}

test('etcd by https with client certificates, a user and a password, below another prefix', async () => {
  await inLab(2, { binDir: BIN_DIR }, async lab => {
    const pki = join(lab.directory, 'pki')
    makeCertificates(pki)
    const file = (name: string): string => join(pki, name)
    const server = ['--cert-file', file('server.crt'), '--key-file', file('server.key')]
    const etcd = await EtcdCluster.start(lab, 1, [...server, '--client-cert-auth', '--trusted-ca-file', file('ca.crt')])
    const tls = [`--cacert=${file('ca.crt')}`, `--cert=${file('client.crt')}`, `--key=${file('client.key')}`]
    addUsers((...args) => etcd.ctl(...tls, ...args))
    writeFileSync(file('password'), 'word\n', { mode: 0o600 })
    writeFileSync(file('wrong'), 'nonsense\n', { mode: 0o600 })
    const access = {
      // The first endpoint answers nobody: the second one is taken.
      endpoints: ['https://192.0.2.250:2379', ...etcd.endpoints()],
      prefix: '/site/b',
      ca: file('ca.crt'),
      cert: file('client.crt'),
      key: file('client.key'),
      username: 'net',
      passwordFile: file('password')
    }
    const agent = new LabAgent(lab, lab.host(0), { etcd: access })
    await agent.whenReady()
    const keys = etcd.ctl(...tls, '--user=root:secret', 'get', '--prefix', '--keys-only', '/')
    assert.equal(keys.match(/\S+/g), ['/site/b/format', '/site/b/hosts/h0', '/site/b/hosts/h0/present'])

    const stranger = new LabAgent(lab, lab.host(1), { etcd: { ...access, passwordFile: file('wrong') } })
    await until('the refusal', () => /authentication failed/.test(stranger.log))
    assert.is((await stranger.ask({ do: 'status' })).code, 51)
    await stranger.kill()
    const bare = new LabAgent(lab, lab.host(1), { etcd: { ...access, cert: '', key: '' } })
    await until('the refusal', () => /certificate|ECONNRESET|was lost|closed/.test(bare.log))
    assert.is((await bare.ask({ do: 'status' })).code, 51)
    await bare.kill()
    assert.ok((await agent.ask({ do: 'status' })).ok)

    // A user made anew makes all its tokens worthless, as time does. Networks that come afterwards are followed all the same.
    etcd.ctl(...tls, '--user=root:secret', 'user', 'delete', 'net')
    etcd.ctl(...tls, '--user=root:secret', 'user', 'add', 'net:word')
    etcd.ctl(...tls, '--user=root:secret', 'user', 'grant-role', 'net', 'net')
    const site = new OverlaySite(lab, etcd, [agent])
    await site.add(0, 'c0')
    const elsewhere = { mac: '02:00:00:00:00:07', ips: ['10.42.9.9'], vtep: '192.0.2.9' }
    const key = '/site/b/endpoints/42/h9/net1/c9/eth0'
    etcd.ctl(...tls, '--user=root:secret', 'put', key, JSON.stringify(elsewhere))
    await until('it is heard', () => /02:00:00:00:00:07 dst 192\.0\.2\.9 self/.test(site.fdb(0)))
    await until('it says why', () => /registry: a watch is refused: .+/.test(agent.log))
  })
})

test('client certificates that are renewed on disk are used; one that has expired is told', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const pki = join(lab.directory, 'pki')
    makeCertificates(pki)
    const file = (name: string): string => join(pki, name)
    const server = ['--cert-file', file('server.crt'), '--key-file', file('server.key')]
    const etcd = await EtcdCluster.start(lab, 1, [...server, '--client-cert-auth', '--trusted-ca-file', file('ca.crt')])
    copyFileSync(file('client.crt'), file('good.crt'))
    const sign = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'client.ext']
    openssl(pki, 'x509', '-req', '-in', 'client.csr', '-out', 'client.crt', ...sign, '-days', '-1')
    const access = { ca: file('ca.crt'), cert: file('client.crt'), key: file('client.key') }
    const agent = new LabAgent(lab, lab.host(0), { etcd: { endpoints: etcd.endpoints(), leaseSeconds: 3, ...access } })
    await until('it says why', () => /TLS: certificate \S*client\.crt was valid until /.test(agent.log))
    renameSync(file('good.crt'), file('client.crt'))
    await agent.whenReady()
    // Renewed while the connection is good: the next one, too, has it.
    copyFileSync(file('client.crt'), file('next.crt'))
    renameSync(file('next.crt'), file('client.crt'))
    await until('it is noticed', () => /certificates or password have been renewed/.test(agent.log))
    await agent.whenReady()

    // A certificate of another authority: only the server can tell.
    const other = join(lab.directory, 'other')
    makeCertificates(other)
    for (const name of ['client.crt', 'client.key']) renameSync(join(other, name), file(name))
    await until('the server says why', () => /TLS: .*alert/.test(agent.log))
    assert.is((await agent.ask({ do: 'status' })).code, 51)
  })
})

test('another machine of the same name is not let in', async () => {
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const etcd = await EtcdCluster.start(lab, 1)
    etcd.ctl('put', '/patchbay/hosts/h0', '{"machine":"another","endpoints":"1","addresses":"2"}')
    const agent = new LabAgent(lab, lab.host(0), { etcd: { endpoints: etcd.endpoints() } })
    await until('the refusal', () => /another machine \("another"\) is registered as "h0"/.test(agent.log))
  })
})

test('of two clones the second is refused and told what to do; the first goes on; a host gets another name', async () => {
  await inLab(2, { binDir: BIN_DIR }, async lab => {
    const etcd = await EtcdCluster.start(lab, 1)
    const config = { etcd: { endpoints: etcd.endpoints(), leaseSeconds: 3 } }
    const first = new LabAgent(lab, lab.host(0), config)
    await first.whenReady()
    const clone = new LabAgent(lab, lab.host(1), { ...config, host: 'h0' })
    await until('the refusal', () => /another agent is registered as "h0".*machine id of its own/.test(clone.log))
    assert.is((await clone.ask({ do: 'status' })).code, 51)
    assert.ok((await first.ask({ do: 'status' })).ok)
    assert.not.match(first.log, /lease of this host has ended/)
    const record = etcd.ctl('get', '--print-value-only', '/patchbay/hosts/h0')
    await new Promise(resolve => setTimeout(resolve, 3000))
    assert.is(etcd.ctl('get', '--print-value-only', '/patchbay/hosts/h0'), record)

    // The first one dies: the name is the other's when the lease has run out.
    await first.kill()
    await clone.whenReady()

    // Another name with the state of the former one: nothing is left of the old name.
    await clone.kill()
    const renamed = new LabAgent(lab, lab.host(1), { ...config, host: 'renamed' })
    await renamed.whenReady()
    await until('the old name is gone', () => etcd.keys('/patchbay/hosts/h0').length === 0)
    assert.equal(etcd.keys('/patchbay/hosts/'), ['/patchbay/hosts/renamed', '/patchbay/hosts/renamed/present'])
    await renamed.stop()
  })
})

test('a file of hosts: tunnels flood to them and learn; a host that is taken out is forgotten', async () => {
  await inLab(3, { binDir: BIN_DIR }, async lab => {
    const file = join(lab.directory, 'hosts.json')
    const write = (count: number): void =>
      writeFileSync(file, JSON.stringify({ hosts: lab.hosts.slice(0, count).map(host => host.address) }))
    write(3)
    const agents = lab.hosts.map(host => new LabAgent(lab, host, { file }))
    await Promise.all(agents.map(agent => agent.whenReady()))
    const network = (host: LabHost): Record<string, unknown> => {
      const h = String(host.number + 1)
      const range = { subnet: '10.42.0.0/16', rangeStart: `10.42.${h}.10`, rangeEnd: `10.42.${h}.20` }
      const ipam = { type: 'host-local', dataDir: join(host.directory, 'leases'), ranges: [[range]] }
      return { type: 'vxlan', vni: 42, isGateway: true, registry: { socket: join(host.directory, 'agent.sock') }, ipam }
    }
    const boxes = []
    for (const host of lab.hosts) {
      const netns = lab.container()
      const reply = await lab.start(host, 'ADD', network(host), { id: 'c', netns: netns.path })
      assert.is(reply.status, 0, reply.stdout)
      boxes.push(netns)
    }
    const [first] = boxes
    for (const address of ['10.42.2.10', '10.42.3.10', '10.42.0.1']) {
      if (first !== undefined) assert.ok(pings(first, address, 1422), address)
    }
    const fdb = (): string => ok(lab.host(0).namespace, 'bridge fdb show dev vx42')
    assert.match(fdb(), /00:00:00:00:00:00 dst 192\.0\.2\.3/)
    assert.not.match(fdb(), /00:00:00:00:00:00 dst 192\.0\.2\.1/)
    write(2)
    await until('host 2 is forgotten', () => !/00:00:00:00:00:00 dst 192\.0\.2\.3/.test(fdb()))
    writeFileSync(file, '{')
    await until('the fault is said', async () => (await agents[0]?.get('/healthz'))?.status === 503)
    assert.match(fdb(), /00:00:00:00:00:00 dst 192\.0\.2\.2/)
    const host = lab.host(0)
    const cluster = { ...network(host), ipam: { type: 'cluster', ranges: [[{ subnet: '10.43.0.0/24' }]] } }
    write(2)
    await until('the file is read again', async () => (await agents[0]?.get('/healthz'))?.status === 200)
    const refused = await lab.start(host, 'ADD', cluster, { id: 'd', netns: lab.container().path })
    assert.is(refused.json.code, 51)
    assert.match(refused.json.details, /host-local/)
  })
})

test.run()
