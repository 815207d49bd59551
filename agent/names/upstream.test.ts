/** Asking other resolvers: what they are sent, which answers are taken, and that nothing goes round for ever. */
import { createSocket, type RemoteInfo } from 'node:dgram'
import { createServer } from 'node:net'
import { parseAddress } from '../../lib/ip/address.ts'
import { until } from '../../lib/testing/lab-agent.ts'
import { assert, suite } from '../../lib/testing/suite.ts'
import { Forwarder, type Upstream } from './upstream.ts'

const test = suite('agent/names/upstream')

/** ms: longer than any answer takes here. */
const PATIENCE = 30_000
const NAME = 'www.example.org'

function question(id: number, name = NAME): Uint8Array {
  const labels = name.split('.').flatMap(label => [label.length, ...Buffer.from(label)])
  return Uint8Array.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1])
}

/** The answer to a question: an address, whose name is a pointer to the question's. */
function answer(asked: Uint8Array, last: number): Uint8Array {
  const bytes = Uint8Array.from([...asked, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, last])
  bytes.set([0x81, 0x80], 2)
  bytes[7] = 1
  return bytes
}

/** With dots for the lengths between labels. */
const nameOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.subarray(13, 13 + NAME.length).map(code => (code < 32 ? 46 : code))).toString('latin1')
const lastOf = (bytes: Uint8Array | undefined): number | undefined => bytes?.at(-1)

/** A resolver on the loopback, by UDP and where asked for by TCP at the same port. */
async function withResolver(
  answerUdp: (asked: Uint8Array, send: (bytes: Uint8Array) => void) => void,
  answerTcp: ((asked: Uint8Array) => Uint8Array) | undefined,
  body: (upstream: Upstream) => Promise<void>
): Promise<void> {
  const tcp = createServer(socket => {
    socket.on('error', () => undefined)
    socket.on('data', chunk => {
      const told = answerTcp?.(Uint8Array.from(Buffer.from(chunk)).subarray(2)) ?? new Uint8Array()
      socket.write(Buffer.concat([Uint8Array.of(told.length >> 8, told.length & 255), told]))
    })
  })
  await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
  const place = tcp.address()
  if (place === null || typeof place !== 'object') throw new Error('no port')
  if (answerTcp === undefined) tcp.close()
  const udp = createSocket('udp4')
  udp.on('message', (asked, from: RemoteInfo) => answerUdp(asked, bytes => udp.send(bytes, from.port, from.address)))
  await new Promise<void>(resolve => udp.bind(place.port, '127.0.0.1', resolve))
  try {
    const address = parseAddress('127.0.0.1')
    if (address === undefined) throw new Error('no address')
    await body({ address, port: place.port })
  } finally {
    udp.close()
    tcp.close()
  }
}

test('numbers, ports and letters are random; the answer has the asker’s own', async () => {
  const seen: Uint8Array[] = []
  await withResolver(
    (asked, send) => {
      seen.push(asked)
      send(answer(asked, 5))
    },
    undefined,
    async upstream => {
      const forwarder = new Forwarder(PATIENCE)
      for (let i = 0; i < 40; i += 1) {
        const asked = question(7, 'WwW.example.org')
        const told = await forwarder.ask(asked, [upstream], 'udp', 'a')
        assert.is(lastOf(told), 5)
        assert.equal(told?.subarray(0, 2), asked.subarray(0, 2))
        assert.is(nameOf(told ?? asked), 'WwW.example.org')
      }
      // Of 40 twice the same number: once in 84 runs; of 13 letters 8,192 ways to write them: once in ten.
      assert.ok(new Set(seen.map(one => `${one[0]} ${one[1]}`)).size >= 37)
      assert.ok(new Set(seen.map(nameOf)).size >= 35)
      assert.ok(seen.every(one => nameOf(one).toLowerCase() === NAME))
    }
  )
})

test('forged answers are passed over: number, name, type; the true one comes after them', async () => {
  await withResolver(
    (asked, send) => {
      const forged = (at: number, value: number): Uint8Array => answer(asked, 66).with(at, value)
      send(forged(1, (asked[1] ?? 0) ^ 1))
      send(forged(2, 0x01))
      send(forged(13, 'x'.charCodeAt(0)))
      send(forged(asked.length - 3, 28))
      send(answer(asked, 66).subarray(0, 11))
      send(answer(asked, 5))
    },
    undefined,
    async upstream => {
      assert.is(lastOf(await new Forwarder(PATIENCE).ask(question(7), [upstream], 'udp', 'a')), 5)
    }
  )
})

