import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parsePrefix } from '../ip/prefix.ts'
import { SysError } from '../sys/errors.ts'
import type { Finished } from '../sys/exec.ts'
import { callEnv, callInMemory, type MemoryAnswer, testPlugin } from '../testing/memory-io.ts'
import { assert, suite } from '../testing/suite.ts'
import { Undo } from '../undo.ts'
import { CniError } from './error.ts'
import type { Plugin } from './plugin.ts'
import { EMPTY_RESULT, type Result } from './result.ts'
import { KNOWN_VERSIONS } from './version.ts'

const test = suite('lib/cni/delegate')

const CONFIG = { cniVersion: '1.1.0', name: 'blue', type: 'outer', ipam: { type: 'inner' } }

function prefix(text: string) {
  const value = parsePrefix(text)
  if (value === undefined) throw new Error(`bad prefix ${text}`)
  return value
}

/** More than any old version can tell. */
const LEASE: Result = {
  ...EMPTY_RESULT,
  ips: [{ address: prefix('10.0.0.2/24') }, { address: prefix('10.0.1.2/24') }, { address: prefix('fd00::2/64') }],
  routes: [{ dst: prefix('0.0.0.0/0'), mtu: 1400, priority: 7 }]
}

/** Hands everything to its delegate. */
function outer(): Plugin {
  return {
    name: 'outer',
    since: '0.1.0',
    add: request => request.ipam.add(),
    del: request => request.ipam.del(),
    check: request => request.ipam.check(),
    gc: request => request.ipam.gc([]),
    status: request => request.ipam.status()
  }
}

/** A directory with a file `patchbay` and links to it under the given names. */
function withBin(body: (bin: string) => void): void {
  const bin = mkdtempSync(join(tmpdir(), 'patchbay-delegate-'))
  try {
    writeFileSync(join(bin, 'patchbay'), '')
    body(bin)
  } finally {
    rmSync(bin, { recursive: true })
  }
}

function errorOf(answer: MemoryAnswer): { code: number; msg: string; details?: string } {
  assert.is(answer.status, 1)
  return JSON.parse(answer.stdout)
}

test('through any link to this executable the delegate is called in the process', () => {
  withBin(bin => {
    linkSync(join(bin, 'patchbay'), join(bin, 'hard'))
    symlinkSync('hard', join(bin, 'soft'))
    for (const type of ['hard', 'soft']) {
      const inner = testPlugin(type, { add: () => LEASE })
      const answer = callInMemory(outer(), {
        env: callEnv('ADD', { CNI_PATH: `/nonexistent:${bin}` }),
        stdin: { ...CONFIG, ipam: { type } },
        builtins: [outer(), inner],
        executable: join(bin, 'patchbay')
      })
      assert.is(answer.status, 0, answer.stdout)
      assert.is(JSON.parse(answer.stdout).ips.length, 3)
    }
  })
})

test('another file of that name is executed, though a plugin of that name is built in', () => {
  withBin(bin => {
    writeFileSync(join(bin, 'inner'), 'another')
    const text = `${JSON.stringify(CONFIG)} \n`
    const calls: string[][] = []
    const answer = callInMemory(outer(), {
      env: callEnv('DEL', { CNI_PATH: bin }),
      stdin: text,
      builtins: [outer(), testPlugin('inner')],
      executable: join(bin, 'patchbay'),
      execute: (path, command, stdin) => {
        calls.push([path, command, stdin])
        return { status: 0, stdout: '' }
      }
    })
    assert.is(answer.status, 0, answer.stdout)
    assert.equal(calls, [[join(bin, 'inner'), 'DEL', text]], 'the unmodified text of our own input')
  })
})

