/**
 * The codec under the laws of lib/testing/codec-laws.ts, and against what `wg` sends (testdata/wireguard.golden, with the keys
 * of RFC 7748 section 6.1).
 */
import { type Codec, plain, testCodec } from '../../testing/codec-laws.ts'
import { readGoldens } from '../../testing/golden.ts'
import { assert, bytesEqual, suite, throwsLike } from '../../testing/suite.ts'
import { decodeDevice, encodeGetDevice, encodeSetDevice, type WgDevice } from './wireguard.ts'

const test = suite('lib/netlink/wg')

/** struct genlmsghdr */
const HEADER = 4

function key(byte: number): Uint8Array {
  return new Uint8Array(32).fill(byte)
}

const SAMPLE: WgDevice = {
  ifIndex: 7,
  name: 'wg0',
  privateKey: key(1),
  publicKey: key(2),
  flags: 1,
  port: 51830,
  mark: 9,
  peers: [
    {
      publicKey: key(3),
      presharedKey: key(4),
      flags: 6,
      endpoint: { address: { family: 4, bytes: new Uint8Array([192, 0, 2, 2]) }, port: 51830 },
      keepalive: 25,
      lastHandshake: 1_800_000_000,
      receivedBytes: 5_000_000_000,
      sentBytes: 1,
      allowedIps: [
        { address: { family: 6, bytes: new Uint8Array(16).fill(0xfd) }, length: 128 },
        { address: { family: 4, bytes: new Uint8Array([10, 0, 0, 2]) }, length: 32 }
      ]
    },
    {
      publicKey: key(5),
      endpoint: { address: { family: 6, bytes: new Uint8Array(16).fill(0x20) }, port: 1 },
      allowedIps: []
    }
  ]
}
const devices: Codec<WgDevice> = {
  name: 'WgDevice',
  encode: encodeSetDevice,
  decode: decodeDevice,
  header: HEADER,
  samples: [SAMPLE, { peers: [] }],
  isPartial: true
}
testCodec(test, devices)

test('what wg and the kernel send is understood, and what wg sends we send to the byte', () => {
  const goldens = readGoldens(new URL('testdata/', import.meta.url))
  assert.is(goldens.length, 6)
  for (const golden of goldens) {
    const decoded = decodeDevice(golden.bytes)
    assert.equal(plain(decoded), golden.json, golden.title)
    if (!golden.title.includes('answer')) bytesEqual(encodeSetDevice(decoded), golden.bytes, golden.title)
  }
})

test('one device is asked for as wg does it', () => {
  // wg show wg0 dump: genlmsghdr of WG_CMD_GET_DEVICE, WGDEVICE_A_IFNAME
  assert.is(Buffer.from(encodeGetDevice('wg0')).toString('hex'), '000100000800020077673000')
})

test('a peer without its key, or with an endpoint of no known family, is refused', () => {
  const [peer] = SAMPLE.peers
  if (peer === undefined) throw new Error('the sample has peers')
  const bytes = encodeSetDevice({ peers: [{ ...peer, allowedIps: [] }] })
  // The key's attribute becomes one that nobody asks for.
  const unnamed = bytes.slice()
  unnamed[HEADER + 4 + 4 + 2] = 0x33
  throwsLike(() => decodeDevice(unnamed), { name: 'DecodeError', message: /WGPEER_A_PUBLIC_KEY/ })
  const endpoint = bytes.findIndex((byte, at) => byte === 20 && bytes[at + 2] === 4 && bytes[at + 4] === 2)
  const strange = bytes.slice()
  strange[endpoint + 4] = 3
  throwsLike(() => decodeDevice(strange), { name: 'DecodeError', message: /address family 3/ })
})

test.run()
