import { assert, suite } from '../../lib/testing/suite.ts'
import { drawServices } from './services-picture.ts'

const test = suite('cli/demo, the picture of services')

test('three hosts fit into 80 columns', () => {
  const hosts = ['amsterdam', 'copenhagen'].map((name, i) => ({ name, address: `192.0.2.${i + 1}` }))
  const [host] = hosts
  if (host === undefined) throw new Error('no host')
  const services = [{ name: 'web', address: '10.42.0.254' }]
  const drawn = drawServices(hosts, [{ host, name: 'web1', address: '10.42.0.2' }], services, 8001)
  assert.is(
    drawn,
    [
      '     192.0.2.1:8001       192.0.2.2:8001',
      '            │                    │',
      '   ┌────────┴───────┐   ┌────────┴───────┐',
      '   │   amsterdam    │   │   copenhagen   │',
      '   │ web1 10.42.0.2 │   │                │',
      '   └────────┬───────┘   └────────┬───────┘',
      '            ╚════════════════════╝',
      '   service web  10.42.0.254',
      ''
    ].join('\n')
  )
})

test.run()