test('a plugin of this executable that gives no addresses is refused, whether this process has it or not', () => {
  withBin(bin => {
    for (const type of ['other', 'other.real']) symlinkSync('patchbay', join(bin, type))
    const other: Plugin = { ...testPlugin('other'), givesAddresses: false }
    for (const [type, builtins] of [
      ['other', [outer(), other]],
      ['other', [outer()]],
      ['other.real', [outer(), other]]
    ] as const) {
      const call = (verb: string): MemoryAnswer =>
        callInMemory(outer(), {
          env: callEnv(verb, { CNI_PATH: bin }),
          stdin: { ...CONFIG, ipam: { type } },
          builtins,
          executable: join(bin, 'patchbay')
        })
      for (const verb of ['ADD', 'CHECK', 'STATUS']) {
        const { code, msg } = errorOf(call(verb))
        assert.equal([code, msg], [7, `ipam.type must be a plugin that hands out addresses, got "${type}"`])
      }
      assert.is(call('DEL').status, 0)
    }
  })
})

test('the first directory that has the file wins; directories and empty parts are passed over', () => {
  withBin(bin => {
    const first = join(bin, 'first')
    const second = join(bin, 'second')
    for (const directory of [first, second]) mkdirSync(directory)
    mkdirSync(join(first, 'inner'))
    writeFileSync(join(second, 'inner'), 'x')
    const paths: string[] = []
    callInMemory(outer(), {
      env: callEnv('DEL', { CNI_PATH: `:${first}:${second}` }),
      stdin: CONFIG,
      execute: path => {
        paths.push(path)
        return { status: 0, stdout: '' }
      }
    })
    assert.equal(paths, [join(second, 'inner')])
  })
})

test('called and executed delegates give the same, at every version and verb', () => {
  withBin(bin => {
    linkSync(join(bin, 'patchbay'), join(bin, 'inner'))
    const inner = testPlugin('inner', {
      add: () => LEASE,
      any: request => {
        if (request.command === 'STATUS') throw new CniError(50, 'pool "blue" is exhausted', 'remove containers')
      }
    })
    for (const cniVersion of KNOWN_VERSIONS) {
      for (const verb of ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC']) {
        const call = {
          env: callEnv(verb, { CNI_PATH: bin }),
          stdin: { ...CONFIG, cniVersion, 'cni.dev/valid-attachments': [] },
          builtins: [outer(), inner]
        }
        const execute = (_path: string, command: string, stdin: string): Finished =>
          callInMemory(inner, { ...call, env: { ...call.env, CNI_COMMAND: command }, stdin })
        const inProcess = callInMemory(outer(), { ...call, executable: join(bin, 'patchbay') })
        const executed = callInMemory(outer(), { ...call, execute, executable: '/proc/self/exe' })
        assert.equal(inProcess, executed, `${verb} at ${cniVersion}`)
        if (verb === 'ADD') assert.is(inProcess.status, 0)
      }
    }
  })
})

test('layer 2 only: without ipam, or with an empty type, nothing is called', () => {
  for (const ipam of [undefined, null, {}, { type: '' }, { type: null }]) {
    const answer = callInMemory(outer(), { env: callEnv('ADD', { CNI_PATH: '' }), stdin: { ...CONFIG, ipam } })
    assert.equal(JSON.parse(answer.stdout), { cniVersion: '1.1.0', dns: {} })
  }
})

test('a failed ADD gives the addresses back', () => {
  withBin(bin => {
    linkSync(join(bin, 'patchbay'), join(bin, 'inner'))
    const calls: string[] = []
    const inner = testPlugin('inner', {
      add: request => {
        calls.push(request.command)
        return LEASE
      },
      any: request => void calls.push(request.command)
    })
    const failing: Plugin = {
      ...outer(),
      add: request => {
        const undo = new Undo()
        request.ipam.add()
        undo.push('address lease', () => request.ipam.del())
        throw undo.rollback(new CniError(11, 'add link "x": EBUSY'))
      }
    }
    for (const executable of [join(bin, 'patchbay'), '/proc/self/exe']) {
      calls.length = 0
      const env = callEnv('ADD', { CNI_PATH: bin })
      const execute = (_path: string, command: string, stdin: string): Finished =>
        callInMemory(inner, { env: { ...env, CNI_COMMAND: command }, stdin })
      const answer = callInMemory(failing, { env, stdin: CONFIG, builtins: [failing, inner], executable, execute })
      assert.is(errorOf(answer).code, 11)
      assert.equal(calls, ['ADD', 'DEL'], executable)
    }
  })
})

