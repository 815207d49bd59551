import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { agentUnits } from './agent-units.ts'
import { installInto } from './install.ts'
import { filesBefore, nameClash, planConfig, planPlugins } from './install-plan.ts'
import { namesDocument, RUNTIMES, withNames } from './runtime-config.ts'

const test = suite('cli/install --runtime')

function withDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-install-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('the networks it writes are those of docs/runtimes', () => {
  const documents = join(import.meta.dirname, '..', 'docs', 'runtimes')
  for (const { document, config } of RUNTIMES) {
    assert.equal(JSON.parse(readFileSync(join(documents, document), 'utf8')), config, document)
  }
  const named = RUNTIMES.filter(one => one.namesHint !== '')
  for (const { document, config } of named) {
    const text = readFileSync(join(documents, namesDocument(document)), 'utf8')
    assert.equal(JSON.parse(text), withNames(config), document)
  }
  const written = [...RUNTIMES.map(one => one.document), ...named.map(one => namesDocument(one.document))].sort()
  assert.equal(
    readdirSync(documents)
      .filter(name => name.endsWith('.conflist'))
      .sort(),
    written
  )
})

test('the units it writes are those of agent/systemd, with the command that wrote them', () => {
  const text = (name: string): string => readFileSync(join(import.meta.dirname, '..', 'agent', 'systemd', name), 'utf8')
  for (const unit of agentUnits('/usr/local/bin/patchbay')) assert.is(unit.text, text(unit.name))
  const [service] = agentUnits('/opt/a b/100%/$x')
  assert.match(service?.text ?? '', /^ExecStart="\/opt\/a b\/100%%\/\$\$x" agent$/m)
})

test('plugins of others are told from our own, by link and by copy', () =>
  withDirectory(directory => {
    const source = join(directory, 'source')
    const target = join(directory, 'bin')
    writeFileSync(source, 'one')
    const actions = () => planPlugins(target, ['bridge', 'portmap']).map(step => step.action)
    assert.equal(actions(), ['create', 'create', 'create'])
    mkdirSync(target)
    writeFileSync(join(target, 'bridge'), 'of somebody else')
    assert.equal(actions(), ['create', 'replace', 'create'])
    installInto(target, source, ['bridge', 'portmap'])
    assert.equal(actions(), ['update', 'update', 'update'])
    // Where there are no hard links, names are copies.
    rmSync(join(target, 'portmap'))
    writeFileSync(join(target, 'portmap'), 'one')
    assert.is.not(statSync(join(target, 'portmap')).ino, statSync(join(target, 'bridge')).ino)
    assert.equal(actions(), ['update', 'update', 'update'])
    writeFileSync(join(target, 'portmap'), 'two')
    assert.equal(actions(), ['update', 'update', 'replace'])
  }))

test('a network that says the same is left, another one is not replaced unasked', () =>
  withDirectory(directory => {
    const path = join(directory, '10-net.conflist')
    const config = { name: 'net', plugins: [{ type: 'bridge', isGateway: true }] }
    assert.is(planConfig(path, config).action, 'create')
    writeFileSync(path, '{"plugins":[{"isGateway":true,"type":"bridge"}],  "name":"net"}')
    assert.is(planConfig(path, config).action, 'leave')
    writeFileSync(path, '{"plugins":[],"name":"net"}')
    assert.is(planConfig(path, config).action, 'replace')
    writeFileSync(path, 'torn {')
    assert.is(planConfig(path, config).action, 'replace')
  }))

test('networks that a runtime would take instead are named', () =>
  withDirectory(directory => {
    const path = join(directory, '10-net.conflist')
    for (const name of ['05-other.conflist', '09-notes.txt', '20-later.conf']) writeFileSync(join(directory, name), '')
    assert.equal(filesBefore(path), [join(directory, '05-other.conflist')])
    assert.not.ok(existsSync(path))
  }))

test('a second network of the same name is told, with both files', () =>
  withDirectory(directory => {
    const path = join(directory, 'nerdctl-bridge.conflist')
    const network = { cniVersion: '1.0.0', name: 'bridge', plugins: [{ type: 'bridge' }] }
    assert.is(nameClash(path, 'bridge'), undefined)
    writeFileSync(path, JSON.stringify(network))
    assert.is(nameClash(path, 'bridge'), undefined, 'its own file')
    writeFileSync(join(directory, '10-mine.conflist'), JSON.stringify(network))
    assert.match(nameClash(path, 'bridge') ?? '', /a network "bridge" is in ".*10-mine\.conflist" already/)
  }))

test.run()
