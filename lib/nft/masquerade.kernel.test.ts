// time-out: 300 s
// needs: nft
import { spawn } from 'node:child_process'
import { parsePrefix } from '../ip/prefix.ts'
import { LinuxKernel } from '../net/kernel-net.ts'
import { Namespace, withNamespaces } from '../testing/namespace.ts'
import { programFromText } from '../testing/program.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { checkMasquerade, collectMasquerade, ensureMasquerade, masqueradeOf, removeMasquerade } from './masquerade.ts'
import type { Nft } from './nft.ts'

const test = suite('lib/net/masquerade')

const owner = { network: 'net1', containerId: 'c1', ifName: 'eth0' }

function prefix(text: string) {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

function inHost(body: (nft: Nft, namespace: Namespace) => void): void {
  withNamespaces(1, namespace => {
    if (namespace === undefined) return
    const kernel = new LinuxKernel()
    const host = kernel.open(namespace.path)
    const nft = kernel.nft(host)
    try {
      body(nft, namespace)
    } finally {
      nft.close()
      host.close()
    }
  })
}

function ruleset(namespace: Namespace): string {
  const listed = namespace.run('nft', ['list', 'ruleset'])
  assert.is(listed.status, 0, listed.stderr)
  return listed.stdout
}

/** What `nft -f` makes of the text, as nft lists it. */
function listedByNft(text: string): string {
  const namespace = Namespace.create()
  try {
    const loaded = namespace.run('nft', ['-f', '-'], { input: text })
    assert.is(loaded.status, 0, loaded.stderr)
    return ruleset(namespace)
  } finally {
    namespace.close()
  }
}

/** The documentation of masquerade.ts, as a program for nft. */
const DOCUMENTED = `
  table ip patchbay-masquerade {
    map sources { type ipv4_addr : verdict; elements = { 10.4.0.5 comment "net1 c1 eth0" : goto from-10.4.0.0/24 } }
    chain postrouting { type nat hook postrouting priority srcnat; ip saddr vmap @sources; }
    chain from-10.4.0.0/24 { ip daddr 10.4.0.0/24 return; ip daddr 224.0.0.0/4 return; masquerade; }
  }
  table ip6 patchbay-masquerade {
    map sources { type ipv6_addr : verdict; elements = { fd00::5 comment "net1 c1 eth0" : goto from-fd00--/64 } }
    chain postrouting { type nat hook postrouting priority srcnat; ip6 saddr vmap @sources; }
    chain from-fd00--/64 { ip6 daddr fd00::/64 return; ip6 daddr ff00::/8 return; masquerade; }
  }`

test('the ruleset is the documented one, by the word of nft; nothing is left after the removal', () =>
  inHost((nft, namespace) => {
    const addresses = [prefix('10.4.0.5/24'), prefix('fd00::5/64')]
    ensureMasquerade(nft, owner, masqueradeOf(addresses))
    assert.is(ruleset(namespace), listedByNft(DOCUMENTED))
    ensureMasquerade(nft, owner, masqueradeOf(addresses))
    assert.is(ruleset(namespace), listedByNft(DOCUMENTED))
    checkMasquerade(nft, owner, masqueradeOf(addresses))
    assert.is(removeMasquerade(nft, owner, addresses, 'nftables'), true)
    assert.is(ruleset(namespace), '')
    assert.is(removeMasquerade(nft, owner, addresses, 'nftables'), false)
  }))

test('odd prefix lengths: as nft writes them', () =>
  inHost((nft, namespace) => {
    ensureMasquerade(
      nft,
      owner,
      masqueradeOf([prefix('10.4.5.5/22'), prefix('10.9.0.1/32'), prefix('fd00:0:0:8::5/61')])
    )
    const listed = ruleset(namespace)
    assert.match(listed, /chain from-10\.4\.4\.0\/22 \{\s+ip daddr 10\.4\.4\.0\/22 return/)
    assert.match(listed, /ip daddr 10\.9\.0\.1 return/)
    assert.match(listed, /chain from-fd00-0-0-8--\/61 \{\s+ip6 daddr fd00:0:0:8::\/61 return/)
    // What nft lists it must be able to read.
    assert.is(listedByNft(listed), listed)
  }))

test('two interfaces of one container on one network: each is removed alone', () =>
  inHost((nft, namespace) => {
    const second = { ...owner, ifName: 'eth1' }
    ensureMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')]))
    ensureMasquerade(nft, second, masqueradeOf([prefix('10.4.0.6/24')]))
    assert.is(removeMasquerade(nft, owner, undefined, undefined), true)
    checkMasquerade(nft, second, masqueradeOf([prefix('10.4.0.6/24')]))
    throwsLike(() => checkMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')])), { errno: 'ENOENT' })
    assert.is(removeMasquerade(nft, second, undefined, undefined), true)
    assert.is(ruleset(namespace), '')
  }))

test('an address that its last owner left behind: taken over, and safe from the last owner', () =>
  inHost((nft, namespace) => {
    const next = { ...owner, containerId: 'c2' }
    ensureMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')]))
    ensureMasquerade(nft, next, masqueradeOf([prefix('10.4.0.5/24')]))
    assert.is(removeMasquerade(nft, owner, [prefix('10.4.0.5/24')], undefined), false)
    checkMasquerade(nft, next, masqueradeOf([prefix('10.4.0.5/24')]))
    assert.match(ruleset(namespace), /comment "net1 c2 eth0"/)
  }))

test('GC: only this network, only what is not valid', () =>
  inHost((nft, namespace) => {
    ensureMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24'), prefix('fd00::5/64')]))
    ensureMasquerade(nft, { ...owner, containerId: 'c2' }, masqueradeOf([prefix('10.4.0.6/24')]))
    ensureMasquerade(nft, { ...owner, network: 'net' }, masqueradeOf([prefix('10.5.0.6/24')]))
    assert.is(
      collectMasquerade(nft, 'net1', text => text === 'net1 c2 eth0'),
      true
    )
    assert.is(
      collectMasquerade(nft, 'net1', text => text === 'net1 c2 eth0'),
      false
    )
    const listed = ruleset(namespace)
    assert.match(listed, /net1 c2 eth0/)
    assert.match(listed, /net c1 eth0/)
    assert.not.match(listed, /net1 c1 eth0|ip6/)
  }))

test('another tool flushes everything in between: CHECK tells, ADD makes it anew, DEL finds nothing', () =>
  inHost((nft, namespace) => {
    ensureMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')]))
    namespace.run('nft', ['flush', 'ruleset'])
    throwsLike(() => checkMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')])), { errno: 'ENOENT' })
    assert.is(removeMasquerade(nft, owner, [prefix('10.4.0.5/24')], undefined), false)
    ensureMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')]))
    checkMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')]))
    namespace.run('nft', ['flush', 'chain', 'ip', 'patchbay-masquerade', 'postrouting'])
    throwsLike(() => checkMasquerade(nft, owner, masqueradeOf([prefix('10.4.0.5/24')])), { errno: 'ENOENT' })
  }))

test('long names: the comment stays readable for nft', () =>
  inHost((nft, namespace) => {
    const long = { network: 'n'.repeat(60), containerId: `k8s.io-${'a'.repeat(120)}`, ifName: 'eth0' }
    ensureMasquerade(nft, long, masqueradeOf([prefix('10.4.0.5/24')]))
    const listed = ruleset(namespace)
    assert.is(listedByNft(listed), listed)
    assert.is(
      collectMasquerade(nft, 'n'.repeat(61), () => false),
      false
    )
    assert.is(
      collectMasquerade(nft, 'n'.repeat(60), () => false),
      true
    )
  }))

/** `N VERBS`: a process that adds container N's masquerade, removes it, or both. */
const PROGRAM = `
  import { LinuxKernel } from '../net/kernel-net.ts'
  import { ensureMasquerade, masqueradeOf, removeMasquerade } from './masquerade.ts'
  import { parsePrefix } from '../ip/prefix.ts'
  const [i, verbs] = process.argv.slice(2)
  const kernel = new LinuxKernel()
  const nft = kernel.nft(kernel.host())
  const owner = { network: 'net1', containerId: 'c' + i, ifName: 'eth0' }
  const addresses = ['10.4.0.' + i + '/24', 'fd00::' + Number(i).toString(16) + '/64'].map(text => parsePrefix(text))
  if (verbs.includes('add')) ensureMasquerade(nft, owner, masqueradeOf(addresses))
  if (verbs.includes('remove')) removeMasquerade(nft, owner, addresses, undefined)`

async function together(namespace: Namespace, count: number, verbs: string): Promise<void> {
  const command = programFromText(PROGRAM, import.meta.dirname)
  const runs: Promise<string>[] = []
  for (let i = 1; i <= count; i += 1) {
    const args = [`--net=${namespace.path}`, ...command, String(i), verbs]
    const child = spawn('nsenter', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    runs.push(new Promise(resolve => child.on('close', status => resolve(status === 0 ? '' : stderr || 'killed'))))
  }
  assert.equal(
    (await Promise.all(runs)).filter(text => text !== ''),
    []
  )
}

test('64 first ADDs at once: none fails, nothing is there twice; 64 DELs at once leave nothing', async () => {
  const namespace = Namespace.create()
  try {
    await together(namespace, 64, 'add')
    const listed = ruleset(namespace)
    assert.is((listed.match(/vmap @sources/g) ?? []).length, 2)
    assert.is((listed.match(/\tmasquerade\n/g) ?? []).length, 2)
    assert.is((listed.match(/comment "net1 c\d+ eth0"/g) ?? []).length, 128)
    await together(namespace, 64, 'remove')
    assert.is(ruleset(namespace), '')
    await together(namespace, 16, 'add remove')
    assert.is(ruleset(namespace), '')
  } finally {
    namespace.close()
  }
})

test.run()
