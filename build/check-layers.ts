/** Checks every import of the tree against the layers, and that there are no cycles, of types neither. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findCycle, layerProblem, specifiersOf } from './layers.ts'
import { ROOT, sourceFiles } from './project.ts'

function checkLayers(): readonly string[] {
  const problems: string[] = []
  const graph = new Map<string, readonly string[]>()
  for (const from of sourceFiles()) {
    const targets: string[] = []
    for (const specifier of specifiersOf(readFileSync(join(ROOT, from), 'utf8'))) {
      const target = specifier.startsWith('.') ? join(from, '..', specifier) : specifier
      const problem = layerProblem({ from, specifier, target })
      if (problem !== undefined) problems.push(problem)
      if (specifier.startsWith('.') && !existsSync(join(ROOT, target)))
        problems.push(`${from}: ${target} does not exist`)
      if (specifier.startsWith('.')) targets.push(target)
    }
    graph.set(from, targets)
  }
  const cycle = findCycle(graph)
  if (cycle !== undefined) problems.push(`cycle: ${cycle.join(' -> ')}`)
  return problems
}

for (const problem of checkLayers()) {
  process.stderr.write(`${problem}\n`)
  process.exitCode = 1
}
