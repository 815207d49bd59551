/** The conversation with the kernel, with a script in the kernel's place. */

import { Writer } from '../bytes/writer.ts'
import { SysError } from '../sys/errors.ts'
import { assert, suite, throwsLike } from '../testing/suite.ts'
import { Datagrams, KernelConn, type Request } from './conn.ts'
import {
  decodeMessages,
  encodeMessage,
  NLM_F_ACK,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_OVERRUN
} from './message.ts'

const test = suite('lib/netlink/conn')

const ENODEV = 19
const NEWLINK = 16

/** Answers with what `answer` makes of the sequence numbers of each datagram sent. */
class Script extends Datagrams {
  readonly sent: number[] = []
  room = 0
  readonly #answer: (sequences: readonly number[], sends: number) => readonly (Uint8Array | SysError)[]
  #waiting: (Uint8Array | SysError)[] = []

  constructor(answer: (sequences: readonly number[], sends: number) => readonly (Uint8Array | SysError)[]) {
    super()
    this.#answer = answer
  }

  override send(datagram: Uint8Array): void {
    const sequences = decodeMessages(datagram).map(message => message.sequence)
    this.sent.push(sequences.length)
    this.#waiting.push(...this.#answer(sequences, this.sent.length))
  }

  override receive(): Uint8Array {
    const next = this.#waiting.shift()
    if (next === undefined) throw new Error('the conversation waits for an answer that does not come')
    if (next instanceof SysError) throw next
    return next
  }

  override makeRoom(bytes: number): void {
    this.room = bytes
  }

  override close(): void {
    this.#waiting = []
  }
}

function message(type: number, flags: number, sequence: number, payload: Uint8Array): Uint8Array {
  return encodeMessage(type, flags, sequence, payload)
}

/** An NLMSG_ERROR that repeats the header of the request; errno 0 = done. */
function verdict(sequence: number, errno: number): Uint8Array {
  const payload = new Writer().i32(-errno).u32(16).u16(0).u16(0).u32(sequence).u32(0).finish()
  return message(NLMSG_ERROR, 0x100, sequence, payload)
}

function done(sequence: number, flags = 0): Uint8Array {
  return message(NLMSG_DONE, NLM_F_MULTI | flags, sequence, new Uint8Array(4))
}

function item(sequence: number, value: number, flags = 0): Uint8Array {
  return message(NEWLINK, NLM_F_MULTI | flags, sequence, new Uint8Array([value]))
}

function request(answer: 'message' | 'acknowledgement'): Request {
  return { operation: 'try', object: 'it', type: 18, flags: 0, payload: new Uint8Array(0), answer }
}

function dump(conn: KernelConn): number[] {
  return conn.dump('list', 'things', 18, new Uint8Array(0)).map(payload => payload[0] ?? -1)
}

const concat = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))

for (const [what, tear] of [
  ['an item', (s: number) => [concat(item(s, 1, NLM_F_DUMP_INTR), item(s, 2)), done(s)]],
  ['the end', (s: number) => [concat(item(s, 1), item(s, 2)), done(s, NLM_F_DUMP_INTR)]],
  ['an overrun', (s: number) => [concat(item(s, 1), message(NLMSG_OVERRUN, 0, s, new Uint8Array(0))), done(s)]],
  ['no room', (s: number) => [item(s, 1), new SysError('receive', 'netlink', 'ENOBUFS', '')]]
] as const) {
  test(`a list torn at ${what} is asked for again`, () => {
    const script = new Script(([s = 0], sends) => (sends < 3 ? tear(s) : [item(s, 7), concat(item(s, 8), done(s))]))
    assert.equal(dump(new KernelConn(script)), [7, 8])
    assert.is(script.sent.length, 3)
  })
}

test('a list that is torn for ever is given up', () => {
  const script = new Script(([s = 0]) => [item(s, 1, NLM_F_DUMP_INTR), done(s)])
  throwsLike(() => dump(new KernelConn(script)), {
    name: 'KernelError',
    errno: 'EAGAIN',
    message: /^list things: EAGAIN/
  })
  assert.is(script.sent.length, 50)
})

test('a list may end in a refusal', () => {
  const refused = new Writer().i32(-ENODEV).finish()
  const script = new Script(([s = 0]) => [item(s, 1), message(NLMSG_DONE, NLM_F_MULTI, s, refused)])
  throwsLike(() => dump(new KernelConn(script)), { errno: 'ENODEV' })
  throwsLike(() => dump(new KernelConn(new Script(([s = 0]) => [verdict(s, ENODEV)]))), { errno: 'ENODEV' })
})

