/**
 * A plugin runs as root in an environment and a directory that others may shape. Nothing there may bring code into it.
 * Each attempt here works against an ordinary Node, which the first test proves, so that the others can fail.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'

const test = suite(`build/injection ${process.env['PATCHBAY_ENGINE'] ?? ''}`)

const MARK = 'code was injected'

function pluginPath(): string {
  const folder = process.env['PATCHBAY_BIN_DIR'] ?? ''
  const [name] = readdirSync(folder)
  if (name === undefined) throw new Error(`find a plugin: ${folder} is empty`)
  return join(folder, name)
}

/** A directory full of files that some program or other would run, each of which leaves a mark when it is. */
class Trap {
  readonly folder = mkdtempSync(join(tmpdir(), 'patchbay-trap-'))
  readonly mark = join(this.folder, 'mark')

  constructor() {
    const script = `require('node:fs').writeFileSync(${JSON.stringify(this.mark)}, ${JSON.stringify(MARK)})\n`
    const module = `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(this.mark)}, ${JSON.stringify(MARK)})\n`
    for (const name of ['index.js', 'evil.cjs', 'node.config.js']) this.#write(name, script)
    this.#write('evil.mjs', module)
    this.#write('package.json', JSON.stringify({ main: './evil.cjs', imports: { '#libc': './evil.cjs' } }))
    this.#write('tsconfig.json', JSON.stringify({ compilerOptions: { paths: { '*': ['./evil.cjs'] } } }))
    this.#write('node.config.json', JSON.stringify({ nodeOptions: { import: [join(this.folder, 'evil.mjs')] } }))
    this.#write('.env', `NODE_OPTIONS=--require ${join(this.folder, 'evil.cjs')}\n`)
    this.#write('.noderc', script)
    for (const name of ['fs', 'netmask', 'proper-lockfile', 'crypto']) {
      mkdirSync(join(this.folder, 'node_modules', name), { recursive: true })
      this.#write(`node_modules/${name}/index.js`, script)
    }
    this.#write(
      'openssl.cnf',
      [
        'nodejs_conf = init',
        '[init]',
        'engines = engines',
        '[engines]',
        'evil = evil',
        '[evil]',
        'engine_id = evil',
        `dynamic_path = ${join(this.folder, 'evil.so')}`,
        'init = 0',
        ''
      ].join('\n')
    )
    // Not really a shared object: OpenSSL reports the attempt to load it.
    this.#write('evil.so', MARK)
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
  }

  /** Runs a program in the directory. @returns what it printed, and whether a mark was left */
  run(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    rmSync(this.mark, { force: true })
    const base = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', CNI_COMMAND: 'VERSION' }
    const child = spawnSync(program, args, {
      cwd: this.folder,
      env: { ...base, ...env },
      input: '{"cniVersion":"1.0.0"}',
      encoding: 'utf8',
      timeout: 20_000
    })
    return { stdout: child.stdout, stderr: child.stderr, status: child.status, marked: existsSync(this.mark) }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

function withTrap(body: (trap: Trap) => void): void {
  const trap = new Trap()
  try {
    body(trap)
  } finally {
    trap.remove()
  }
}

/** Environments that make an ordinary Node run or load something of the directory. */
function attacks(trap: Trap): readonly Readonly<Record<string, string>>[] {
  const at = (name: string) => join(trap.folder, name)
  return [
    { NODE_OPTIONS: `--require ${at('evil.cjs')}` },
    { NODE_OPTIONS: `--import ${at('evil.mjs')}` },
    { NODE_OPTIONS: `--experimental-config-file=${at('node.config.json')}` },
    { NODE_OPTIONS: `--env-file=${at('.env')}` },
    { OPENSSL_CONF: at('openssl.cnf') }
  ]
}

/** Environments that name files without an ordinary Node running them; they must stay without effect too. */
function otherEnvironments(trap: Trap): readonly Readonly<Record<string, string>>[] {
  const at = (name: string) => join(trap.folder, name)
  return [
    {},
    { NODE_PATH: at('node_modules') },
    { NODE_EXTRA_CA_CERTS: at('evil.so') },
    { OPENSSL_MODULES: trap.folder, OPENSSL_ENGINES: trap.folder },
    { NODE_ICU_DATA: trap.folder },
    { NODE_COMPILE_CACHE: at('cache') },
    { NODE_TEST_CONTEXT: 'child-v8', NODE_UNIQUE_ID: '1', NODE_PENDING_DEPRECATION: '1' },
    { BASH_ENV: at('evil.cjs'), ENV: at('evil.cjs') },
    { HOME: trap.folder, XDG_CONFIG_HOME: trap.folder, NODE_REPL_HISTORY: at('history') },
    { NODE_V8_COVERAGE: at('coverage') },
    // Of the packer: in its classic form the first makes an executable run any script.
    { PKG_EXECPATH: 'PKG_INVOKE_NODEJS' },
    { PKG_EXECPATH: at('evil.cjs'), PKG_NATIVE_CACHE_PATH: trap.folder, DEBUG_PKG: '2' },
    { ELECTRON_RUN_AS_NODE: '1', NODE_CHANNEL_FD: '7', NODE_CHANNEL_SERIALIZATION_MODE: 'advanced' },
    { WATCH_REPORT_DEPENDENCIES: '1', NODE_REDIRECT_WARNINGS: at('warnings'), NODE_V8_COVERAGE: at('coverage') },
    { npm_config_node_options: `--require ${at('evil.cjs')}`, npm_config_userconfig: at('.npmrc') },
    { GCONV_PATH: trap.folder, LOCPATH: trap.folder, NLSPATH: at('%N'), MALLOC_TRACE: at('trace') },
    { LOCALDOMAIN: 'evil', HOSTALIASES: at('.env'), RESOLV_HOST_CONF: at('.env'), TZ: `:${at('.env')}` }
  ]
}

/** Files that `attacks` make Node run, proven once: an attack that no longer works against Node proves nothing. */
test('the attacks are real: an ordinary Node falls for NODE_OPTIONS and OPENSSL_CONF, and writes where it is told', () =>
  withTrap(trap => {
    const [require_, import_] = attacks(trap)
    assert.ok(trap.run(process.execPath, ['-e', '0'], require_ ?? {}).marked, 'NODE_OPTIONS=--require')
    assert.ok(trap.run(process.execPath, ['-e', '0'], import_ ?? {}).marked, 'NODE_OPTIONS=--import')
    const digest = `require('node:crypto').createHash('sha256')`
    const openssl = trap.run(process.execPath, ['-e', digest], { OPENSSL_CONF: join(trap.folder, 'openssl.cnf') })
    assert.match(openssl.stderr, /evil\.so/)
    for (const [name, folder] of [
      ['NODE_COMPILE_CACHE', 'cache'],
      ['NODE_V8_COVERAGE', 'coverage']
    ] as const) {
      const path = join(trap.folder, folder)
      trap.run(process.execPath, ['-e', '0'], { [name]: path })
      assert.ok(existsSync(path), name)
      rmSync(path, { recursive: true })
    }
  }))

test('no environment and no file of the working directory changes what a plugin does', () =>
  withTrap(trap => {
    const plugin = pluginPath()
    const plain = spawnSync(plugin, [], {
      env: { CNI_COMMAND: 'VERSION' },
      input: '{"cniVersion":"1.0.0"}',
      encoding: 'utf8'
    })
    assert.is(plain.status, 0)
    const files = readdirSync(trap.folder).sort()
    for (const env of [...attacks(trap), ...otherEnvironments(trap)]) {
      const what = JSON.stringify(env)
      const seen = trap.run(plugin, [], env)
      assert.equal(readdirSync(trap.folder).sort(), files, `${what}: files were written`)
      assert.is(seen.marked, false, `${what}: ${MARK}`)
      assert.is(seen.stdout, plain.stdout, what)
      assert.is(seen.stderr, plain.stderr, what)
      assert.is(seen.status, plain.status, what)
    }
  }))

test('a module named for Node’s prompt is never run: the Node engine refuses to start, the native one does not care', () =>
  withTrap(trap => {
    const seen = trap.run(pluginPath(), [], { NODE_REPL_EXTERNAL_MODULE: join(trap.folder, 'evil.cjs') })
    assert.is(seen.marked, false)
    if (process.env['PATCHBAY_ENGINE'] !== 'node') return assert.is(seen.status, 0)
    assert.is(seen.status, 9)
    assert.is(seen.stdout, '')
  }))

test('no switch of Node is taken from the command line', () =>
  withTrap(trap => {
    for (const args of [
      ['--require', join(trap.folder, 'evil.cjs')],
      ['-e', 'require("./evil.cjs")'],
      ['./evil.cjs']
    ]) {
      assert.is(trap.run(pluginPath(), args, {}).marked, false, args.join(' '))
    }
  }))

test.run()
