/** Checks that everything a runtime execs compiles: scriptc's coverage of plugins/main.ts is 100 % without its interpreter. */
import { scriptc } from './native-engine.ts'
import { clangEnvironment, findClang } from './native-toolchain.ts'
import { entryPoint } from './project.ts'

const clang = findClang()
// The report needs no compiler, but scriptc looks for one.
const env = clang === undefined ? process.env : clangEnvironment(clang)
const { status, output } = scriptc(['coverage', entryPoint('native')], env)
console.log(output)
// Its exit status is 0 whatever it finds.
const isStatic = status === 0 && /compile statically +[0-9]+ +\(100%\)/.test(output) && output.includes('fully static')
process.exitCode = isStatic ? 0 : 1