test('answers to earlier requests are passed over', () => {
  const script = new Script(([s = 0], sends) => {
    if (sends === 1) return [new SysError('receive', 'netlink', 'ENOBUFS', '')]
    return [verdict(s - 1, ENODEV), item(s - 1, 9), verdict(s, 0)]
  })
  const conn = new KernelConn(script)
  throwsLike(() => conn.execute(request('acknowledgement')), {
    name: 'KernelError',
    errno: 'ENOBUFS',
    message: /^try it: /
  })
  assert.equal(conn.execute(request('acknowledgement')), [])
})

test('many requests go in few sends, and each gets its own answer', () => {
  let asked = 0
  const script = new Script(sequences =>
    sequences.map(s => {
      asked += 1
      return verdict(s, asked % 10 === 0 ? ENODEV : 0)
    })
  )
  const answers = new KernelConn(script).batch(Array.from({ length: 150 }, () => request('acknowledgement')))
  assert.equal(script.sent, [64, 64, 22])
  assert.equal(
    answers.map(answer => answer.errno),
    Array.from({ length: 150 }, (_, i) => ((i + 1) % 10 === 0 ? 'ENODEV' : ''))
  )
})

test('a change and the question for its result go in one send', () => {
  const script = new Script(([a = 0, b = 0]) => [verdict(a, 0), message(NEWLINK, 0, b, new Uint8Array([5]))])
  const answers = new KernelConn(script).batch([request('acknowledgement'), request('message')])
  assert.equal(script.sent, [2])
  assert.equal([...(answers[1]?.payloads[0] ?? [])], [5])
})

test('the last change of a send asks for an acknowledgement, which speaks for those before it; a question does not', () => {
  const flags: number[] = []
  class Watch extends Script {
    override send(datagram: Uint8Array): void {
      for (const one of decodeMessages(datagram)) flags.push(one.flags & NLM_F_ACK)
      super.send(datagram)
    }
  }
  const conn = new KernelConn(new Watch(sequences => sequences.map(s => verdict(s, 0))))
  conn.batch([request('acknowledgement'), request('message')])
  conn.batch([request('acknowledgement'), request('acknowledgement')])
  assert.equal(flags, [0, 0, 0, NLM_F_ACK])
})

test('a refusal in the middle of a send comes unasked, and all others are done', () => {
  const script = new Script(([, b = 0, c = 0]) => [verdict(b, ENODEV), verdict(c, 0)])
  const conn = new KernelConn(script)
  const answers = conn.batch([1, 2, 3].map(() => request('acknowledgement')))
  assert.equal(
    answers.map(answer => answer.errno),
    ['', 'ENODEV', '']
  )
})

test('a torn datagram is a DecodeError', () => {
  const script = new Script(([s = 0]) => [verdict(s, 0).slice(0, 30)])
  throwsLike(() => new KernelConn(script).execute(request('acknowledgement')), { name: 'DecodeError' })
})

test('a transaction is one datagram, and answers with its first refusal and the place of that', () => {
  const script = new Script(([begin = 0]) => [concat(verdict(begin + 2, ENODEV), verdict(begin + 3, ENODEV))])
  const commands = Array.from({ length: 3 }, () => request('acknowledgement'))
  const refused = new KernelConn(script).transact(commands, undefined)
  assert.equal(script.sent, [5])
  assert.equal([refused?.at, refused?.errno], [1, 'ENODEV'])
  const whole = new Script(([begin = 0]) => [verdict(begin + 3, 0)])
  assert.is(new KernelConn(whole).transact(commands, undefined), undefined)
  assert.is(whole.room, 0)
})

test('a transaction refused as a whole has no place', () => {
  const script = new Script(([begin = 0]) => [verdict(begin, ENODEV)])
  assert.is(new KernelConn(script).transact([request('acknowledgement')], 7)?.at, -1)
})

test('a transaction that is too large for the ordinary buffers asks for room', () => {
  const large: Request = { ...request('acknowledgement'), payload: new Uint8Array(70_000) }
  const script = new Script(([begin = 0]) => [verdict(begin + 1, 0)])
  new KernelConn(script).transact([large], undefined)
  // Three headers of 16 bytes, two of nfgenmsg with 4 around them (linux/netfilter/nfnetlink.h).
  assert.is(script.room, 70_000 + 3 * 16 + 2 * 4)
})

test('sequence numbers begin anywhere and pass 2^32', () => {
  const seen = new Set<number>()
  for (let i = 0; i < 4; i += 1) {
    const script = new Script(([s = 0]) => {
      seen.add(s)
      return [verdict(s, 0)]
    })
    new KernelConn(script).execute(request('acknowledgement'))
  }
  assert.is(seen.size, 4)
})

test.run()
