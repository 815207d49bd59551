/**
 * SHA-512, which the native engine's node:crypto lacks. The reference plugins name iptables chains and ifb links by it,
 * so whoever is to find theirs needs it. Every 64-bit word is two 32-bit halves, the high one first.
 *
 * @source FIPS 180-4, sections 4.2.3, 5.1.2, 5.3.5, 6.4
 */

/** The first 64 bits of the fractional parts of the cube roots of the first 80 primes. */
const K: readonly number[] = [
  0x428a2f98, 0xd728ae22, 0x71374491, 0x23ef65cd, 0xb5c0fbcf, 0xec4d3b2f, 0xe9b5dba5, 0x8189dbbc, 0x3956c25b,
  0xf348b538, 0x59f111f1, 0xb605d019, 0x923f82a4, 0xaf194f9b, 0xab1c5ed5, 0xda6d8118, 0xd807aa98, 0xa3030242,
  0x12835b01, 0x45706fbe, 0x243185be, 0x4ee4b28c, 0x550c7dc3, 0xd5ffb4e2, 0x72be5d74, 0xf27b896f, 0x80deb1fe,
  0x3b1696b1, 0x9bdc06a7, 0x25c71235, 0xc19bf174, 0xcf692694, 0xe49b69c1, 0x9ef14ad2, 0xefbe4786, 0x384f25e3,
  0x0fc19dc6, 0x8b8cd5b5, 0x240ca1cc, 0x77ac9c65, 0x2de92c6f, 0x592b0275, 0x4a7484aa, 0x6ea6e483, 0x5cb0a9dc,
  0xbd41fbd4, 0x76f988da, 0x831153b5, 0x983e5152, 0xee66dfab, 0xa831c66d, 0x2db43210, 0xb00327c8, 0x98fb213f,
  0xbf597fc7, 0xbeef0ee4, 0xc6e00bf3, 0x3da88fc2, 0xd5a79147, 0x930aa725, 0x06ca6351, 0xe003826f, 0x14292967,
  0x0a0e6e70, 0x27b70a85, 0x46d22ffc, 0x2e1b2138, 0x5c26c926, 0x4d2c6dfc, 0x5ac42aed, 0x53380d13, 0x9d95b3df,
  0x650a7354, 0x8baf63de, 0x766a0abb, 0x3c77b2a8, 0x81c2c92e, 0x47edaee6, 0x92722c85, 0x1482353b, 0xa2bfe8a1,
  0x4cf10364, 0xa81a664b, 0xbc423001, 0xc24b8b70, 0xd0f89791, 0xc76c51a3, 0x0654be30, 0xd192e819, 0xd6ef5218,
  0xd6990624, 0x5565a910, 0xf40e3585, 0x5771202a, 0x106aa070, 0x32bbd1b8, 0x19a4c116, 0xb8d2d0c8, 0x1e376c08,
  0x5141ab53, 0x2748774c, 0xdf8eeb99, 0x34b0bcb5, 0xe19b48a8, 0x391c0cb3, 0xc5c95a63, 0x4ed8aa4a, 0xe3418acb,
  0x5b9cca4f, 0x7763e373, 0x682e6ff3, 0xd6b2b8a3, 0x748f82ee, 0x5defb2fc, 0x78a5636f, 0x43172f60, 0x84c87814,
  0xa1f0ab72, 0x8cc70208, 0x1a6439ec, 0x90befffa, 0x23631e28, 0xa4506ceb, 0xde82bde9, 0xbef9a3f7, 0xb2c67915,
  0xc67178f2, 0xe372532b, 0xca273ece, 0xea26619c, 0xd186b8c7, 0x21c0c207, 0xeada7dd6, 0xcde0eb1e, 0xf57d4f7f,
  0xee6ed178, 0x06f067aa, 0x72176fba, 0x0a637dc5, 0xa2c898a6, 0x113f9804, 0xbef90dae, 0x1b710b35, 0x131c471b,
  0x28db77f5, 0x23047d84, 0x32caab7b, 0x40c72493, 0x3c9ebe0a, 0x15c9bebc, 0x431d67c4, 0x9c100d4c, 0x4cc5d4be,
  0xcb3e42b6, 0x597f299c, 0xfc657e2a, 0x5fcb6fab, 0x3ad6faec, 0x6c44198c, 0x4a475817
]

/** The same of the square roots of the first 8 primes: the hash before any block. */
const INITIAL: readonly number[] = [
  0x6a09e667, 0xf3bcc908, 0xbb67ae85, 0x84caa73b, 0x3c6ef372, 0xfe94f82b, 0xa54ff53a, 0x5f1d36f1, 0x510e527f,
  0xade682d1, 0x9b05688c, 0x2b3e6c1f, 0x1f83d9ab, 0xfb41bd6b, 0x5be0cd19, 0x137e2179
]

const BLOCK = 128

/** The SHA-512 of `bytes`: 64 bytes. Never throws. */
export function sha512(bytes: Uint8Array): Uint8Array {
  const padded = pad(bytes)
  const view = new DataView(padded.buffer)
  const state = new Int32Array(16)
  for (let i = 0; i < 16; i += 1) state[i] = (INITIAL[i] ?? 0) | 0
  const schedule = new Int32Array(160)
  for (let block = 0; block < padded.length; block += BLOCK) {
    for (let i = 0; i < 32; i += 1) schedule[i] = view.getInt32(block + i * 4, false)
    extend(schedule)
    compress(state, schedule)
  }
  const digest = new Uint8Array(64)
  const out = new DataView(digest.buffer)
  for (let i = 0; i < 16; i += 1) out.setInt32(i * 4, state[i] ?? 0, false)
  return digest
}

