/** deploy/kubernetes: objects that the API takes, and texts in them that the command and the agent take. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DaemonSet } from 'kubernetes-models/apps/v1'
import { ConfigMap } from 'kubernetes-models/v1'
import { parseAllDocuments } from 'yaml'
import { parseConfig } from '../agent/config.ts'
import { GRAMMAR } from '../cli/command-line.ts'
import { parseNetwork } from '../lib/runtime/network.ts'
import { assert, suite } from '../lib/testing/suite.ts'
import { ROOT } from './project.ts'

const test = suite('build/kubernetes')

const FOLDER = join(ROOT, 'deploy', 'kubernetes')
const MODELS = new Map<string, new (data: never) => { validate: () => void }>([
  ['ConfigMap', ConfigMap],
  ['DaemonSet', DaemonSet]
])

interface Mounted {
  readonly image: string
  readonly args: readonly string[]
  readonly volumeMounts: readonly { readonly name: string }[]
}

function documentsOf(file: string): readonly { readonly kind: string; readonly [key: string]: unknown }[] {
  const documents = parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8'))
  assert.equal(
    documents.flatMap(one => one.errors),
    []
  )
  return documents.map(one => one.toJS())
}

for (const file of readdirSync(FOLDER).filter(name => name.endsWith('.yaml'))) {
  test(`${file}: valid objects, known commands, volumes for every mount`, () => {
    const documents = documentsOf(file)
    assert.equal(documents.map(one => one.kind).sort(), ['ConfigMap', 'DaemonSet'])
    for (const document of documents) {
      const Model = MODELS.get(document.kind)
      assert.ok(Model)
      assert.equal(unknownKeys(new Model(document as never)), [], document.kind)
    }
    const config = documents.find(one => one.kind === 'ConfigMap')?.['data'] as Record<string, string>
    for (const [name, text] of Object.entries(config)) {
      if (name.endsWith('.conflist')) parseNetwork(text, name)
      else parseConfig(text)
    }
    const daemon = documents.find(one => one.kind === 'DaemonSet')?.['spec'] as {
      template: { spec: { initContainers?: Mounted[]; containers: Mounted[]; volumes: { name: string }[] } }
    }
    const { initContainers = [], containers, volumes } = daemon.template.spec
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    for (const { image, args, volumeMounts } of [...initContainers, ...containers]) {
      assert.is(image, `localhost/patchbay:${version}`)
      judgeArguments(args)
      for (const { name } of volumeMounts)
        assert.ok(
          volumes.some(one => one.name === name),
          `volume ${name}`
        )
    }
  })
}

/**
 * Judges an object by its schema. The API passes over keys that it does not know, and so do the validators: they never look at them.
 * @returns the paths of keys that the validator has not read
 * @throws Error when a value is wrong or missing
 */
function unknownKeys(model: { readonly validate: () => void }): readonly string[] {
  const unread = new Set<string>()
  const watched = watch(model, '', unread)
  watched.validate()
  return [...unread]
}

/** The same object; what is read of it goes out of `unread`, which has all its keys. */
function watch<T extends object>(value: T, path: string, unread: Set<string>): T {
  for (const key of Object.keys(value)) unread.add(`${path}/${key}`)
  const seen = new Map<string, object>()
  return new Proxy(value, {
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key)
      if (typeof key === 'symbol') return member
      const at = `${path}/${key}`
      unread.delete(at)
      if (typeof member !== 'object' || member === null) return member
      const known = seen.get(at) ?? watch(member, at, unread)
      seen.set(at, known)
      return known
    }
  })
}

/** Each option is one of the command's. */
function judgeArguments([verb, ...rest]: readonly string[]): void {
  if (verb === 'agent') assert.equal(rest, ['--config=/config/agent.json'])
  if (verb === 'agent') return
  const command = GRAMMAR.commands.find(one => one.name === verb)
  assert.ok(command, `command ${verb}`)
  const known = (command.options ?? []).flatMap(one => one.flags.match(/--[a-z-]+/g) ?? [])
  for (const word of rest.filter(one => one.startsWith('--'))) assert.ok(known.includes(word.split('=')[0] ?? ''), word)
}

test('what the API would refuse is found', () => {
  const [daemon] = documentsOf('overlay.yaml').filter(one => one.kind === 'DaemonSet')
  const broken = JSON.parse(JSON.stringify(daemon))
  broken.spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem = 'yes'
  assert.throws(() => unknownKeys(new DaemonSet(broken)), /readOnlyRootFilesystem/)
})

test('what the API would pass over is found, at the top and deep inside', () => {
  const [daemon] = documentsOf('overlay.yaml').filter(one => one.kind === 'DaemonSet')
  const broken = JSON.parse(JSON.stringify(daemon))
  broken.specs = {}
  broken.metadata.label = {}
  broken.spec.template.spec.containers[0].securityContext.readOnlyRootFileSystem = true
  assert.equal(unknownKeys(new DaemonSet(broken)).toSorted(), [
    '/metadata/label',
    '/spec/template/spec/containers/0/securityContext/readOnlyRootFileSystem',
    '/specs'
  ])
})

test.run()
