/** What the check "encryption" makes of networks and of the agent's answer. */
import { parseJson } from '../../lib/config/json.ts'
import { ScriptedDaemon } from '../../lib/testing/scripted-daemon.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { encryptedNames, refusedBy } from './checks/encryption.ts'

const test = suite('cli/doctor/encryption')

test('networks are encrypted by either way of asking for it', () => {
  const network = (name: string, plugin: object) => ({ name, plugins: [parseJson(JSON.stringify(plugin))] })
  assert.equal(
    encryptedNames([
      network('mine', { type: 'vxlan', encrypted: true, registry: {} }),
      network('agents', { type: 'vxlan', encrypted: {} }),
      network('clear', { type: 'vxlan', encrypted: false, registry: {} }),
      network('local', { type: 'bridge' })
    ]),
    ['mine', 'agents']
  )
})

test('hosts that are kept out are named with the reason; an agent that is away is no finding', async () => {
  const hosts = [
    { host: 'berlin', key: 'k1', endpoint: '192.0.2.2 port 51830', lastHandshake: 1 },
    { host: 'oslo', key: 'k2', endpoint: '', refused: 'presents key k2, but is known by k0' }
  ]
  const answers = { 'host-keys': { ok: true, result: { own: 'k', hosts } } }
  await new ScriptedDaemon().during(answers, ({ socket }) => {
    const found = refusedBy(socket)
    assert.equal(
      found.map(one => [one.severity, one.what, one.evidence]),
      [
        [
          'error',
          'host "oslo" is kept out of encrypted networks: nothing is sent to it',
          ['it presents key k2, but is known by k0']
        ]
      ]
    )
  })
  assert.equal(refusedBy('/nowhere/agent.sock'), [])
})

test.run()
