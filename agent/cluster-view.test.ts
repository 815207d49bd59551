import { assert, suite } from '../lib/testing/suite.ts'
import { clusterOf } from './cluster-view.ts'

const test = suite('agent: the cluster as etcd has it')

const HOST = JSON.stringify({ machine: 'm1', presence: '1', records: '2' })

test('hosts with their containers and names; who has no agent is told', () => {
  const cluster = clusterOf('/patchbay', {
    hosts: [
      { key: '/patchbay/hosts/b', value: HOST },
      { key: '/patchbay/hosts/a', value: HOST },
      { key: '/patchbay/hosts/a/present', value: 'm1' }
    ],
    endpoints: [
      {
        key: '/patchbay/endpoints/7/a/web/c1/eth0',
        value: '{"mac":"02:00:00:00:00:01","ips":["10.1.0.2"],"vtep":"192.0.2.1"}'
      }
    ],
    names: [{ key: '/patchbay/names/web/a/c1/eth0', value: '{"names":["red"],"addresses":[],"domain":""}' }]
  })
  assert.equal(cluster, [
    {
      name: 'a',
      isPresent: true,
      endpoints: [
        {
          network: 'web',
          vni: 7,
          containerId: 'c1',
          ifName: 'eth0',
          mac: '02:00:00:00:00:01',
          addresses: ['10.1.0.2'],
          underlay: '192.0.2.1',
          names: ['red']
        }
      ]
    },
    { name: 'b', isPresent: false, endpoints: [] }
  ])
})

test('what is malformed is left out', () => {
  const value = '{"mac":"02:00:00:00:00:01","ips":["fd00::2"],"vtep":"2001:db8::1"}'
  const endpoints = [
    { key: '/patchbay/endpoints/7/a/web/c1', value },
    { key: '/patchbay/endpoints/x/a/web/c1/eth0', value },
    { key: '/patchbay/endpoints/8/a/web/c1/eth0', value: '{"mac":' },
    { key: '/patchbay/endpoints/9/a/web/c1/eth0', value }
  ]
  const [host] = clusterOf('/patchbay', { hosts: [{ key: '/patchbay/hosts/z', value: '[]' }], endpoints, names: [] })
  assert.is(host?.name, 'a')
  assert.equal(
    host?.endpoints.map(one => [one.vni, one.underlay]),
    [[9, '2001:db8::1']]
  )
})

test.run()
