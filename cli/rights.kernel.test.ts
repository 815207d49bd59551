/** What the command does for somebody who is not root: what the kernel and the files show to everybody, else one sentence. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programFromText } from '../lib/testing/program.ts'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite('cli/rights')

/**
 * Command lines as the user nobody, one after the other. All is loaded first, since not everybody may read where it lies.
 * Arguments: the lines, as JSON. Prints the answers, as JSON.
 */
const NOBODY = `
import { runCommandLine } from './command-line.ts'
process.setgroups([])
process.setgid(65534)
process.setuid(65534)
const answers = []
for (const argv of JSON.parse(process.argv[2])) {
  const answer = { out: '', err: '' }
  const output = { out: text => { answer.out += text }, err: text => { answer.err += text } }
  answers.push({ status: await runCommandLine(argv, output), ...answer })
}
process.stdout.write(JSON.stringify(answers))`

interface Answer {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** A network, an attachment and a container of run in directories as they are on a host. */
function withHost(body: (run: (...lines: string[]) => readonly Answer[]) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-rights-'))
  const own = (name: string): string => join(directory, name)
  try {
    chmodSync(directory, 0o755)
    for (const open of ['net.d', 'cache', 'bin']) mkdirSync(own(open), { mode: 0o755 })
    for (const closed of ['cache/results', 'run', 'run/c1']) mkdirSync(own(closed), { mode: 0o700 })
    const plugins = [{ type: 'bridge', ipam: { type: 'host-local', ranges: [[{ subnet: '10.99.0.0/24' }]] } }]
    writeFileSync(own('net.d/blue.conflist'), JSON.stringify({ cniVersion: '1.1.0', name: 'blue', plugins }))
    writeFileSync(own('run/c1/state.json'), '{}', { mode: 0o600 })
    const place = ['--conf-dir', own('net.d'), '--cache-dir', own('cache'), '--bin-dir', own('bin')]
    const [node, ...program] = programFromText(NOBODY, import.meta.dirname)
    const argvOf = (line: string): readonly string[] => {
      const [words = '', command] = line.split(' -- ')
      const runs =
        /^(run|ps|exec|logs|start|restart|stop|kill|rm|port|network (dis)?connect|attach|detach|check)\b/.test(words)
      const options = [...place, ...(runs ? ['--run-dir', own('run')] : [])]
      return [...words.split(' '), ...options, ...(command === undefined ? [] : ['--', ...command.split(' ')])]
    }
    body((...lines) => {
      const argvs = JSON.stringify(lines.map(argvOf))
      const done = spawnSync(node, [...program, argvs], { encoding: 'utf8', cwd: '/' })
      assert.is(done.status, 0, done.stderr)
      return JSON.parse(done.stdout)
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('networks are shown to everybody, and that who is attached is not', () => {
  withHost(run => {
    const [list, shown, planned] = run(
      'network ls --format Name,Subnets,Containers',
      'network inspect blue',
      'network create green --dry-run'
    )
    if (list === undefined || shown === undefined || planned === undefined) throw new Error('answers are missing')
    assert.is(list.status, 0, list.err)
    assert.match(list.out, /^blue +10\.99\.0\.0\/24 +-$/m)
    assert.is(list.err, 'patchbay: who is attached only root can see: sudo patchbay network ls\n')
    assert.is(JSON.parse(shown.out)[0].IPAM.Config[0].Subnet, '10.99.0.0/24')
    assert.is(shown.err, 'patchbay: who is attached only root can see: sudo patchbay network inspect\n')
    assert.match(planned.out, /"name": "green"/)
  })
})

/** None of them says that nothing is there. */
const OF_ROOT = `ps
network rm --dry-run blue
network prune --dry-run
network connect blue 1
network disconnect blue c1
attach blue 1
detach blue c1
check blue c1
gc --dry-run blue
exec -- c1 true
logs c1
start c1
restart c1
stop c1
kill c1
rm c1
port c1
run -- true
run -d --network blue -- true`

test('what only root can do is refused in one sentence, with what to do', () => {
  withHost(run => {
    const lines = [...OF_ROOT.split('\n'), 'network create green']
    run(...lines).forEach(({ status, out, err }, i) => {
      const what = `${lines[i] ?? ''}: ${out}${err}`
      const advice = 'what to do: run it as root: sudo patchbay ...'
      assert.equal([status, out], [1, ''], what)
      assert.match(
        err,
        new RegExp(`^patchbay: (see containers:|lock) "[^"]+": EACCES\\n {2}${advice.replaceAll('.', '\\.')}\\n$`),
        what
      )
    })
  })
})

test('a daemon says what it lacks before it makes anything, also where it could write', () => {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-daemons-'))
  try {
    chmodSync(directory, 0o777)
    const own = (name: string): string => join(directory, name)
    const agent = {
      stateDir: own('agent'),
      socket: own('agent.sock'),
      pluginStateDir: own('run'),
      confDir: own('net.d')
    }
    writeFileSync(own('open.json'), JSON.stringify(agent))
    writeFileSync(own('closed.json'), '{}', { mode: 0o600 })
    const lines: readonly (readonly [string, RegExp])[] = [
      [`agent --config ${own('open.json')}`, /^patchbay agent: run patchbay agent: EPERM \(it needs CAP_NET_ADMIN /],
      [`agent --config ${own('closed.json')}`, /^patchbay agent: read configuration "[^"]+": EACCES\n/],
      [`agent trust --config ${own('closed.json')}`, /^patchbay agent trust: read configuration "[^"]+": EACCES\n/],
      [`dhcp -statedir ${own('dhcp')} -socketpath ${own('dhcp.sock')}`, /^patchbay dhcp: run patchbay dhcp: EPERM \(/]
    ]
    for (const [line, message] of lines) {
      const [node, ...program] = programFromText(NOBODY, import.meta.dirname)
      const done = spawnSync(node, [...program, JSON.stringify([line.split(' ')])], { encoding: 'utf8', cwd: '/' })
      assert.is(JSON.parse(done.stdout)[0].status, 1, line)
      const [name = ''] = /^agent trust|^[a-z]+/.exec(line) ?? []
      assert.match(done.stderr, message)
      assert.ok(done.stderr.endsWith(`\n  what to do: run it as root: sudo patchbay ${name}\n`), done.stderr)
    }
    assert.equal(readdirSync(directory).sort(), ['closed.json', 'open.json'])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test.run()
