// time-out: 120 s
/** What scriptc makes of lists: text for LLVM, in which `ScrUnion` is a value that may be undefined. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { inWorkshop, scriptc } from './native-engine.ts'

const test = suite('build/scriptc-lists')

const LENGTH = 'function lengthOf(name: string): number {\n  return name.length\n}\n'

/** The function of that name, as LLVM text. The workshop lies two folders below the root. */
function compiled(source: string, name: string): string {
  return inWorkshop(workshop => {
    writeFileSync(join(workshop, 'tsconfig.json'), '{ "extends": "../../tsconfig.json", "include": ["main.ts"] }')
    writeFileSync(join(workshop, 'main.ts'), source)
    const output = join(workshop, 'main.ll')
    const { status, output: said } = scriptc(
      ['build', join(workshop, 'main.ts'), '--emit', 'llvm', '-o', output],
      process.env
    )
    assert.is(status, 0, said)
    const text = readFileSync(output, 'utf8')
    const [body] = new RegExp(`^define [^\\n]*@sc_f_${name}\\([^]*?^}`, 'm').exec(text) ?? []
    assert.ok(body !== undefined, `${name} is not in ${text.slice(0, 2000)}`)
    return body ?? ''
  })
}

test('an element that a loop or a callback gets is never undefined, nor what it is handed to', () => {
  const through = `${LENGTH}
    function sumOf(names: readonly string[]): number {
      let sum = 0
      for (const name of names) sum += lengthOf(name)
      return sum + names.filter(name => name !== '').map(lengthOf).reduce((all, one) => all + one, 0)
    }
    console.log(String(sumOf(['a', 'bc'])))\n`
  assert.not.match(compiled(through, 'sumOf'), /ScrUnion|scr_union/)
  assert.not.match(compiled(through, 'lengthOf'), /ScrUnion|scr_union/)
})

test('one that is taken by its place may be', () => {
  const taken = `${LENGTH}
    function firstOf(names: readonly string[]): number {
      const name = names[0]
      return name === undefined ? -1 : lengthOf(name)
    }
    console.log(String(firstOf([])))\n`
  assert.match(compiled(taken, 'firstOf'), /%ScrUnion/)
  assert.not.match(compiled(taken, 'lengthOf'), /ScrUnion|scr_union/)
})

test.run()
