/**
 * SHA-512, which the native engine's node:crypto lacks. The reference plugins name iptables chains and ifb links by it,
 * so whoever is to find theirs needs it. Every 64-bit word is two 32-bit halves, the high one first.
 *
 * @source FIPS 180-4, sections 4.2.3, 5.1.2, 5.3.5, 6.4
 */

/**
 * The first 64 bits of the fractional parts of the cube roots of the first 80 primes. As text, because the native engine
 * has code for each element of an array; and not at the start of each plugin, which would put it together for nobody.
 */
function cubeRoots(): string {
  return (
    '428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b53859f111f1b605d019' +
    '923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e2' +
    '72be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e3' +
    '0fc19dc68b8cd5b5240ca1cc77ac9c652de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5' +
    '983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725' +
    '06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df' +
    '650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353ba2bfe8a14cf10364a81a664bbc423001' +
    'c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b8' +
    '19a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb' +
    '5b9cca4f7763e373682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec' +
    '90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619cd186b8c721c0c207' +
    'eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b' +
    '28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a' +
    '5fcb6fab3ad6faec6c44198c4a475817'
  )
}

/** The same of the square roots of the first 8 primes: the hash before any block. */
const INITIAL =
  '6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1510e527fade682d19b05688c2b3e6c1f' +
  '1f83d9abfb41bd6b5be0cd19137e2179'

/** Eight hexadecimal digits each. */
function halves(text: string): Int32Array {
  const digits = new TextEncoder().encode(text)
  const words = new Int32Array(digits.length / 8)
  let word = 0
  for (let i = 0; i < digits.length; i += 1) {
    const digit = digits[i] ?? 0
    word = word * 16 + (digit < 0x60 ? digit - 0x30 : digit - 0x57)
    if ((i & 7) !== 7) continue
    words[i >> 3] = word | 0
    word = 0
  }
  return words
}

const BLOCK = 128

/** The SHA-512 of `bytes`: 64 bytes. Never throws. */
export function sha512(bytes: Uint8Array): Uint8Array {
  const padded = pad(bytes)
  const view = new DataView(padded.buffer)
  const state = halves(INITIAL)
  const k = halves(cubeRoots())
  const schedule = new Int32Array(160)
  for (let block = 0; block < padded.length; block += BLOCK) {
    for (let i = 0; i < 32; i += 1) schedule[i] = view.getInt32(block + i * 4, false)
    extend(schedule)
    compress(state, schedule, k)
  }
  const digest = new Uint8Array(64)
  const out = new DataView(digest.buffer)
  for (let i = 0; i < 16; i += 1) out.setInt32(i * 4, state[i] ?? 0, false)
  return digest
}

/** The SHA-512 of a text's UTF-8 form in 128 lower-case hexadecimal digits. Never throws. */
export function sha512Hex(text: string): string {
  const digest = sha512(new TextEncoder().encode(text))
  const digits = new Uint8Array(2 * digest.length)
  for (let i = 0; i < digits.length; i += 1) {
    const byte = digest[i >> 1] ?? 0
    const digit = (i & 1) === 0 ? byte >> 4 : byte & 15
    digits[i] = digit < 10 ? 0x30 + digit : 0x57 + digit
  }
  return new TextDecoder().decode(digits)
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
    const low = unsigned(w[i - 31] ?? 0) + unsigned(s0Low) + unsigned(w[i - 13] ?? 0) + unsigned(s1Low)
    w[i + 1] = low | 0
    w[i] = carry(low) + ((w[i - 32] ?? 0) + s0High + (w[i - 14] ?? 0) + s1High)
  }
}

/**
 * The 80 rounds of one block. The words a to h lie in `v` one behind the other, from the place `a` on and round the end. What is a in one
 * round is b in the next: so `a` goes back and they stay, but for d, which becomes e, and h, which becomes a.
 */
function compress(state: Int32Array, w: Int32Array, k: Int32Array): void {
  const v = state.slice(0)
  for (let i = 0; i < 160; i += 2) {
    const a = (160 - i) & 15
    const b = (a + 2) & 15
    const c = (a + 4) & 15
    const d = (a + 6) & 15
    const e = (a + 8) & 15
    const f = (a + 10) & 15
    const g = (a + 12) & 15
    const h = (a + 14) & 15
    const ah = v[a] ?? 0
    const al = v[a + 1] ?? 0
    const eh = v[e] ?? 0
    const el = v[e + 1] ?? 0
    const s1High = rotate(eh, el, 14) ^ rotate(eh, el, 18) ^ rotate(el, eh, 9)
    const s1Low = rotate(el, eh, 14) ^ rotate(el, eh, 18) ^ rotate(eh, el, 9)
    const chHigh = (eh & (v[f] ?? 0)) ^ (~eh & (v[g] ?? 0))
    const chLow = (el & (v[f + 1] ?? 0)) ^ (~el & (v[g + 1] ?? 0))
    const low1 =
      unsigned(v[h + 1] ?? 0) + unsigned(s1Low) + unsigned(chLow) + unsigned(k[i + 1] ?? 0) + unsigned(w[i + 1] ?? 0)
    const high1 = (carry(low1) + ((v[h] ?? 0) + s1High + chHigh + (k[i] ?? 0) + (w[i] ?? 0))) | 0
    const s0High = rotate(ah, al, 28) ^ rotate(al, ah, 2) ^ rotate(al, ah, 7)
    const s0Low = rotate(al, ah, 28) ^ rotate(ah, al, 2) ^ rotate(ah, al, 7)
    const majHigh = majority(ah, v[b] ?? 0, v[c] ?? 0)
    const low2 = unsigned(s0Low) + unsigned(majority(al, v[b + 1] ?? 0, v[c + 1] ?? 0))
    const high2 = (carry(low2) + (s0High + majHigh)) | 0
    const lowE = unsigned(v[d + 1] ?? 0) + unsigned(low1 | 0)
    v[d + 1] = lowE | 0
    v[d] = carry(lowE) + ((v[d] ?? 0) + high1)
    const lowA = unsigned(low1 | 0) + unsigned(low2 | 0)
    v[h + 1] = lowA | 0
    v[h] = carry(lowA) + (high1 + high2)
  }
  for (let j = 0; j < 16; j += 2) {
    const low = unsigned(state[j + 1] ?? 0) + unsigned(v[j + 1] ?? 0)
    state[j + 1] = low | 0
    state[j] = carry(low) + ((state[j] ?? 0) + (v[j] ?? 0))
  }
}

/** The bits that at least two have. */
function majority(a: number, b: number, c: number): number {
  return (a & b) ^ (a & c) ^ (b & c)
}

/**
 * One half of a 64-bit word rotated right by `count` (1 to 31): the high half for (high, low), the low one for
 * (low, high). A rotation by 32 more is the same with the halves exchanged.
 */
function rotate(own: number, other: number, count: number): number {
  return (own >>> count) | (other << (32 - count))
}

function unsigned(half: number): number {
  return half >>> 0
}

/** What a sum of low halves hands over to the high half. */
function carry(sum: number): number {
  return Math.floor(sum / 4294967296)
}