test('who cannot or will not say is passed over, and believed where nobody says more', async () => {
  for (const code of [2, 4, 5]) {
    let refusals = 0
    await withResolver(
      (asked, send) => {
        refusals += 1
        send(asked.with(2, 0x81).with(3, 0x80 | code))
      },
      undefined,
      refusing =>
        withResolver(
          (asked, send) => send(answer(asked, 5)),
          undefined,
          async other => {
            const forwarder = new Forwarder(PATIENCE)
            const ask = (upstreams: readonly Upstream[]): Promise<Uint8Array | undefined> =>
              forwarder.ask(question(7), upstreams, 'udp', 'a')
            assert.is(lastOf(await ask([refusing, other])), 5)
            assert.is((await ask([refusing, refusing]))?.[3], 0x80 | code)
            assert.is(refusals, 3)
            assert.is((await ask([refusing]))?.[3], 0x80 | code)
            assert.is(refusals, 4)
          }
        )
    )
  }
})

test('letters of its own: TCP decides, where there is one', async () => {
  const inLowerCase = (asked: Uint8Array, send: (bytes: Uint8Array) => void): void => {
    send(
      answer(
        // The name alone: a byte of the random number may look like a letter, too.
        asked.map((code, at) => (at >= 12 && code >= 65 && code <= 90 ? code + 32 : code)),
        66
      )
    )
  }
  const ask = (upstream: Upstream): Promise<Uint8Array | undefined> =>
    new Forwarder(PATIENCE).ask(question(7), [upstream], 'udp', 'a')
  await withResolver(
    inLowerCase,
    asked => answer(asked, 5),
    async upstream => assert.is(lastOf(await ask(upstream)), 5)
  )
  await withResolver(inLowerCase, undefined, async upstream => assert.is(lastOf(await ask(upstream)), 66))
})

test('a resolver that asks us again is not asked for that, and the circle ends', async () => {
  const forwarder = new Forwarder(300)
  let rounds = 0
  const asking = question(7)
  await withResolver(
    (_asked, send) => {
      rounds += 1
      // As a server in a container does whose own resolver is ours.
      void forwarder.ask(asking, [place], 'udp', 'b').then(told => told && send(told))
    },
    undefined,
    async upstream => {
      place = upstream
      assert.is(await forwarder.ask(asking, [upstream], 'udp', 'a'), undefined)
      // Twice, as a lost datagram would be.
      assert.is(rounds, 2)
      assert.equal(forwarder.counts, { asked: 1, answered: 0, failed: 1, refused: 0 })
    }
  )
})
let place: Upstream

test('nobody to ask is an answer at once; one container cannot use up what all have', async () => {
  const forwarder = new Forwarder(PATIENCE)
  assert.is(await forwarder.ask(question(7), [], 'udp', 'a'), undefined)
  const waiting: (() => void)[] = []
  await withResolver(
    (asked, send) => {
      if (nameOf(asked).toLowerCase() === NAME) send(answer(asked, 5))
      else waiting.push(() => send(answer(asked, 6)))
    },
    undefined,
    async upstream => {
      const asked: Promise<Uint8Array | undefined>[] = []
      for (let i = 0; i < 300; i += 1) {
        asked.push(forwarder.ask(question(7, `x${i}.example.org`), [upstream], 'udp', 'a'))
        // No more at a time than its socket holds.
        if (i % 32 === 31 && i < 256) await until('the resolver has heard them', () => waiting.length === i + 1)
      }
      assert.is(forwarder.counts.refused, 300 - 256)
      assert.is(lastOf(await forwarder.ask(question(7), [upstream], 'udp', 'b')), 5)
      for (const send of waiting) send()
      const told = await Promise.all(asked)
      assert.equal([told.filter(one => lastOf(one) === 6).length, told.indexOf(undefined)], [256, 256])
    }
  )
})

test('a resolver that the kernel does not let be asked is one that does not answer', async () => {
  // The kernel refuses to connect to it at once (EACCES without SO_BROADCAST), as it does where there is no route.
  const address = parseAddress('255.255.255.255')
  if (address === undefined) throw new Error('no address')
  const forwarder = new Forwarder(PATIENCE)
  assert.is(await forwarder.ask(question(7), [{ address }], 'udp', 'c1'), undefined)
  assert.is(forwarder.counts.failed, 1)
})

test.run()
