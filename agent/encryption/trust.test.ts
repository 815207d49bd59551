/** Who becomes a peer; keys and addresses by RFC 7748 and by sha256sum. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatAddress } from '../../lib/ip/address.ts'
import { type IpPrefix, parsePrefix } from '../../lib/ip/prefix.ts'
import { ScriptedDaemon } from '../../lib/testing/scripted-daemon.ts'
import { assert, suite, throwsLike } from '../../lib/testing/suite.ts'
import { addressOfKey, keyFromValue, keyValue } from './key-record.ts'
import { loadKeyPair } from './keys.ts'
import { KnownHosts } from './known-hosts.ts'
import { type Judge, judgeHosts } from './trust.ts'
import { parseTrust, trustHosts } from './trust-command.ts'

const test = suite('agent/encryption/trust')

/** RFC 7748 section 6.1: Alice's and Bob's public keys. */
const ALICE = 'hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo='
const BOB = '3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08='
/** Alice's private key. */
const ALICE_PRIVATE = 'dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo='
const CAROL = Buffer.alloc(32, 7).toString('base64')

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}

const RANGE = prefix('fd00::/8')

function inDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-keys-'))
  try {
    body(join(directory, 'keys'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function record(key: string, endpoint = '192.0.2.2:51830', range = RANGE): string {
  return JSON.stringify({ key, address: formatAddress(addressOfKey(key, range)), endpoint })
}

const JUDGE: Judge = { host: 'a', key: ALICE, family: 4, range: RANGE, trustFirst: true, known: new Map() }

/** Who becomes a peer, and who is refused why. */
function judged(records: Readonly<Record<string, string>>, judge: Partial<Judge> = {}) {
  const { peers, refused } = judgeHosts(new Map(Object.entries(records)), { ...JUDGE, ...judge })
  return { peers: peers.map(peer => peer.host), refused: refused.map(one => `${one.host} ${one.why}`) }
}

test("a key's address is the range and its SHA-256: nobody chooses one", () => {
  // base64 -d | sha256sum: 300c9c9603b92a4b39ed3958bf9240114804db4fd373012c0ca47432d63425ae
  const addressIn = (range: string): string => formatAddress(addressOfKey(ALICE, prefix(range)))
  assert.is(addressIn('fd00::/8'), 'fd0c:9c96:3b9:2a4b:39ed:3958:bf92:4011')
  assert.is(addressIn('10.0.0.0/8'), '10.12.156.150')
  assert.is(addressIn('172.16.0.0/12'), '172.28.156.150')
})

test('hosts become peers; what is no record is refused by itself', () => {
  assert.equal(judged({ a: 'own', b: record(BOB), c: record(CAROL, '192.0.2.3:1') }), {
    peers: ['b', 'c'],
    refused: []
  })
  for (const value of [
    '',
    '[]',
    '{"key": "x"}',
    record(BOB, '192.0.2.2'),
    record(BOB, '192.0.2.2:0'),
    record(BOB, '127.0.0.1:1'),
    record(BOB, '[::]:1'),
    record(`${BOB.slice(0, -2)}9=`)
  ]) {
    assert.equal(judged({ b: value, c: record(CAROL) }), {
      peers: ['c'],
      refused: ['b has told nothing that is a key']
    })
  }
})

test('another key under a known name, and a key of nobody, are refused with what to do', () => {
  const known = new Map([['b', CAROL]])
  assert.equal(judged({ b: record(BOB) }, { known }).refused, [
    `b presents key ${BOB}, but is known by ${CAROL}: if it was set up anew, patchbay agent trust b`
  ])
  assert.match(judged({ b: record(BOB) }, { trustFirst: false }).refused[0] ?? '', /nobody has said yet .* trust b$/)
  assert.equal(judged({ b: record(BOB) }, { trustFirst: false, known: new Map([['b', BOB]]) }).peers, ['b'])
})

test('copies are refused, and newcomers take nobody’s place', () => {
  assert.match(judged({ b: record(ALICE) }).refused[0] ?? '', /^b presents this host's own key/)
  const both = { b: record(BOB), z: record(BOB, '192.0.2.9:51830') }
  assert.equal(judged(both).peers, ['b'])
  assert.equal(judged(both, { known: new Map([['z', BOB]]) }).peers, ['z'])
  assert.match(judged(both).refused[0] ?? '', /^z presents the key of b: /)
})

test('another range, another family and one address for two are told apart', () => {
  assert.match(
    judged({ b: record(BOB, undefined, prefix('10.0.0.0/8')) }).refused[0] ?? '',
    /"encryption\.range" must be/
  )
  assert.match(judged({ b: record(BOB, '[2001:db8::1]:1') }).refused[0] ?? '', /this host's underlay is IPv4/)
  assert.equal(judged({ b: record(BOB, '[2001:db8::1]:1') }, { family: 6 }).peers, ['b'])
  // A range of one address is refused by the configuration; here it makes two keys meet.
  const range = prefix('10.0.0.0/32')
  assert.match(judged({ b: record(BOB, undefined, range) }, { range }).refused[0] ?? '', /as another host does/)
})

test('a record is read as it was written', () => {
  const endpoint = { address: { family: 6, bytes: new Uint8Array(16).fill(0x20) }, port: 51_830 } as const
  const written = { key: BOB, address: addressOfKey(BOB, RANGE), endpoint }
  assert.equal(keyFromValue(keyValue(written)), written)
})

test('agent trust lists hosts with what keeps them out, and tells what it has changed', async () => {
  const hosts = [
    { host: 'berlin', key: BOB, endpoint: '192.0.2.2 port 51830', lastHandshake: 1_800_000_000 },
    { host: 'oslo', key: CAROL, endpoint: '192.0.2.3 port 51830', lastHandshake: 0 },
    { host: 'x', key: '', endpoint: '', refused: 'has told nothing that is a key' }
  ]
  const answers = {
    'host-keys': { ok: true, result: { own: ALICE, hosts } },
    trust: { ok: true, result: { host: 'oslo', key: CAROL, before: BOB } }
  }
  await new ScriptedDaemon().during(answers, async ({ socket }) => {
    const call = parseTrust([])
    assert.is(
      trustHosts(call, socket),
      [
        'HOST         KEY                                           ENDPOINT              STATE',
        `(this host)  ${ALICE}`,
        `berlin       ${BOB}  192.0.2.2 port 51830  heard of 2027-01-15T08:00:00.000Z`,
        `oslo         ${CAROL}  192.0.2.3 port 51830  never heard of yet`,
        'x                                                                                not believed: it has told nothing that is a key',
        ''
      ].join('\n')
    )
    const trust = parseTrust(['oslo', '--key', CAROL, '--config', '/c'])
    assert.equal(trust, { host: 'oslo', key: CAROL, asJson: false, config: '/c' })
    assert.is(trustHosts(trust, socket), `oslo is known by ${CAROL} from now on, no longer by ${BOB}\n`)
    assert.equal(JSON.parse(trustHosts({ ...call, asJson: true }, socket)), { own: ALICE, hosts })
  })
  for (const args of [['a', 'b'], ['--key', BOB], ['--nonsense']]) assert.throws(() => parseTrust(args))
})

test('the key pair is made once, for root alone; by RFC 7748 the public key follows', () => {
  inDirectory(directory => {
    const first = loadKeyPair(directory)
    assert.equal(loadKeyPair(directory), first)
    const path = join(directory, 'private.key')
    assert.equal([statSync(path).mode & 0o777, statSync(directory).mode & 0o777], [0o600, 0o700])
    writeFileSync(path, `${ALICE_PRIVATE}\n`)
    assert.is(loadKeyPair(directory).publicKey, ALICE)
    chmodSync(path, 0o640)
    throwsLike(() => loadKeyPair(directory), { message: /private\.key": others may read it/ })
    chmodSync(path, 0o600)
    writeFileSync(path, 'x')
    throwsLike(() => loadKeyPair(directory), { message: /private\.key": it is none/ })
  })
})

test('known hosts are kept; a file that is not understood believes nobody', () => {
  inDirectory(directory => {
    new KnownHosts(directory).add(new Map([['b', BOB]]))
    const again = new KnownHosts(directory)
    again.add(new Map([['a', ALICE]]))
    assert.equal([...new KnownHosts(directory).keys].sort(), [
      ['a', ALICE],
      ['b', BOB]
    ])
    const path = join(directory, 'known-hosts.json')
    assert.is(readFileSync(path, 'utf8'), `{\n  "a": "${ALICE}",\n  "b": "${BOB}"\n}\n`)
    for (const text of ['', '[]', '{"b": 1}', '{"b": "key"}']) {
      writeFileSync(path, text)
      throwsLike(() => new KnownHosts(directory), { message: /it does not hold keys of hosts/ })
    }
  })
})

test.run()
