// needs: ip strace
/** System calls that fail where none is expected to: an ADD must still answer in JSON, and leave nothing if it fails. */
import { existsSync, readdirSync } from 'node:fs'
import { ip, linkNames } from '../lib/testing/ip-json.ts'
import { withNamespaces } from '../lib/testing/namespace.ts'
import { PluginProgram } from '../lib/testing/plugin-program.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('plugins: failing system calls')

function filesBelow(directory: string): readonly string[] {
  if (!existsSync(directory)) return []
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries.filter(one => one.isFile()).map(one => one.name)
}

/** The program under strace, whose `when`-th call fails. */
function failing(call: string, when: number, program: readonly string[]): readonly string[] {
  const inject = `inject=${call}:error=EIO:when=${String(when)}`
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', inject, ...program]
}

/** The process enters the container's namespace for a socket and for the sysctls, and comes back every time. */
test('whichever setns is refused, ADD answers in JSON; one that failed has left nothing', () => {
  const program = PluginProgram.fromSource(new URL('macvlan/macvlan.ts', import.meta.url), 'macvlan')
  withNamespaces(2, (host, box) => {
    ip(host, 'link add eth1 type veth peer name eth1p')
    ip(host, 'link set eth1 up')
    let failures = 0
    for (let when = 1; when <= 8; when += 1) {
      const caller = new PluginProgram(host, 'macvlan', failing('setns', when, program))
      try {
        const { status, json, stderr } = caller.call('ADD', 'c1', { master: 'eth1' }, box.path)
        const where = `setns ${String(when)}: ${JSON.stringify(json)} ${stderr}`
        if (status === 0) {
          assert.is(json.interfaces[0].name, 'eth0', where)
          ip(box, 'link delete eth0')
          continue
        }
        failures += 1
        assert.match(json.msg, /EIO/, where)
        assert.not.match(json.msg, /could not undo/, where)
        assert.equal(linkNames(box), [], where)
        assert.equal(filesBelow(`${caller.directory}/state`), [], where)
      } finally {
        caller.close()
      }
    }
    // Into the container for the socket and back, and once more for the sysctls that announce it.
    assert.is(failures, 4)
  })
})

test.run()
