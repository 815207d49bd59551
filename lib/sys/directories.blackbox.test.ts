/** Directories that plugins make: where none can be made, and under the umask of whoever started the runtime. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Answer, binDir, callPlugin, ENGINE, runProgram } from '../testing/blackbox.ts'
import { callEnv } from '../testing/memory-io.ts'
import { assert, suite } from '../testing/suite.ts'

const test = suite(`lib/sys/directories ${ENGINE}`)

function configOf(dataDir: string): object {
  const ipam = { type: 'host-local', subnet: '10.1.0.0/24', dataDir }
  return { cniVersion: '1.1.0', name: 'blue', type: 'host-local', ipam }
}

function inScratch(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-directories-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

test('where no directory can be made the plugin fails, and does not try for ever', () =>
  inScratch(directory => {
    writeFileSync(join(directory, 'file'), '')
    symlinkSync(join(directory, 'nowhere'), join(directory, 'dangling'))
    for (const [dataDir, problem] of [
      ['/proc/patchbay-test', /^make directory "[^"]*": ENOENT/],
      ['/sys/kernel/patchbay/test', /^make directory "[^"]*": (EPERM|ENOENT)/],
      [join(directory, 'file', 'below'), /^ipam\.dataDir must be a directory .*\/file" is no directory/],
      [join(directory, 'dangling'), /^make directory "[^"]*": EEXIST/]
    ] as const) {
      const answer = callPlugin('host-local', { env: callEnv('ADD'), stdin: configOf(dataDir) })
      assert.is(answer.status, 1, dataDir)
      const { msg }: { msg: string } = JSON.parse(answer.stdout)
      assert.match(msg, problem)
    }
  }))

/** Modes of everything below, without the name of what it is in. */
function modesBelow(directory: string): readonly string[] {
  const modes: string[] = []
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()) {
    modes.push(`${name} ${(lstatSync(join(directory, name)).mode & 0o777).toString(8)}`)
  }
  return modes
}

test('modes are those that the code asks for, whatever the umask of the runtime', () => {
  for (const umask of ['0', '022', '077', '0777']) {
    inScratch(directory => {
      const call = (command: string): Answer =>
        runProgram('sh', ['-c', `umask ${umask}; exec "$0"`, join(binDir(), 'host-local')], {
          env: callEnv(command),
          stdin: configOf(join(directory, 'data'))
        })
      const added = call('ADD')
      assert.is(added.status, 0, `${added.stdout}${added.stderr}`)
      assert.equal(
        modesBelow(directory),
        [
          'data 755',
          'data/.patchbay 700',
          'data/.patchbay/blue 700',
          'data/.patchbay/blue/c1:eth0 600',
          'data/.patchbay/blue/seal 600',
          'data/blue 755',
          'data/blue/10.1.0.2 600',
          'data/blue/last_reserved_ip.0 600',
          'data/blue/lock 600'
        ],
        `umask ${umask}`
      )
      assert.is(call('DEL').status, 0)
      assert.not.ok(existsSync(join(directory, 'data/blue/10.1.0.2')))
    })
  }
})

test.run()
