/** A host is cut off with everything on it running, and comes back: the same state everywhere. */
// needs: etcd etcdctl nft bridge
// time-out: 300 s
import { until } from '../../lib/testing/lab-agent.ts'
import type { Namespace } from '../../lib/testing/namespace.ts'
import { inSite, type OverlaySite } from '../../lib/testing/overlay-site.ts'
import { attach, detach, makeServiceNetwork, service } from '../../lib/testing/service-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/services, a partition')

/** What a host says of services and members. */
function told(site: OverlaySite, host: number): string {
  const names = service(site, host, 'ls', '-q')
    .stdout.split('\n')
    .filter(one => one !== '')
  const members = service(site, host, 'ps', ...names, '--format', '{{.Service}} {{.Name}} {{.Host}} {{.State}}')
  return `${names.join(' ')}\n${members.stdout}${members.stderr}`
}

/** Where a client's connections may go, whatever its turns begin with. */
function ways(client: Namespace): string {
  const { stdout } = client.run('nft', ['-j', 'list', 'table', 'ip', 'patchbay-services'])
  if (stdout === '') return ''
  return [...stdout.matchAll(/\["(10\.43\.255\.\d+)", \d+\]\}, "(10\.43\.0\.\d+)"\]/g)]
    .map(match => `${match[1]} ${match[2]}`)
    .sort()
    .join(', ')
}

test('what comes, goes and changes on both sides of a partition is the same everywhere when it is over', async () => {
  const leases = { leaseSeconds: 3, addressLeaseSeconds: 120 }
  await inSite({ members: 1, hosts: 3, etcd: leases }, async site => {
    await makeServiceNetwork(site)
    const clients = [0, 1, 2].map(host => attach(site, host, `client${host}`))
    const boxes = [0, 1, 2].map(host => attach(site, host, `web${host}`, 'web', 'shop'))
    for (const name of ['web', 'old']) assert.is(service(site, 0, 'create', name, '--network', 'blue').status, 0)
    const everywhere = (what: string, isSo: (host: number) => boolean): Promise<unknown> =>
      Promise.all([0, 1, 2].map(host => until(`${what} on host ${host}`, () => isSo(host))))
    await everywhere('three members', host => told(site, host).match(/^web web\d h\d running$/gm)?.length === 3)

    site.lab.setPort(2, false)
    await until('host 1 is away', () => /^web web1 h1 host away$/m.test(told(site, 0)))
    // One side: services and members come and go.
    assert.is(service(site, 2, 'create', 'shop', '--network', 'blue', '--sticky', 'source').status, 0)
    assert.is(service(site, 0, 'rm', 'old').status, 0)
    if (boxes[2] !== undefined) detach(site, boxes[2])
    attach(site, 0, 'web3', 'web')
    // The other one: a container goes, without a registry.
    if (boxes[1] !== undefined) detach(site, boxes[1])
    assert.match(told(site, 1), /^old web\n/)
    site.lab.setPort(2, true)

    const right = 'shop web\nshop web0 h0 running\nweb web0 h0 running\nweb web3 h0 running\n'
    await everywhere('the same', host => told(site, host) === right).catch(error => {
      throw new Error(`${error.message}\n${[0, 1, 2].map(host => told(site, host)).join('---\n')}`)
    })
    const [first = '', ...others] = clients.map(({ netns }) => ways(netns))
    assert.match(first, /^10\.43\.255\.\d+ 10\.43\.0\.\d+, /)
    assert.equal(others, [first, first])
  })
})

test.run()
