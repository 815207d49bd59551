// needs: iptables ip6tables
import { BridgedContainers } from '../testing/bridged-containers.ts'
import { EchoServer, expectAnswers } from '../testing/echo.ts'
import type { Namespace } from '../testing/namespace.ts'
import { programFromText } from '../testing/program.ts'
import { assert, suite } from '../testing/suite.ts'

const test = suite('lib/iptables/masquerade')

/** Runs verbs of masquerade.ts in a process of its own: iptables works in the namespace of its process. */
function inHost(host: Namespace, code: string): void {
  const text = `
    import { LinuxKernel } from '../net/kernel-net.ts'
    import { checkMasquerade, ensureMasquerade, masqueradeOf, removeMasquerade } from '../nft/masquerade.ts'
    import { parsePrefix } from '../ip/prefix.ts'
    const kernel = new LinuxKernel()
    const nft = kernel.nft(kernel.host())
    const owner = { network: 'net1', containerId: 'c1', ifName: 'eth0' }
    const second = { ...owner, ifName: 'eth1' }
    const at = (...texts) => texts.map(text => parsePrefix(text))
    ${code}`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  const done = host.run(node, args)
  assert.is(done.status, 0, done.stderr)
}

function saved(host: Namespace): string {
  const texts = ['iptables', 'ip6tables'].map(one => host.run(one, ['-t', 'nat', '-S']).stdout)
  return texts.join('').replace(/^-P.*\n/gm, '')
}

/** As the reference's bridge plugin 1.1.1 makes them for network net1 and container c1. */
const REFERENCE = `-N CNI-c2d892b58e87e28a12fe6479
-A POSTROUTING -s 10.4.0.2/32 -m comment --comment "name: \\"net1\\" id: \\"c1\\"" -j CNI-c2d892b58e87e28a12fe6479
-A CNI-c2d892b58e87e28a12fe6479 -d 10.4.0.0/24 -m comment --comment "name: \\"net1\\" id: \\"c1\\"" -j ACCEPT
-A CNI-c2d892b58e87e28a12fe6479 ! -d 224.0.0.0/4 -m comment --comment "name: \\"net1\\" id: \\"c1\\"" -j MASQUERADE
-N CNI-c2d892b58e87e28a12fe6479
-A POSTROUTING -s fd00:4::2/128 -m comment --comment "name: \\"net1\\" id: \\"c1\\"" -j CNI-c2d892b58e87e28a12fe6479
-A CNI-c2d892b58e87e28a12fe6479 -d fd00:4::/64 -m comment --comment "name: \\"net1\\" id: \\"c1\\"" -j ACCEPT
-A CNI-c2d892b58e87e28a12fe6479 ! -d ff00::/8 -m comment --comment "name: \\"net1\\" id: \\"c1\\"" -j MASQUERADE
`

test('the rules are those of the reference plugin; added twice they are there once', () => {
  const lab = new BridgedContainers()
  try {
    const add = `ensureMasquerade(nft, owner, masqueradeOf(at('10.4.0.2/24', 'fd00:4::2/64'), 'iptables'))`
    inHost(lab.host, add)
    assert.is(saved(lab.host), REFERENCE)
    inHost(lab.host, `${add}; checkMasquerade(nft, owner, masqueradeOf(at('10.4.0.2/24', 'fd00:4::2/64'), 'iptables'))`)
    assert.is(saved(lab.host), REFERENCE)
    const server = EchoServer.start(lab.outside, 'o', ['tcp 80'])
    try {
      expectAnswers(lab.first, ['tcp 192.0.2.9 80'], ['o 192.0.2.1'])
      expectAnswers(lab.first, ['tcp fd00:9::9 80'], ['o fd00:9::1'])
      expectAnswers(lab.second, ['tcp 192.0.2.9 80'], ['o 10.4.0.3'])
    } finally {
      server.close()
    }
    inHost(lab.host, `removeMasquerade(nft, owner, undefined, 'iptables')`)
    assert.is(saved(lab.host), '')
  } finally {
    lab.close()
  }
})

test('two interfaces of one container share the chain, and the first to go does not take it along', () => {
  const lab = new BridgedContainers()
  try {
    inHost(
      lab.host,
      `ensureMasquerade(nft, owner, masqueradeOf(at('10.4.0.2/24'), 'iptables'))
      ensureMasquerade(nft, second, masqueradeOf(at('10.4.0.3/24'), 'iptables'))
      removeMasquerade(nft, owner, at('10.4.0.2/24'), 'iptables')
      checkMasquerade(nft, second, masqueradeOf(at('10.4.0.3/24'), 'iptables'))`
    )
    assert.not.match(saved(lab.host), /10\.4\.0\.2/)
    inHost(lab.host, `removeMasquerade(nft, second, at('10.4.0.3/24'), 'iptables')`)
    assert.is(saved(lab.host), '')
  } finally {
    lab.close()
  }
})

test.run()
