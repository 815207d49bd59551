/**
 * Loaded into scriptc before its own files, some of whose lines it changes: lists have no holes.
 *
 *     for (const name of names) f(name)
 *
 * An array of JavaScript may lack an element, so scriptc takes `name` for `string | undefined`, boxes each element, asks
 * at each use which of both it is, and does the same with the parameter of `f` and with whatever comes from it. Nothing of ours
 * leaves a gap in a list, and for `list[i]` and `const [a, b] = list` the type checker says itself that there may be nothing
 * (noUncheckedIndexedAccess). So loops and callbacks get elements as they are declared, and what may be undefined is what the
 * checker says. Where there was a gap after all, the runtime ends the process.
 */
import { registerHooks } from 'node:module'

const FOLDER = '/@scriptc/compiler/dist/frontend/lowering/'

/** Text that must be there once, and what takes its place. */
type Change = readonly [before: string, after: string]

const NEW_READS = `
export function listedType(lowerer, elem) {
    return elem;
}
export function listedRead(lowerer, arr, index, elem, loc) {
    if (typeEquals(arrayValueType(lowerer, elem), elem)) return arrayValueRead(lowerer, arr, index, elem, loc);
    return { kind: "arrayGet", arr, index, type: elem, loc };
}
`
const TYPE_IN_LOOP = 'const elemValueT = arrayValueType(lowerer, iterable.type.elem);'
const READ_IN_LOOP = 'init: arrayValueRead(lowerer, varRef(source.id,'
const IMPORT = 'import { '

/** By file. In lowerer.js: what is optional beyond what the checker says. */
const CHANGES: Readonly<Record<string, readonly Change[]>> = {
  'array-values.js': [
    ['/** Read one stabilized receiver/index pair.', `${NEW_READS}/** Read one stabilized receiver/index pair.`]
  ],
  'lower-stmts.js': [
    [TYPE_IN_LOOP, renamed(TYPE_IN_LOOP)],
    [READ_IN_LOOP, renamed(READ_IN_LOOP)],
    [`${IMPORT}arrayValueRead,`, `${IMPORT}listedType, listedRead, arrayValueRead,`]
  ],
  'lower-containers.js': [[`${IMPORT}arrayIndexPresent,`, `${IMPORT}listedType, listedRead, arrayIndexPresent,`]],
  'lowerer.js': [
    nothingWhereChecked('const mayBeOptional = (node) => {', 'false'),
    nothingWhereChecked('const scanPattern = (name, init) => {', 'false'),
    nothingWhereChecked('const hofCallbackIndices = (name, hasInitialValue) => {', 'null')
  ]
}

/** Functions of lower-containers.js that go through a list from one end to the other. */
const THROUGH_A_LIST: readonly string[] = [
  ...[
    'lowerArrayHofCall',
    'buildArrayHofFn',
    'lowerArrayFindLikeCall',
    'findHelper',
    'findIndexHelper',
    'someEveryHelper'
  ],
  ...['lowerArrayFlatMapCall', 'flatMapHelper', 'lowerArrayReduceCall', 'reduceHelper', 'lowerForOfArrayIter'],
  ...['lowerArrayFromCall', 'buildArrayFromArrayFn']
]

function renamed(text: string): string {
  return text.replaceAll('arrayValueType(', 'listedType(').replaceAll('arrayValueRead(', 'listedRead(')
}

function nothingWhereChecked(head: string, nothing: string): Change {
  return [head, `${head} if (this.program.getCompilerOptions().noUncheckedIndexedAccess) return ${nothing};`]
}

function changed(file: string, source: string): string {
  let text = file === 'lower-containers.js' ? withListedReads(source) : source
  for (const [before, after] of CHANGES[file] ?? []) {
    if (text.split(before).length !== 2)
      throw new Error(`change scriptc: ${file} has not one ${JSON.stringify(before)}`)
    text = text.replace(before, () => after)
  }
  return text
}

function withListedReads(source: string): string {
  const missing = new Set(THROUGH_A_LIST)
  const functions = source.split(/^(?=(?:export )?function )/m).map(text => {
    const [, name = ''] = /^(?:export )?function (\w+)/.exec(text) ?? []
    return missing.delete(name) ? renamed(text) : text
  })
  if (missing.size > 0)
    throw new Error(`change scriptc: lower-containers.js has no function ${[...missing].join(', ')}`)
  return functions.join('')
}

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    const [, file = ''] = url.split(FOLDER)
    return CHANGES[file] === undefined ? loaded : { ...loaded, source: changed(file, String(loaded.source)) }
  }
})
