/**
 * Counts the instructions of a call, with valgrind: a number that no load of the machine changes, where times tell little.
 * What the kernel does for the call is not in it.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { SCRATCH } from '../sandbox.ts'
import { type Meter, runUnder } from './measure.ts'

const PATHS = ['/usr/bin/valgrind', '/usr/local/bin/valgrind']

/** Where valgrind is; undefined where it is not. */
export function findValgrind(): string | undefined {
  return PATHS.find(existsSync)
}

/** The count in what callgrind prints at the end; undefined when it did not get that far. */
export function instructionsIn(log: string): number | undefined {
  const match = /^==\d+== Collected : (\d+)$/m.exec(log)
  return match === null ? undefined : Number(match[1])
}

/** @returns a meter of instructions; 0 where a program cannot be run this way */
export function instructionMeter(valgrind: string): Meter {
  return call => {
    const log = `${SCRATCH}/callgrind.log`
    const args = ['--tool=callgrind', '--callgrind-out-file=/dev/null', `--log-file=${log}`]
    const status = runUnder(call, valgrind, args)
    const amount = instructionsIn(readFileSync(log, 'utf8')) ?? 0
    rmSync(log)
    return { amount, status }
  }
}
