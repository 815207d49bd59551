/** Ways as text: a heading for each namespace that the packet passes, a line for each thing that happens there. */
import { visible } from '../../lib/view/visible.ts'
import type { StepView } from './describe.ts'
import type { Outcome } from './outcome.ts'

/** What probes that went the same way have in common. */
export interface WayView {
  readonly probes: number
  readonly steps: readonly StepView[]
  readonly outcome: Outcome
}

const LABELS: Readonly<Record<StepView['kind'], string>> = {
  seen: '',
  rule: 'rule ',
  route: 'route ',
  neighbour: 'neighbour ',
  translated: 'translated: '
}
const HEADINGS = {
  request: '',
  answer: 'the answer',
  error: 'an error about it',
  question: 'the question for a neighbour'
} as const

/** @param title what was sent from where to where */
export function report(title: string, ways: readonly WayView[]): string {
  const total = ways.reduce((sum, one) => sum + one.probes, 0)
  const lines = [
    title,
    ...ways.flatMap(way => [
      '',
      ...(total === 1 ? [] : [`${String(way.probes)} of ${String(total)} probes:`, '']),
      ...wayLines(way)
    ])
  ]
  return `${lines.map(visible).join('\n')}\n`
}

function wayLines({ steps, outcome }: WayView): readonly string[] {
  const lines: string[] = []
  let [role, namespace] = ['request', '']
  for (const step of steps) {
    if (step.role !== role) lines.push(HEADINGS[step.role])
    if (step.role !== role || step.namespaceId !== namespace) lines.push(`  ${step.namespace}`)
    role = step.role
    namespace = step.namespaceId
    lines.push(`    ${LABELS[step.kind]}${step.text}`)
  }
  return [
    ...lines,
    '',
    `${outcome.works ? 'works' : 'fails'}: ${outcome.what}`,
    ...outcome.evidence.map(text => `    seen: ${text}`),
    ...(outcome.remedy === '' ? [] : [`    do:   ${outcome.remedy}`])
  ]
}
