/** A host whose kernel has no WireGuard: what was to be encrypted is refused, with the module's name, and nothing is left. */
// needs: etcd etcdctl
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabAgent } from '../../lib/testing/lab-agent.ts'
import { carrierOf, inLab, ok } from '../../lib/testing/overlay-lab.ts'
import { BIN_DIR, inSite } from '../../lib/testing/overlay-site.ts'
import { assert, suite } from '../../lib/testing/suite.ts'

const test = suite('agent/encryption, without WireGuard')

const SECRET = { encrypted: true }

test('a network that is to be encrypted is refused, and what is not goes on', async () => {
  await inSite({ members: 1, hosts: 1 }, async site => {
    const { namespace, directory } = site.lab.host(0)
    const probe = namespace.run('ip', ['link', 'add', 'probe', 'type', 'wireguard'])
    if (probe.status === 0) return
    const added = await site.refused(0, 'c', SECRET)
    assert.is(added.json.code, 50)
    assert.match(added.json.msg, /links of kind "wireguard" need CONFIG_WIREGUARD in the kernel \(modprobe wireguard\)/)
    const status = await site.call('STATUS', 0, '', SECRET)
    assert.is(status.json.code, 50)
    assert.match(status.json.msg, /modprobe wireguard/)
    assert.equal(site.lab.links(namespace), ['eth0', 'lo'])
    assert.not.ok(existsSync(carrierOf(site.lab.host(0))))
    assert.is(statSync(join(directory, 'keys', 'private.key')).mode & 0o777, 0o600)

    const plain = await site.add(0, 'c')
    assert.is((await site.check(plain)).stdout, '')
    // What runs in clear is told by CHECK, and is not taken for encrypted.
    const checked = await site.check(plain, SECRET)
    assert.is(checked.json.code, 50)
    assert.not.match(ok(namespace, 'ip -d link show vx42'), /link-netns/)
    assert.is((await site.call('DEL', 0, 'c', SECRET)).stdout, '')
    assert.equal(site.lab.links(namespace), ['eth0', 'lo'])
  })
})

test('without etcd nothing is encrypted: while it is away runtimes try again later; a file of hosts knows no keys', async () => {
  await inSite({ members: 1, hosts: 1 }, async site => {
    await site.etcd.kill(0)
    const refused = await site.refused(0, 'c', SECRET)
    assert.is(refused.json.code, 11)
  })
  await inLab(1, { binDir: BIN_DIR }, async lab => {
    const file = join(lab.directory, 'hosts.json')
    writeFileSync(file, '{"hosts": []}')
    const agent = new LabAgent(lab, lab.host(0), { file })
    await agent.whenReady()
    const config = { type: 'vxlan', vni: 42, encrypted: true, registry: { socket: agent.socket } }
    for (const [command, container] of [
      ['ADD', { id: 'c', netns: lab.container().path }],
      ['STATUS', { id: '', netns: '' }]
    ] as const) {
      const { json } = lab.call(lab.host(0), command, config, container)
      assert.is(json.code, 50)
      assert.match(json.msg, /encrypt: the registry of this host knows no keys/)
      assert.match(json.details, /keep the registry in etcd/)
    }
    assert.equal(lab.links(lab.host(0).namespace), ['eth0', 'lo'])
  })
})

test.run()
