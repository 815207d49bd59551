// needs: bridge etcd etcdctl
/** `patchbay map --cluster`: what etcd has of other hosts, as the agents there write it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EtcdCluster } from '../../lib/testing/etcd-cluster.ts'
import { inLab } from '../../lib/testing/overlay-lab.ts'
import { patchbayProgram } from '../../lib/testing/program.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('cli/map: the cluster')

const ENDPOINT = { mac: '02:00:00:00:00:07', ips: ['10.90.0.7'], vtep: '192.0.2.9' }

test('the other hosts with their containers, and whose agent is away', () =>
  inLab(1, {}, async lab => {
    const etcd = await EtcdCluster.start(lab, 1)
    const host = JSON.stringify({ machine: 'm9', presence: '1', records: '2' })
    etcd.ctl('put', '/patchbay/hosts/far', host)
    etcd.ctl('put', '/patchbay/endpoints/42/far/blue/c7/eth0', JSON.stringify(ENDPOINT))
    etcd.ctl('put', '/patchbay/names/blue/far/c7/eth0', '{"names":["seven"],"addresses":["10.90.0.7"],"domain":""}')
    const config = join(lab.directory, 'agent.json')
    writeFileSync(config, JSON.stringify({ etcd: { endpoints: etcd.endpoints() } }))
    const [node, ...args] = patchbayProgram()
    const none = ['conf', 'cache', 'state'].flatMap(name => [`--${name}-dir`, join(lab.directory, `no-${name}`)])
    const map = (...more: readonly string[]) =>
      lab.host(0).namespace.run(node, [...args, 'map', '--cluster', '--config', config, ...none, ...more], {
        env: { PATH: process.env['PATH'], LC_ALL: 'C' }
      })
    const drawn = map()
    assert.is(drawn.status, 0, drawn.stderr)
    assert.match(drawn.stdout, /host far = 192\.0\.2\.9 = its agent is away/)
    for (const text of ['seven', '10.90.0.7', 'network blue']) assert.ok(drawn.stdout.includes(text), drawn.stdout)
    etcd.ctl('put', '/patchbay/hosts/far/present', 'm9')
    const [far] = JSON.parse(map('--json').stdout).cluster
    assert.equal([far.name, far.isPresent, far.endpoints[0].names], ['far', true, ['seven']])
    await etcd.kill(0)
    const away = map()
    assert.is(away.status, 1)
    assert.match(away.stderr, /192\.0\.2\.101:2379/)
  }))

test.run()
