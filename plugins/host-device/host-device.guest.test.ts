/** With a physical interface on the PCI bus, which the guest has: it outlives its namespace. */
import { readlinkSync, realpathSync } from 'node:fs'
import { LinuxKernel } from '../../lib/net/kernel-net.ts'
import { runProgram } from '../../lib/testing/blackbox.ts'
import { ip, ipLink, linkNames } from '../../lib/testing/ip-json.ts'
import { Namespace } from '../../lib/testing/namespace.ts'
import { PluginCaller } from '../../lib/testing/plugin-caller.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { hostDevice } from './host-device.ts'

const test = suite('plugins/host-device with a physical device')

/** The interface and its PCI address. The guest's own namespace is the first one, where such interfaces fall back to. */
function findPhysical(): { readonly name: string; readonly pciId: string; readonly device: string } {
  runProgram('modprobe', ['virtio_net'], {})
  const links: readonly { readonly ifname: string; readonly link_type: string; readonly linkinfo?: object }[] =
    JSON.parse(runProgram('ip', ['-j', '-d', 'link'], {}).stdout)
  const name = links.find(link => link.link_type === 'ether' && link.linkinfo === undefined)?.ifname ?? ''
  assert.is.not(name, '', JSON.stringify(links))
  const device = realpathSync(`/sys/class/net/${name}/device`)
  const parts = device.split('/')
  const pciId = parts[parts.length - 2] ?? ''
  assert.match(readlinkSync(`/sys/bus/pci/devices/${pciId}`), /pci/)
  return { name, pciId, device }
}

function namesHere(): readonly string[] {
  const links: readonly { readonly ifname: string }[] = JSON.parse(runProgram('ip', ['-j', 'link'], {}).stdout)
  return links.map(link => link.ifname).sort()
}

function until(condition: () => boolean): boolean {
  for (let tries = 0; tries < 500; tries += 1) {
    if (condition()) return true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
  }
  return false
}

function withBox(config: object, body: (box: Namespace, caller: PluginCaller) => void): void {
  const box = Namespace.create()
  const caller = new PluginCaller(hostDevice(new LinuxKernel()), box.path, config)
  try {
    body(box, caller)
  } finally {
    caller.close()
    box.close()
  }
}

test('by PCI address and by kernel path, named in the result; DEL brings it home', () => {
  const { name, pciId, device } = findPhysical()
  const before = namesHere()
  const pciDevice = device.slice(0, device.lastIndexOf('/'))
  for (const config of [{ pciBusID: pciId }, { kernelpath: pciDevice }, { kernelpath: device }, { device: name }]) {
    withBox(config, (box, caller) => {
      const result = caller.ok('ADD')
      assert.is(result.interfaces[0]?.pciID, pciId)
      assert.equal(linkNames(box), ['eth0'])
      assert.not.ok(namesHere().includes(name))
      caller.ok('CHECK', { config: { prevResult: result } })
      caller.ok('DEL')
      assert.equal(namesHere(), before)
    })
  }
})

test('the namespace dies first: DEL and GC give the device its name back, under whatever name it fell home', () => {
  const { name } = findPhysical()
  const before = namesHere()
  // Under its name in the container where that is free on the host, else as dev<index>.
  for (const [ifName, byGc] of [
    ['cont0', false],
    ['lo7', true]
  ] as const) {
    withBox(
      { device: name, ipam: { type: 'fixed', result: { ips: [{ address: '192.0.2.7/24' }] } } },
      (box, caller) => {
        if (byGc) runProgram('ip', ['link', 'add', ifName, 'type', 'dummy'], {})
        const netns = box.path
        caller.ok('ADD', { ifName })
        const { address } = ipLink(box, ifName)
        box.close()
        assert.ok(
          until(() => namesHere().length === before.length + (byGc ? 1 : 0)),
          namesHere().join(' ')
        )
        assert.not.ok(namesHere().includes(name), 'the kernel does not know its old name')
        if (byGc) assert.is(caller.gc([]).status, 0)
        else caller.ok('DEL', { ifName, netns })
        if (byGc) runProgram('ip', ['link', 'del', ifName], {})
        assert.equal(namesHere(), before)
        const [link]: readonly { readonly address: string; readonly ifalias?: string }[] = JSON.parse(
          runProgram('ip', ['-j', 'link', 'show', 'dev', name], {}).stdout
        )
        assert.is(link?.address, address)
        assert.is(link?.ifalias, undefined)
        if (!byGc) assert.equal([...caller.leases, ...caller.journal()], [])
      }
    )
  }
})

test('a move by the reference plugin is understood from the alias', () => {
  const { name } = findPhysical()
  const before = namesHere()
  withBox({ device: name }, (box, caller) => {
    for (const line of [`link set ${name} alias ${name}`, `link set ${name} netns ${String(box.pid)} name eth0`]) {
      assert.is(runProgram('ip', line.split(' '), {}).status, 0, line)
    }
    ip(box, 'link set eth0 up')
    caller.ok('DEL')
    assert.equal(linkNames(box), [])
    assert.equal(namesHere(), before)
  })
})

test.run()