const DIGITS = '0123456789abcdef'

/** The SHA-512 of a text's UTF-8 form in 128 lower-case hexadecimal digits. Never throws. */
export function sha512Hex(text: string): string {
  let hex = ''
  for (const byte of sha512(new TextEncoder().encode(text))) hex += DIGITS.charAt(byte >> 4) + DIGITS.charAt(byte & 15)
  return hex
}

/** One bit, zeros, and the length in bits as 128-bit number; the length of the whole is a multiple of the block's. */
function pad(bytes: Uint8Array): Uint8Array {
  const blocks = Math.ceil((bytes.length + 17) / BLOCK)
  const padded = new Uint8Array(blocks * BLOCK)
  padded.set(bytes, 0)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 0x20000000), false)
  view.setUint32(padded.length - 4, (bytes.length % 0x20000000) * 8, false)
  return padded
}

/** Fills words 16 to 79 of the message schedule. */
function extend(w: Int32Array): void {
  for (let i = 32; i < 160; i += 2) {
    const h15 = w[i - 30] ?? 0
    const l15 = w[i - 29] ?? 0
    const s0High = rotate(h15, l15, 1) ^ rotate(h15, l15, 8) ^ (h15 >>> 7)
    const s0Low = rotate(l15, h15, 1) ^ rotate(l15, h15, 8) ^ rotate(l15, h15, 7)
    const h2 = w[i - 4] ?? 0
    const l2 = w[i - 3] ?? 0
    const s1High = rotate(h2, l2, 19) ^ rotate(l2, h2, 29) ^ (h2 >>> 6)
    const s1Low = rotate(l2, h2, 19) ^ rotate(h2, l2, 29) ^ rotate(l2, h2, 6)
    const low = unsigned(w[i - 31]) + unsigned(s0Low) + unsigned(w[i - 13]) + unsigned(s1Low)
    w[i + 1] = low | 0
    w[i] = carry(low) + ((w[i - 32] ?? 0) + s0High + (w[i - 14] ?? 0) + s1High)
  }
}

/** The 80 rounds of one block. */
function compress(state: Int32Array, w: Int32Array): void {
  const v = state.slice(0)
  for (let i = 0; i < 160; i += 2) {
    // a b c d e f g h are v[0] v[2] … v[14], low halves at the odd places.
    const ah = v[0] ?? 0
    const al = v[1] ?? 0
    const eh = v[8] ?? 0
    const el = v[9] ?? 0
    const s1High = rotate(eh, el, 14) ^ rotate(eh, el, 18) ^ rotate(el, eh, 9)
    const s1Low = rotate(el, eh, 14) ^ rotate(el, eh, 18) ^ rotate(eh, el, 9)
    const chHigh = (eh & (v[10] ?? 0)) ^ (~eh & (v[12] ?? 0))
    const chLow = (el & (v[11] ?? 0)) ^ (~el & (v[13] ?? 0))
    const low1 = unsigned(v[15]) + unsigned(s1Low) + unsigned(chLow) + unsigned(K[i + 1]) + unsigned(w[i + 1])
    const high1 = (carry(low1) + ((v[14] ?? 0) + s1High + chHigh + (K[i] ?? 0) + (w[i] ?? 0))) | 0
    const s0High = rotate(ah, al, 28) ^ rotate(al, ah, 2) ^ rotate(al, ah, 7)
    const s0Low = rotate(al, ah, 28) ^ rotate(ah, al, 2) ^ rotate(ah, al, 7)
    const majHigh = (ah & (v[2] ?? 0)) ^ (ah & (v[4] ?? 0)) ^ ((v[2] ?? 0) & (v[4] ?? 0))
    const majLow = (al & (v[3] ?? 0)) ^ (al & (v[5] ?? 0)) ^ ((v[3] ?? 0) & (v[5] ?? 0))
    const low2 = unsigned(s0Low) + unsigned(majLow)
    const high2 = (carry(low2) + (s0High + majHigh)) | 0
    for (let j = 15; j >= 2; j -= 1) v[j] = v[j - 2] ?? 0
    const lowE = unsigned(v[9]) + unsigned(low1 | 0)
    v[9] = lowE | 0
    v[8] = carry(lowE) + ((v[8] ?? 0) + high1)
    const lowA = unsigned(low1 | 0) + unsigned(low2 | 0)
    v[1] = lowA | 0
    v[0] = carry(lowA) + (high1 + high2)
  }
  for (let j = 0; j < 16; j += 2) {
    const low = unsigned(state[j + 1]) + unsigned(v[j + 1])
    state[j + 1] = low | 0
    state[j] = carry(low) + ((state[j] ?? 0) + (v[j] ?? 0))
  }
}

/**
 * One half of a 64-bit word rotated right by `count` (1 to 31): the high half for (high, low), the low one for
 * (low, high). A rotation by 32 more is the same with the halves exchanged.
 */
function rotate(own: number, other: number, count: number): number {
  return (own >>> count) | (other << (32 - count))
}

function unsigned(half: number | undefined): number {
  return (half ?? 0) >>> 0
}

/** What a sum of low halves hands over to the high half. */
function carry(sum: number): number {
  return Math.floor(sum / 4294967296)
}