test('a delegate that cannot be found', () => {
  const call = { stdin: CONFIG }
  const add = errorOf(callInMemory(outer(), { ...call, env: callEnv('ADD') }))
  assert.is(add.code, 7)
  assert.is(add.msg, 'find ipam plugin "inner": not in CNI_PATH "/nonexistent"')
  assert.is(errorOf(callInMemory(outer(), { ...call, env: callEnv('STATUS') })).code, 50)
  const noPath = errorOf(callInMemory(outer(), { ...call, env: callEnv('ADD', { CNI_PATH: '' }) }))
  assert.is(noPath.code, 4)
  assert.match(noPath.msg, /missing CNI_PATH/)
})

test('a delegate is a file name, and not the plugin itself', () => {
  for (const type of ['../inner', '/bin/sh', 'a\\b', '..', 'outer']) {
    const answer = callInMemory(outer(), { env: callEnv('ADD'), stdin: { ...CONFIG, ipam: { type } } })
    const error = errorOf(answer)
    assert.is(error.code, 7, type)
    assert.match(error.msg, /ipam\.type must be/)
  }
  for (const ipam of [7, 'inner', { type: 7 }]) {
    const answer = callInMemory(outer(), { env: callEnv('ADD'), stdin: { ...CONFIG, ipam } })
    assert.is(errorOf(answer).code, 7, JSON.stringify(ipam))
  }
})

test('DEL succeeds where no plugin can have given an address: a runtime would repeat it for ever', () => {
  for (const ipam of [{ type: '../inner' }, { type: 'outer' }, { type: 7 }, 7]) {
    const answer = callInMemory(outer(), { env: callEnv('DEL'), stdin: { ...CONFIG, ipam } })
    assert.equal([answer.status, answer.stdout], [0, ''], JSON.stringify(ipam))
    assert.match(answer.stderr, /^give no address back: ipam(\.type)? must be /)
  }
})

test('a delegate in the process does not delegate further', () => {
  withBin(bin => {
    linkSync(join(bin, 'patchbay'), join(bin, 'inner'))
    const inner = { ...outer(), name: 'inner' }
    const answer = callInMemory(outer(), {
      env: callEnv('ADD', { CNI_PATH: bin }),
      stdin: CONFIG,
      builtins: [outer(), inner],
      executable: join(bin, 'patchbay')
    })
    assert.is(errorOf(answer).code, 7)
  })
})

test('errors of an executed delegate pass unchanged; what is no error object is shown', () => {
  withBin(bin => {
    writeFileSync(join(bin, 'inner'), 'x')
    const answer = (finished: Finished) =>
      callInMemory(outer(), { env: callEnv('ADD', { CNI_PATH: bin }), stdin: CONFIG, execute: () => finished })
    const passed = errorOf(answer({ status: 1, stdout: '{"code":11,"msg":"busy","details":"later"}' }))
    assert.equal([passed.code, passed.msg, passed.details], [11, 'busy', 'later'])
    const crashed = errorOf(answer({ status: 2, stdout: 'panic: oh' }))
    assert.is(crashed.code, 999)
    assert.is(crashed.msg, 'run ipam plugin "inner": exit status 2, it printed "panic: oh"')
    assert.match(errorOf(answer({ status: 139, stdout: '' })).msg, /exit status 139, it printed nothing/)
    assert.is(errorOf(answer({ status: 0, stdout: '' })).code, 6)
    assert.is(errorOf(answer({ status: 0, stdout: '{' })).code, 6)
    assert.is(errorOf(answer({ status: 0, stdout: '{"ips":[{"address":"x"}]}' })).code, 6)
    assert.is(answer({ status: 0, stdout: 'null\n' }).status, 0)
  })
})

test('a file that an installer is still writing is tried again', () => {
  withBin(bin => {
    writeFileSync(join(bin, 'inner'), 'x')
    let tries = 0
    const answer = callInMemory(outer(), {
      env: callEnv('DEL', { CNI_PATH: bin }),
      stdin: CONFIG,
      execute: path => {
        tries += 1
        if (tries < 3) throw new SysError('start', path, 'ETXTBSY', '')
        return { status: 0, stdout: '' }
      }
    })
    assert.is(answer.status, 0)
    assert.is(tries, 3)
  })
})

test.run()
