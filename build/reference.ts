/**
 * docs/reference: what of lib/ a plugin's author uses, made from the docstrings. "Uses" is taken literally: every export of
 * lib/ that some file of plugins/ or ipam/ imports, and the types that their signatures name.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseSync } from 'oxc-parser'
import { ROOT, sourceFiles } from './project.ts'

export const REFERENCE = 'docs/reference'

/** An exported declaration of a module. */
interface Declared {
  readonly name: string
  /** What a caller has to know of it, as TypeScript. */
  readonly signature: string
  readonly doc: string
  /** Of a class: its public methods and fields. */
  readonly members: readonly { readonly signature: string; readonly doc: string }[]
}

interface Module {
  readonly path: string
  /** The comment at its head. */
  readonly about: string
  /** Imported name -> module, where both are in lib/. */
  readonly imports: ReadonlyMap<string, string>
  readonly declared: ReadonlyMap<string, Declared>
}

// biome-ignore lint/suspicious/noExplicitAny: the parser's tree; only a few fields of it are read
type Node = any

/** The text of a docstring without its stars; '' for none. */
function docText(comment: string): string {
  return comment
    .split('\n')
    .map(line => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim()
}

class Source {
  readonly #text: string
  readonly #comments: readonly {
    readonly type: string
    readonly value: string
    readonly start: number
    readonly end: number
  }[]
  readonly body: readonly Node[]

  constructor(path: string) {
    this.#text = readFileSync(join(ROOT, path), 'utf8')
    const { program, comments } = parseSync(path, this.#text)
    this.body = program.body
    this.#comments = comments.filter(({ type, value }) => type === 'Block' && value.startsWith('*'))
  }

  /** The docstring that ends right before a place. */
  docBefore(place: number): string {
    const found = this.#comments.find(({ end }) => end <= place && this.#text.slice(end, place).trim() === '')
    return docText(found?.value.slice(1) ?? '')
  }

  about(): string {
    const [first] = this.#comments
    const begin = first === undefined ? '' : this.#text.slice(0, first.start)
    const isHead =
      first !== undefined && /^(?:\s|\/\/.*)*$/.test(begin) && /^\n*import\b/.test(this.#text.slice(first.end))
    return isHead ? docText(first.value.slice(1)) : ''
  }

  slice(from: number, to: number): string {
    return this.#text.slice(from, to).trim()
  }
}

function declarationOf(source: Source, statement: Node): readonly Declared[] {
  const node: Node = statement.declaration
  if (statement.type !== 'ExportNamedDeclaration' || node === null) return []
  const doc = source.docBefore(statement.start)
  const one = (name: string, signature: string, members: Declared['members'] = []): readonly Declared[] => [
    { name, signature, doc, members }
  ]
  if (node.type === 'FunctionDeclaration') return one(node.id.name, source.slice(node.start, node.body.start))
  if (node.type === 'ClassDeclaration') {
    return one(node.id.name, source.slice(node.start, node.body.start), membersOf(source, node.body.body))
  }
  if (node.type === 'VariableDeclaration') {
    return node.declarations.flatMap((each: Node) => one(each.id.name, source.slice(node.start, node.end)))
  }
  return one(node.id.name, source.slice(node.start, node.end))
}

function membersOf(source: Source, body: readonly Node[]): Declared['members'] {
  const isPublic = (member: Node) =>
    member.key?.type === 'Identifier' && member.accessibility !== 'private' && member.accessibility !== 'protected'
  return body.filter(isPublic).map(member => ({
    signature: source
      .slice(member.start, member.value?.body?.start ?? member.end)
      .replace(/^(?:override|abstract) /, ''),
    doc: source.docBefore(member.start)
  }))
}

function readModule(path: string): Module {
  const source = new Source(path)
  const imports = new Map<string, string>()
  for (const statement of source.body) {
    if (statement.source === undefined || statement.source === null) continue
    const target = join(dirname(path), statement.source.value)
    if (!target.startsWith('lib/')) continue
    for (const { imported, local } of statement.specifiers) imports.set((imported ?? local).name, target)
  }
  const declared = source.body.flatMap(statement => declarationOf(source, statement))
  return { path, about: source.about(), imports, declared: new Map(declared.map(each => [each.name, each])) }
}

/** The used exports of each module of lib/. */
function usedExports(modules: ReadonlyMap<string, Module>): ReadonlyMap<string, ReadonlySet<string>> {
  const used = new Map<string, Set<string>>()
  const use = (path: string, name: string): void => {
    const declared = modules.get(path)?.declared.get(name)
    const names = used.get(path) ?? new Set()
    if (declared === undefined || names.has(name)) return
    used.set(path, names.add(name))
    const texts = [declared.signature, ...declared.members.map(member => member.signature)]
    // What netlink's messages are made of is below what a plugin sees.
    if (path.startsWith('lib/netlink/')) return
    for (const [word] of texts.join('\n').matchAll(/\b[A-Z][A-Za-z0-9]*\b/g)) {
      use(modules.get(path)?.imports.get(word) ?? path, word)
    }
  }
  for (const path of sourceFiles('.ts', ['plugins', 'ipam'])) {
    if (path.endsWith('.test.ts')) continue
    for (const [name, target] of readModule(path).imports) use(target, name)
  }
  return used
}

function rendered({ name, signature, doc, members }: Declared): string {
  const ofMember = (member: Declared['members'][number]) =>
    [...(member.doc === '' ? [] : [`/** ${member.doc.replaceAll('\n', '\n * ')} */`]), member.signature].join('\n')
  const code = [signature, ...members.map(ofMember)].join('\n\n')
  return [`### ${name}`, ...(doc === '' ? [] : [prose(doc)]), `\`\`\`ts\n${code}\n\`\`\``].join('\n\n')
}

/** A docstring as Markdown: its tags become a list. */
function prose(doc: string): string {
  const list = doc.replaceAll(/\s*@(param|returns|throws|source) /g, '\n- *$1* ')
  return list.replace(/\n(?=- \*)/, '\n\n').trim()
}

/** The page of a folder of lib/ is named after it; files right in lib/ share one. */
function pageOf(path: string): string {
  const [, folder = '', file] = path.split('/')
  return `${REFERENCE}/${file === undefined ? 'lib' : folder}.md`
}

/** Every page, by its path. */
export function referencePages(): ReadonlyMap<string, string> {
  const modules = new Map(
    sourceFiles('.ts', ['lib'])
      .filter(path => !/\.test\.ts$|^lib\/testing\//.test(path))
      .map(path => [path, readModule(path)])
  )
  const used = usedExports(modules)
  const pages = new Map<string, string[]>()
  for (const path of [...used.keys()].sort()) {
    const module = modules.get(path)
    if (module === undefined) continue
    const shown = [...module.declared.values()].filter(({ name }) => used.get(path)?.has(name) === true)
    const parts = [
      `## [${path}](../../${path})`,
      ...(module.about === '' ? [] : [prose(module.about)]),
      ...shown.map(rendered)
    ]
    pages.set(pageOf(path), [...(pages.get(pageOf(path)) ?? [title(path)]), ...parts])
  }
  const index = [...pages.keys()].map(
    path => `- [${path.slice(REFERENCE.length + 1, -3)}](${path.slice(REFERENCE.length + 1)})`
  )
  return new Map([
    [`${REFERENCE}/README.md`, `${INTRODUCTION}\n\n${index.join('\n')}\n`],
    ...[...pages].map(([path, parts]): [string, string] => [path, `${parts.join('\n\n')}\n`])
  ])
}

const INTRODUCTION = `# What a plugin's author uses

Made by \`npm run format\` from the docstrings of lib/: every export that a plugin imports, and the types these name.
[CONTRIBUTING.md](../../CONTRIBUTING.md) shows how a plugin is made of them.`

function title(path: string): string {
  const folder = pageOf(path).slice(REFERENCE.length + 1, -3)
  return folder === 'lib' ? '# lib' : `# lib/${folder}`
}
